package tokenizer

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// loadOnly loads a tokenizer from files that are named.
func loadOnly(files map[string][]byte) (*Tokenizer, error) {
	return load(func(name string) ([]byte, error) {
		if data, ok := files[name]; ok {
			return data, nil
		}
		return nil, fs.ErrNotExist
	})
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkIDs compares a model with what SentencePiece says in a file.
func checkIDs(t *testing.T, tok *Tokenizer, path string) {
	t.Helper()
	var rows []struct {
		Text string
		IDs  []int32 `json:"ids"`
	}
	if err := json.Unmarshal(readFile(t, path), &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if got := tok.EncodeText(row.Text); !slices.Equal(got, row.IDs) {
			t.Errorf("%+q: ids %v, want %v", row.Text, got, row.IDs)
		}
		want := strings.ReplaceAll(row.Text, "\u2581", " ") // which SentencePiece does not tell from a space
		if got := tok.Decode(row.IDs, false); got != want {
			t.Errorf("%v decode to %+q, want %+q", row.IDs, got, want)
		}
	}
	t.Logf("%d strings", len(rows))
}

// TestPublishedModelsOfSentencePieceGiveItsIDs needs a folder with folders that have a tokenizer.model and the golden.json
// that testdata/sentencepiece/golden.py --real makes for it.
func TestPublishedModelsOfSentencePieceGiveItsIDs(t *testing.T) {
	dir := os.Getenv("LWTRAIN_TEST_TOKENIZERS")
	found, _ := filepath.Glob(filepath.Join(dir, "*", "golden.json"))
	if dir == "" || len(found) == 0 {
		t.Skip("LWTRAIN_TEST_TOKENIZERS names no folder with published SentencePiece models: they are not part of the repository")
	}
	for _, path := range found {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			checkIDs(t, must(Load(filepath.Dir(path))), path)
		})
	}
}

func TestModelsOfSentencePieceGiveItsIDs(t *testing.T) {
	model := readFile(t, "testdata/sentencepiece/tokenizer.model")
	tok := must(loadOnly(map[string][]byte{fileRanks: model}))
	checkIDs(t, tok, "testdata/sentencepiece/golden.json")
	if got := tok.EncodeText("[INST]<tool>"); len(got) != 2 || !tok.IsSpecial(got[0]) || tok.IsSpecial(got[1]) {
		t.Errorf("[INST]<tool> has the ids %v, want a special token and another one", got)
	}
	if tok.SpecialToken("bos_token") != "<s>" || len(tok.EOS()) != 1 || tok.Token(tok.EOS()[0]) != "</s>" {
		t.Errorf("it begins with %q and ends with %v, want <s> and </s>", tok.SpecialToken("bos_token"), tok.EOS())
	}
}

func TestConfigurationsOfSentencePieceModels(t *testing.T) {
	model := readFile(t, "testdata/sentencepiece/tokenizer.model")
	for _, row := range []struct{ name, config, text, want string }{
		{"a space is marked before each part", `{}`, "the[INST]the", "▁the [INST] ▁the"},
		{"or before a text that has none", `{"legacy":false}`, "the[INST]the", "▁the [INST] t he"},
		{"which a space stands for", `{"legacy":false}`, " the", "▁the"},
		{"or nowhere", `{"add_prefix_space":false}`, "the[INST]the", "t he [INST] t he"},
		{"tokens are put around it", `{"add_bos_token":true,"add_eos_token":true}`, "the", "<s> ▁the </s>"},
		{"those that are named", `{"add_bos_token":true,"bos_token":"[INST]"}`, "the", "[INST] ▁the"},
	} {
		tok, err := loadOnly(map[string][]byte{fileRanks: model, fileConfig: []byte(row.config)})
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		var got []string
		for _, id := range tok.Encode(row.text) {
			got = append(got, tok.Token(id))
		}
		if s := strings.Join(got, " "); s != row.want {
			t.Errorf("%s: %s gives %s, want %s", row.name, row.config, s, row.want)
		}
	}
}

func TestModelsOfSentencePieceThatAreRefused(t *testing.T) {
	model := readFile(t, "testdata/sentencepiece/tokenizer.model")
	field := func(number byte, data string) string { return string([]byte{number<<3 | 2, byte(len(data))}) + data }
	piece := field(1, field(1, "a"))
	for _, row := range []struct{ name, model, want string }{
		{"Unigram", string(readFile(t, "testdata/sentencepiece/unigram.model")),
			"tokenizer.model: the SentencePiece model is of the type Unigram, want BPE"},
		{"a table of characters", string(model) + field(3, field(2, "xy")),
			"tokenizer.model: the SentencePiece model replaces characters before it splits, want none replaced"},
		{"white space that is left out", string(model) + field(3, "\x20\x01"),
			"tokenizer.model: the SentencePiece model leaves white space out, want all of it kept"},
		{"a file that ends", string(model[:len(model)/2]), "a field that is longer than the file"},
		{"a piece twice", string(model) + piece + piece, "want a text of its own of at most 256 bytes"},
	} {
		_, err := loadOnly(map[string][]byte{fileRanks: []byte(row.model)})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %v, want %s", row.name, err, row.want)
		}
	}
}

func TestTekkensThatAreRefused(t *testing.T) {
	for _, row := range []struct{ from, to, want string }{
		{`"rank":1,"token_str":"<s>"`, `"rank":7,"token_str":"<s>"`,
			`tekken.json: special_tokens: "<s>" has the rank 7, want each from 0 to 4 once`},
		{`"default_num_special_tokens":10`, `"default_num_special_tokens":2`,
			"tekken.json: default_num_special_tokens is 2, want 5 to 262144"},
		{`"default_vocab_size":610`, `"default_vocab_size":100000`, "tekken.json: default_vocab_size is 100000, want 10 to 810"},
		{`"token_bytes":"IQ=="`, `"token_bytes":"?"`, `tekken.json: vocab: token 0 is "?", want 1 to 1024 bytes in base64`},
		{`(?!`, `(?<!`, "a group of a kind that is not known"},
	} {
		text := string(readFile(t, "testdata/tekken/tekken.json"))
		changed := strings.Replace(text, row.from, row.to, 1)
		if changed == text {
			t.Fatalf("%s is not there", row.from)
		}
		_, err := loadOnly(map[string][]byte{fileTekken: []byte(changed)})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %v, want %s", row.to, err, row.want)
		}
	}
}

func TestConvertedTokenizersAreSavedWithTheirNames(t *testing.T) {
	for _, from := range []string{"sentencepiece", "tekken"} {
		tok, dir := loadFixture(t, from), t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if again.Fingerprint() != tok.Fingerprint() || again.SpecialToken("eos_token") != "</s>" || !slices.Equal(again.EOS(), tok.EOS()) {
			t.Errorf("%s: saved and loaded again it is another tokenizer", from)
		}
	}
}

func FuzzSentencePiece(f *testing.F) {
	for _, name := range []string{"tokenizer.model", "unigram.model"} {
		f.Add(readFile(f, "testdata/sentencepiece/"+name)[:4000])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := loadOnly(map[string][]byte{fileRanks: data}); err == nil {
			useFuzzed(t, tok)
		}
	})
}
