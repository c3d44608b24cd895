package store

import (
	"bytes"
	"encoding/binary"
	"testing"

	"lwtrain/data/record"
	"lwtrain/internal/prose"
)

func TestFactsAreWrittenFieldByField(t *testing.T) {
	f := record.Facts{
		Hash: 1<<63 + 5, PromptWords: 1, PromptChars: -2, AnswerChars: 3, Required: prose.Length{Min: 4, Max: 5}, Real: 6, Repeated: 7,
		Language: prose.Other, Suspicions: 9,
	}
	want, err := binary.Append(nil, binary.LittleEndian, f)
	if err != nil {
		t.Fatal(err)
	}
	if got := appendFacts(nil, f); !bytes.Equal(got, want) || len(got) != factsBytes || decodeFacts(got) != f {
		t.Errorf("%x, want %x", got, want)
	}
}
