package store

import "lwtrain/data/record"

// Entry is what is held in memory of a conversation: where it lies, and what packing and
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
