package store

import (
	"encoding/binary"

	"lwtrain/data/record"
)

// Entry is what the index has of a conversation: where it lies, and what packing and
// statistics need of it.
type Entry struct {
	Line              int64 // of its record
	Tokens, Words     int32
	Targets           int32 // without the first token, which nothing precedes
	Turns             int32
	Shard, Batch, Row int32
	Kind              record.Kind
	Prompt            int32  // tokens before the first target
	Hash              uint64 // of ids and targets
	PromptHash        uint64 // of the ids before the first target
}

func entryOf(t record.Tokenised) Entry {
	return Entry{
		Line: t.Line, Tokens: int32(len(t.IDs)), Words: t.Words, Targets: t.Targets(), Turns: t.Turns,
		Kind: t.Kind, Prompt: t.Prompt(), Hash: t.Hash, PromptHash: t.PromptHash,
	}
}

// entryBytes is the size of an entry in the index.
const entryBytes = 60

// appendTo appends an entry as the index has it.
func (e *Entry) appendTo(raw []byte) []byte {
	raw = binary.LittleEndian.AppendUint64(raw, uint64(e.Line))
	for _, v := range [...]int32{e.Tokens, e.Words, e.Targets, e.Turns, e.Shard, e.Batch, e.Row, int32(e.Kind), e.Prompt} {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
	}
	raw = binary.LittleEndian.AppendUint64(raw, e.Hash)
	return binary.LittleEndian.AppendUint64(raw, e.PromptHash)
}

// decode is the entry that the index has so.
func decode(raw []byte) Entry {
	raw = raw[:entryBytes]
	at := func(i int) int32 { return int32(binary.LittleEndian.Uint32(raw[i:])) }
	return Entry{
		Line: int64(binary.LittleEndian.Uint64(raw)), Tokens: at(8), Words: at(12), Targets: at(16), Turns: at(20),
		Shard: at(24), Batch: at(28), Row: at(32), Kind: record.Kind(at(36)), Prompt: at(40),
		Hash: binary.LittleEndian.Uint64(raw[44:]), PromptHash: binary.LittleEndian.Uint64(raw[52:]),
	}
}
