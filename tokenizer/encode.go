package tokenizer

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// Encode returns the ids of text as tokenizers.Tokenizer.encode does: those of
// [Tokenizer.EncodeText] with the tokens that the post-processor adds (Llama's
// BOS, GLM-4's [gMASK]<sop>).
func (t *Tokenizer) Encode(text string) []int32 {
	e := t.encode(text, false)
	defer t.release(e)
	return slices.Concat(t.before, e.ids, t.after)
}

// Around returns the tokens that the post-processor puts before and behind a text.
func (t *Tokenizer) Around() (before, after []int32) {
	return slices.Clone(t.before), slices.Clone(t.after)
}

// EncodeText returns the ids of text without the tokens that the
// post-processor adds. Added tokens in the text become their ids: whoever
// encodes text that is not trusted must know that it can hold them.
func (t *Tokenizer) EncodeText(text string) []int32 {
	e := t.encode(text, false)
	defer t.release(e)
	return take(e.ids)
}

// Offsets is [Tokenizer.EncodeText] with, for each id, the half-open range of
// bytes of text that it stands for. Ranges follow each other without gaps,
// except where lstrip or rstrip of an added token took white space in, a byte
// had no token, or normalisation joined characters: then all tokens of the
// joined character have its whole range. They are not trimmed of spaces, and
// may lie inside a character whose bytes are several tokens.
func (t *Tokenizer) Offsets(text string) ([]int32, [][2]int32) {
	e := t.encode(text, true)
	defer t.release(e)
	return take(e.ids), take(e.spans)
}

func (t *Tokenizer) release(e *encoder) {
	e.release()
	t.pool.Put(e)
}

// Sizes of the word cache: entries fill one cache line, the table stays in the
// second-level cache.
const (
	cacheBits   = 14
	cachedBytes = 24
	cachedIDs   = 8
)

// cachedWord is one slot of the cache: the word, padded with zeros, its
// length, and its ids.
type cachedWord struct {
	key    [3]uint64
	ids    [cachedIDs]int32
	length uint8
	n      uint8
	lacks  bool // see longWord
	_      [5]byte
}

var _ [64]byte = [unsafe.Sizeof(cachedWord{})]byte{}

// wordCache remembers the ids of short words, one word to a slot; a new word
// takes the slot of the old one. Each encoder has its own: 1 MiB, no locks.
type wordCache [1 << cacheBits]cachedWord

// keyOf is the key of the first n bytes of s. What lies behind them is read, too,
// where it is there, and taken away, which is quicker than a copy of n bytes.
func keyOf(s string, n int) (key [3]uint64) {
	if len(s) < cachedBytes {
		var b [cachedBytes]byte
		copy(b[:], s)
		s = unsafe.String(&b[0], cachedBytes)
	}
	b := unsafe.Slice(unsafe.StringData(s), cachedBytes)
	for i := range key {
		kept := uint(min(max(n-8*i, 0), 8))
		key[i] = binary.LittleEndian.Uint64(b[8*i:]) & (1<<(8*kept) - 1)
	}
	return key
}

func slot(key [3]uint64, n int) uint64 {
	hi, lo := bits.Mul64(key[0]^hashMul, key[1]^uint64(n)^0xD6E8FEB86659FD93)
	hi, lo = bits.Mul64(hi^lo^key[2], hashMul)
	return (hi ^ lo) >> (64 - cacheBits)
}

// encoder is the working state of one call; a Tokenizer keeps a pool of them.
type encoder struct {
	ids      []int32
	spans    [][2]int32 // with wantSpan, one for each id
	wantSpan bool
	scratch  scratch
	cache    wordCache
}

// encodeWord appends the ids of one word, the first n bytes of s, which start at byte at of their piece. A word of
// characters is cut where nothing can join: the parts are words that come again.
func (e *encoder) encodeWord(m *bpe, s string, n, at int) {
	if m.chars == nil {
		e.word(m, s, n, at)
		return
	}
	if m.whole != nil {
		if id, ok := m.whole[s[:n]]; ok {
			e.added(id, at, at+n)
			return
		}
	}
	for i := 0; i < n; {
		end := m.chars.cut(s[:n], i)
		e.word(m, s[i:], end-i, at+i)
		i = end
	}
}

// word appends the ids of one word, the first n bytes of s, which start at byte at
// of their piece.
func (e *encoder) word(m *bpe, s string, n, at int) {
	w := s[:n]
	if n > cachedBytes {
		e.longWord(m, w, at)
		return
	}
	first, key := len(e.ids), keyOf(s, n)
	c := &e.cache[slot(key, len(w))]
	if c.key == key && int(c.length) == len(w) && !(c.lacks && e.wantSpan) {
		e.ids = append(e.ids, c.ids[:c.n]...)
		if e.wantSpan {
			e.place(m, first, at)
		}
		return
	}
	lacks := e.longWord(m, w, at)
	if ids := e.ids[first:]; len(ids) <= cachedIDs {
		c.key, c.length, c.n, c.lacks = key, uint8(len(w)), uint8(len(ids)), lacks
		copy(c.ids[:], ids)
	}
}

// maxWord bounds what one word may be, for positions are 32 bits wide. A longer
// one, which would take over 20 GiB to encode, is cut there.
const maxWord = 1 << 30

// longWord is word without the cache. It reports whether a byte of w has no symbol, so
// that its ids do not say where they lie.
func (e *encoder) longWord(m *bpe, w string, at int) (lacks bool) {
	for len(w) > maxWord {
		e.longWord(m, w[:maxWord], at)
		w, at = w[maxWord:], at+maxWord
	}
	first := len(e.ids)
	if m.chars != nil {
		e.ids, lacks = m.encodeChars(e.ids, w, &e.scratch)
	} else {
		e.ids = m.encode(e.ids, w, &e.scratch)
		lacks = m.partial && m.lacks(w)
	}
	if lacks && m.chars == nil {
		_, whole := m.whole[w]
		lacks = !whole
	}
	switch {
	case !e.wantSpan:
	case lacks:
		e.placeSymbols(at)
	default:
		e.place(m, first, at)
	}
	return lacks
}

// place appends the spans of the ids from first on: they follow each other and
// leave nothing out.
func (e *encoder) place(m *bpe, first, at int) {
	e.spans = slices.Grow(e.spans, len(e.ids)-first)
	start := int32(at)
	for _, id := range e.ids[first:] {
		end := start + m.length[id]
		e.spans = append(e.spans, [2]int32{start, end})
		start = end
	}
}

// placeSymbols appends the spans of the word that bpe.symbols laid out.
func (e *encoder) placeSymbols(at int) {
	s := &e.scratch
	for i := 0; i < len(s.long.sym); {
		next := s.long.next(i)
		e.spans = append(e.spans, [2]int32{int32(at) + s.start[i], int32(at) + s.end[next-1]})
		i = next
	}
}

// keep is how many ids of a text an encoder has room for when it rests.
const keep = 1 << 16

// take is a list of the encoder's, in memory of its own. What release would give up is
// not copied.
func take[T any](list []T) []T {
	if cap(list) > keep {
		return list
	}
	return slices.Clone(list)
}

// release keeps an encoder from holding on to the memory of a huge text.
func (e *encoder) release() {
	if cap(e.ids) > keep {
		e.ids = nil
	}
	if cap(e.spans) > keep {
		e.spans = nil
	}
	if cap(e.scratch.long.sym) > keep {
		e.scratch = scratch{}
	}
}

// encode runs the whole pipeline but the post-processor. The result lies in
// the encoder.
func (t *Tokenizer) encode(text string, spans bool) *encoder {
	e := t.pool.Get().(*encoder)
	e.ids, e.spans, e.wantSpan = e.ids[:0], e.spans[:0], spans
	valid, repairs := repair(text, spans)
	t.raw.split(valid, func(id int32, start, end int) {
		if id >= 0 {
			e.added(id, start, end)
		} else {
			t.piece(e, valid[start:end], start)
		}
	})
	if repairs != nil {
		e.moveSpans(0, repairs, 0)
	}
	return e
}

func (e *encoder) added(id int32, start, end int) {
	e.ids = append(e.ids, id)
	if e.wantSpan {
		e.spans = append(e.spans, [2]int32{int32(start), int32(end)})
	}
}

// piece encodes text that holds no added token of the raw kind.
func (t *Tokenizer) piece(e *encoder, s string, at int) {
	first := len(e.spans)
	var changes [maxParts]edits
	for i := range t.normalizers {
		s, changes[i] = t.normalizers[i].apply(s, e.wantSpan)
	}
	t.normalized.split(s, func(id int32, start, end int) {
		switch {
		case id >= 0:
			e.added(id, start, end)
		case t.meta != nil:
			first := len(e.spans)
			marked, changes := t.meta.apply(s[start:end], at == 0 && start == 0, e.wantSpan)
			t.words(e, marked, 0, t.stages)
			e.moveSpans(first, changes, start)
		default:
			t.words(e, s[start:end], start, t.stages)
		}
	})
	for i := len(t.normalizers) - 1; i >= 0; i-- {
		e.moveSpans(first, changes[i], 0)
	}
	e.moveSpans(first, nil, at)
}

// moveSpans takes the spans from first on back over changes, and then by at.
func (e *encoder) moveSpans(first int, changes edits, at int) {
	if changes == nil && at == 0 {
		return
	}
	for i := range e.spans[first:] {
		s := &e.spans[first+i]
		if changes != nil {
			for len(changes) > 1 && changes[1].newEnd <= s[0] { // spans are in order: no other one needs it
				changes = changes[1:]
			}
			s[0], s[1] = changes.origin(s[0], s[1])
		}
		s[0], s[1] = s[0]+int32(at), s[1]+int32(at)
	}
}

// words splits s by the pre-tokenizer's stages and encodes the words.
func (t *Tokenizer) words(e *encoder, s string, at int, stages []stage) {
	if len(stages) == 0 {
		e.encodeWord(&t.model, s, len(s), at)
		return
	}
	rest := stages[1:]
	if stages[0].behavior != isolated {
		stages[0].split(s, func(start, end int) { t.words(e, s[start:end], at+start, rest) })
		return
	}
	matches := stages[0].pattern.Scan(s)
	for i := 0; i < len(s); {
		start, end := matches.Next(i)
		for _, piece := range [...][2]int{{i, start}, {start, end}} {
			switch from, n := piece[0], piece[1]-piece[0]; {
			case n == 0:
			case len(rest) == 0:
				e.encodeWord(&t.model, s[from:], n, at+from)
			default:
				t.words(e, s[from:from+n], at+from, rest)
			}
		}
		i = end
	}
}
