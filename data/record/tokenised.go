package record

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// Tokenised is what is kept of a conversation.
type Tokenised struct {
	IDs    []int32
	Target [][2]int32 // half-open ranges of target tokens
	Line   int64      // of its record
	Turns  int32      // messages of the assistant
	Words  int32      // in them, by [prose.Words]
	Facts  Facts
	Kind   Kind
	Sketch *Sketch // nil where near copies are not looked for
	// Hash is of ids and targets, PromptHash of the ids before the first target.
	Hash, PromptHash uint64
}

// Prompt is the number of tokens before the first target.
func (t Tokenised) Prompt() int32 {
	if len(t.Target) == 0 {
		return int32(len(t.IDs))
	}
	return t.Target[0][0]
}

// Targets is the number of target tokens, without a first token, which nothing precedes.
func (t Tokenised) Targets() (n int32) {
	for _, r := range t.Target {
		n += r[1] - max(r[0], 1)
	}
	return n
}

// fewInts is up to how many ids and bounds are hashed at once, without a hash that grows.
const fewInts = 256

// fingerprint fills the hashes.
func (t *Tokenised) fingerprint() {
	if len(t.IDs)+2*len(t.Target) <= fewInts {
		t.fingerprintFew()
		return
	}
	h := sha256.New()
	n := t.Prompt()
	writeInts(h, t.IDs[:n])
	t.PromptHash = binary.LittleEndian.Uint64(h.Sum(nil))
	writeInts(h, t.IDs[n:])
	for _, r := range t.Target {
		writeInts(h, r[:])
	}
	t.Hash = binary.LittleEndian.Uint64(h.Sum(nil))
}

func (t *Tokenised) fingerprintFew() {
	var room [4 * fewInts]byte
	raw := room[:0]
	for _, id := range t.IDs {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(id))
	}
	sum := sha256.Sum256(raw[:4*t.Prompt()])
	t.PromptHash = binary.LittleEndian.Uint64(sum[:])
	for _, r := range t.Target {
		raw = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(raw, uint32(r[0])), uint32(r[1]))
	}
	sum = sha256.Sum256(raw)
	t.Hash = binary.LittleEndian.Uint64(sum[:])
}

func writeInts(w io.Writer, list []int32) {
	var b [1 << 10]byte
	for len(list) > 0 {
		n := min(len(list), len(b)/4)
		for i, v := range list[:n] {
			binary.LittleEndian.PutUint32(b[4*i:], uint32(v))
		}
		w.Write(b[:4*n])
		list = list[n:]
	}
}
