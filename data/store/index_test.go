package store

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"lwtrain/data/record"
)

func anyEntry(t *rapid.T) Entry {
	small := func(name string) int32 { return rapid.Int32().Draw(t, name) }
	return Entry{
		Line: rapid.Int64().Draw(t, "line"), Tokens: small("tokens"), Words: small("words"),
		Targets: small("targets"), Turns: small("turns"),
		Shard: small("shard"), Batch: small("batch"), Row: small("row"), Kind: record.Kind(small("kind")), Prompt: small("prompt"),
		Hash: rapid.Uint64().Draw(t, "hash"), PromptHash: rapid.Uint64().Draw(t, "prompt hash"),
	}
}

func TestAnEntryHasTheBytesOfItsFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntry(t)
		want, err := binary.Append(nil, binary.LittleEndian, e)
		got := e.appendTo(nil)
		if err != nil || string(got) != string(want) || len(got) != entryBytes {
			t.Fatalf("%x, want %x (%v)", got, want, err)
		}
		if back := decode(got); back != e {
			t.Fatalf("%+v, want %+v", back, e)
		}
	})
}

func TestAnIndexHasItsEntriesInOrder(t *testing.T) {
	const n = 2*chunkEntries + 3
	var x Index
	for i := range n {
		x.add(Entry{Line: int64(i), Tokens: 1})
	}
	seen := 0
	for i, e := range x.All() {
		if i != seen || e.Line != int64(i) || x.At(i) != e {
			t.Fatalf("entry %d is %+v", i, e)
		}
		seen++
	}
	if seen != n || x.Len() != n {
		t.Errorf("%d entries, Len says %d, want %d", seen, x.Len(), n)
	}
}
