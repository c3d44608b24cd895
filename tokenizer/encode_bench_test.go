package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

// BenchmarkEncode encodes the corpus, and words of random letters; with
// LWTRAIN_TEST_TOKENIZERS the published tokenizers do, else the small ones of the tests.
func BenchmarkEncode(b *testing.B) {
	text, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		b.Fatal(err)
	}
	corpus := string(text)
	for _, name := range []string{"smollm2", "qwen"} {
		tok := loadFixture(b, name)
		encode := func(name, text string) {
			b.Run(name, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					tok.Offsets(text)
				}
			})
		}
		encode("corpus/"+name, corpus)
		for _, n := range []int{256, 4096, 1 << 20} {
			word, r := make([]byte, n), rand.New(rand.NewPCG(1, 2))
			for i := range word {
				word[i] = "etaoinshrdlu"[r.IntN(12)]
			}
			encode(fmt.Sprintf("word/%s/bytes=%d", name, n), string(word))
		}
	}
}
