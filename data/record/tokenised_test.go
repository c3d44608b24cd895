package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// TestShortAndLongSamplesAreHashedAlike goes over the length from which a hash grows.
func TestShortAndLongSamplesAreHashedAlike(t *testing.T) {
	for n := fewInts - 6; n < fewInts+6; n++ {
		s := Tokenised{IDs: make([]int32, n), Target: [][2]int32{{9, 20}, {int32(n) - 5, int32(n)}}}
		for i := range s.IDs {
			s.IDs[i] = int32(i * 7919)
		}
		s.fingerprint()
		hash := func(lists ...any) uint64 {
			var raw bytes.Buffer
			for _, list := range lists {
				if err := binary.Write(&raw, binary.LittleEndian, list); err != nil {
					t.Fatal(err)
				}
			}
			sum := sha256.Sum256(raw.Bytes())
			return binary.LittleEndian.Uint64(sum[:])
		}
		if want := hash(s.IDs[:s.Prompt()]); s.PromptHash != want {
			t.Errorf("%d tokens: the prompt's hash is %x, want %x", n, s.PromptHash, want)
		}
		if want := hash(s.IDs, s.Target); s.Hash != want {
			t.Errorf("%d tokens: the hash is %x, want %x", n, s.Hash, want)
		}
	}
}
