package read

import (
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is UTF-8. Other forms of Unicode, which Windows and spreadsheets write, become UTF-8
// as they are read: UTF-16 and UTF-32 in either order of bytes, with a byte order mark or by
// the zeros that their first characters have. Half a surrogate pair, and bytes that are no
// whole character, become what is no UTF-8, so that they are found where all lines are
// checked.

// form is how a text has its characters: units of size bytes in an order. nil: UTF-8.
type form struct {
	order binary.ByteOrder
	size  int
}

// formOf recognises the form of a text by how it begins.
func formOf(head []byte) *form {
	little, big := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	zeros := "" // of the first four bytes: 0 for a zero
	for _, c := range head[:min(4, len(head))] {
		zeros += map[bool]string{true: "0", false: "x"}[c == 0]
	}
	has := func(mark string) bool { return bytes.HasPrefix(head, []byte(mark)) }
	switch {
	case has("\xff\xfe\x00\x00"), zeros == "x000":
		return &form{little, 4}
	case has("\x00\x00\xfe\xff"), zeros == "000x":
		return &form{big, 4}
	case has("\xff\xfe"), zeros == "x0x0", zeros == "x0xx", zeros == "x0":
		return &form{little, 2}
	case has("\xfe\xff"), zeros == "0x0x", zeros == "0xxx", zeros == "0x":
		return &form{big, 2}
	}
	return nil
}

// toUTF8 reads a text of another form as UTF-8.
type toUTF8 struct {
	form
	from io.Reader
	raw  [1 << 15]byte
	have int    // bytes of raw that are no whole unit yet
	high rune   // half of a pair
	text []byte // that was not handed out
	err  error
}

func (t *toUTF8) Read(b []byte) (int, error) {
	for len(t.text) == 0 && t.err == nil {
		t.fill()
	}
	n := copy(b, t.text)
	t.text = t.text[n:]
	if n == 0 && len(b) > 0 {
		return 0, t.err
	}
	return n, nil
}

func (t *toUTF8) fill() {
	n, err := t.from.Read(t.raw[t.have:])
	t.have += n
	t.err = err
	whole := t.have / t.size * t.size
	t.text = t.text[:0]
	for at := 0; at < whole; at += t.size {
		t.unit(t.raw[at:])
	}
	t.have = copy(t.raw[:], t.raw[whole:t.have])
	if err == io.EOF {
		t.halve()
		for range t.have { // of a unit that is cut
			t.text = append(t.text, 0xFF)
		}
		t.have = 0
	}
}

// unit takes the next unit.
func (t *toUTF8) unit(b []byte) {
	if t.size == 4 {
		r := t.order.Uint32(b)
		if r > utf8.MaxRune || utf16.IsSurrogate(rune(r)) {
			t.text = append(t.text, 0xFF)
			return
		}
		t.text = utf8.AppendRune(t.text, rune(r))
		return
	}
	r := rune(t.order.Uint16(b))
	if t.high != 0 && r >= 0xDC00 && r < 0xE000 {
		t.text = utf8.AppendRune(t.text, utf16.DecodeRune(t.high, r))
		t.high = 0
		return
	}
	t.halve()
	switch {
	case r >= 0xD800 && r < 0xDC00:
		t.high = r
	case utf16.IsSurrogate(r):
		t.text = append(t.text, 0xFF)
	default:
		t.text = utf8.AppendRune(t.text, r)
	}
}

// halve writes half a pair whose other half is not there.
func (t *toUTF8) halve() {
	if t.high != 0 {
		t.text, t.high = append(t.text, 0xFF), 0
	}
}
