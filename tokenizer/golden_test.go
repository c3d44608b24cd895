package tokenizer

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// vector is one entry of vectors.json (testdata/golden.py).
type vector struct {
	Text    *string
	Raw     string  // hexadecimal, in place of Text for broken UTF-8
	IDs     []int32 `json:"ids"`
	Ends    []int   `json:"ends"` // start and end of each id, in characters
	Full    []int32 // with the post-processor, if that changes anything
	Decoded *string // if it is not the text
	Skipped *string // without special tokens, if it is not Decoded
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func readVectors(t testing.TB, path string) []vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(data, &vs); err != nil {
		t.Fatal(err)
	}
	return vs
}

func (v *vector) text(t testing.TB) string {
	if v.Text != nil {
		return *v.Text
	}
	raw, err := hex.DecodeString(v.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// check compares everything about one vector and returns what differs.
func (v *vector) check(tok *Tokenizer, text string) error {
	ids, spans := tok.Offsets(text)
	if !slices.Equal(ids, v.IDs) {
		return fmt.Errorf("%+q: Offsets gives ids %v, want %v", text, ids, v.IDs)
	}
	if got := tok.EncodeText(text); !slices.Equal(got, v.IDs) {
		return fmt.Errorf("%+q: EncodeText = %v, want %v", text, got, v.IDs)
	}
	full := v.Full
	if full == nil {
		full = v.IDs
	}
	if got := tok.Encode(text); !slices.Equal(got, full) {
		return fmt.Errorf("%+q: Encode = %v, want %v", text, got, full)
	}
	valid, _ := repair(text, true)
	decoded := valid
	if v.Decoded != nil {
		decoded = *v.Decoded
	}
	if got := tok.Decode(ids, false); got != decoded {
		return fmt.Errorf("%+q: Decode = %+q, want %+q", text, got, decoded)
	}
	d, stream := tok.Decoder(), ""
	for _, id := range ids {
		stream += d.Next(id)
	}
	if stream += d.Flush(); stream != decoded {
		return fmt.Errorf("%+q: streamed %+q, want %+q", text, stream, decoded)
	}
	skipped := decoded
	if v.Skipped != nil {
		skipped = *v.Skipped
	}
	if got := tok.Decode(ids, true); got != skipped {
		return fmt.Errorf("%+q: Decode without special tokens = %+q, want %+q", text, got, skipped)
	}
	return v.checkSpans(tok, text, valid, spans)
}

// loses reports whether a part of a text may have no id.
func (t *Tokenizer) loses() bool {
	removes := slices.ContainsFunc(t.stages, func(s stage) bool { return s.behavior == removed })
	return removes || t.model.partial || t.model.chars != nil && !t.model.chars.fallback && t.model.unknown < 0
}

// checkSpans compares byte offsets with the library's, which count characters
// and give each token of a character the whole of it. Only our own promise is
// checked where the library's offsets are wrong: where NFC changes the text,
// they miss the characters that joined the one before; behind a dropped byte,
// they are too low by one; of several characters that are replaced they have the last one.
func (v *vector) checkSpans(tok *Tokenizer, text, valid string, spans [][2]int32) error {
	last := int32(0)
	for i, s := range spans {
		if s[0] >= s[1] || int(s[1]) > len(text) || s[1] < last || s[0] > last && !tok.loses() {
			return fmt.Errorf("%+q: span %d is %v behind %d", text, i, s, last)
		}
		last = s[1]
	}
	drops := tok.model.chars == nil && tok.model.unknown < 0 && tok.model.lacks(valid)
	for _, n := range tok.normalizers {
		drops = drops || n.nfc != nil && !norm.NFC.IsNormalString(valid) || n.pattern != nil
	}
	if drops {
		return nil
	}
	var char []int // that a byte is in
	for i, count := 0, 0; i < len(text); count++ {
		n, _ := sequence(text[i:])
		for range n {
			char = append(char, count)
		}
		i += n
	}
	for i, s := range spans {
		want := [2]int{v.Ends[2*i], v.Ends[2*i+1]}
		if got := [2]int{char[s[0]], char[s[1]-1] + 1}; got != want {
			return fmt.Errorf("%+q: span %d is %v, in characters %v, want %v", text, i, s, got, want)
		}
	}
	return nil
}

func loadFixture(t testing.TB, name string) *Tokenizer {
	t.Helper()
	if name == "bytes" {
		return Bytes()
	}
	tok, err := Load(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var fixtures = []string{"smollm2", "unknown", "llama3", "qwen", "glm4", "tiktoken", "added", "bytes",
	"gemma", "llama2", "mistral", "metaspace", "dropped", "deepseek", "tekken"}

func TestVectorsAreTheLibrarys(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			tok := loadFixture(t, name)
			for _, v := range readVectors(t, filepath.Join("testdata", name, "vectors.json")) {
				if err := v.check(tok, v.text(t)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestRealVocabularies needs a folder with folders (llama3.1, qwen3, smollm2),
// each with a tokenizer.json and the vectors.json that testdata/golden.py
// --real makes for it.
func TestRealVocabularies(t *testing.T) {
	dir := os.Getenv("LWTRAIN_TEST_TOKENIZERS")
	if dir == "" {
		t.Skip("LWTRAIN_TEST_TOKENIZERS is not set: real vocabularies are not part of the repository")
	}
	folders, err := filepath.Glob(filepath.Join(dir, "*", "vectors.json"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("no vectors.json in the folders of %s", dir)
	}
	for _, path := range folders {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			tok, err := Load(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			vs := readVectors(t, path)
			bad, ids := 0, 0
			for i := range vs {
				ids += len(vs[i].IDs)
				if err := vs[i].check(tok, vs[i].text(t)); err != nil {
					if bad++; bad <= 10 {
						t.Error(err)
					}
				}
			}
			t.Logf("%d strings, %d ids, %d differ", len(vs), ids, bad)
		})
	}
}
