package tokenizer

import "unicode/utf8"

// Decode returns the text of ids. Ids that the vocabulary lacks count for
// nothing; with skipSpecial, special tokens do too. Bytes that are no valid
// UTF-8 become U+FFFD, one for each maximal broken part. As the tokenizers
// library does, it leaves spaces before punctuation alone whatever
// clean_up_tokenization_spaces says.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	n := 0
	for _, id := range ids {
		n += len(t.Text(id))
	}
	raw := make([]byte, 0, n)
	for _, id := range ids {
		if !(skipSpecial && t.IsSpecial(id)) {
			raw = append(raw, t.Text(id)...)
		}
	}
	if utf8.Valid(raw) {
		return string(raw)
	}
	text, _ := repair(string(raw), false)
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
	pending []byte // up to 3 bytes of an unfinished character
}

// Decoder returns a decoder at the start of a text.
func (t *Tokenizer) Decoder() *Decoder { return &Decoder{t: t} }

// Next takes one more id and returns the text that is now certain: all but a
// last character whose bytes are not there yet.
func (d *Decoder) Next(id int32) string {
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

// Flush ends the text: an unfinished character becomes U+FFFD.
func (d *Decoder) Flush() string {
	text, _ := repair(string(d.pending), false)
	d.pending = d.pending[:0]
	return text
}
