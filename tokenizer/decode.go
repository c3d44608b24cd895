package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Decode returns the text of ids. Ids that the vocabulary lacks count for
// nothing; with skipSpecial, special tokens do too. Bytes that are no valid
// UTF-8 become U+FFFD, one for each maximal broken part. As the tokenizers
// library does, it leaves spaces before punctuation alone whatever
// clean_up_tokenization_spaces says.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	var out strings.Builder
	d := t.Decoder()
	if !t.decoding.characters {
		n := 0
		for _, id := range ids {
			n += len(t.Text(id))
		}
		out.Grow(n)
	}
	for _, id := range ids {
		switch {
		case skipSpecial && t.IsSpecial(id):
		case t.decoding.characters:
			out.WriteString(d.Next(id))
		default:
			out.WriteString(t.Text(id))
		}
	}
	if t.decoding.characters {
		out.WriteString(d.Flush())
	}
	text, _ := repair(out.String(), false)
	return text
}

// Text returns the bytes that an id stands for, "" if it is not in the
// vocabulary. They need not be whole characters.
func (t *Tokenizer) Text(id int32) string {
	if id < 0 || int(id) >= len(t.texts) {
		return ""
	}
	return t.texts[id]
}

// Decoder turns a stream of ids into text. All that its methods return, in
// order, is what [Tokenizer.Decode] returns for the same ids with special
// tokens kept; leave out those that are not to be seen (see
// [Tokenizer.IsSpecial]). It serves one goroutine.
type Decoder struct {
	t       *Tokenizer
	pending []byte // up to 3 bytes of an unfinished character, or a run of tokens of bytes
	begun   bool   // a token was there
	strip   int    // how many characters the text may lose yet
}

// Decoder returns a decoder at the start of a text.
func (t *Tokenizer) Decoder() *Decoder { return &Decoder{t: t, strip: t.decoding.strip} }

// Next takes one more id and returns the text that is now certain: all but a
// last character whose bytes are not there yet.
func (d *Decoder) Next(id int32) string {
	if d.t.decoding.characters {
		return d.nextCharacters(id)
	}
	s := string(append(d.pending, d.t.Text(id)...))
	end := len(s)
	for i := max(0, end-utf8.UTFMax+1); i < end; i++ {
		if utf8.RuneStart(s[i]) {
			if n, whole := sequence(s[i:]); !whole && i+n == end && s[i] >= 0xC2 && s[i] <= 0xF4 {
				end = i
			}
		}
	}
	d.pending = append(d.pending[:0], s[end:]...)
	text, _ := repair(s[:end], false)
	return text
}

// nextCharacters is Next where tokens are text or single bytes.
func (d *Decoder) nextCharacters(id int32) string {
	text := d.t.Text(id)
	if text == "" && d.t.Token(id) == "" {
		return ""
	}
	how := &d.t.decoding
	first := !d.begun
	d.begun = true
	if b, ok := how.bytes[id]; ok {
		d.pending = append(d.pending, b)
		return ""
	}
	if first && how.firstMark != "" {
		text = strings.ReplaceAll(d.t.Token(id), how.firstMark, "")
	}
	return d.run() + d.stripLeft(text)
}

// run ends a run of tokens of bytes.
func (d *Decoder) run() string {
	s := string(d.pending)
	if d.pending = d.pending[:0]; !utf8.ValidString(s) {
		s = strings.Repeat("\ufffd", len(s))
	}
	return d.stripLeft(s)
}

// stripLeft takes away what the begin of a text loses.
func (d *Decoder) stripLeft(s string) string {
	for d.strip > 0 && s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r != d.t.decoding.stripped {
			d.strip = 0
			break
		}
		s = s[size:]
		d.strip--
	}
	return s
}

// Flush ends the text: an unfinished character becomes U+FFFD.
func (d *Decoder) Flush() string {
	if d.t.decoding.characters {
		return d.run()
	}
	text, _ := repair(string(d.pending), false)
	d.pending = d.pending[:0]
	return text
}
