package prose

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The counts are Python's, from the expression of LongWriter's
// evaluation/eval_length.py:
//
//	len(re.findall(r'[\u4e00-\u9fff]', s)) + len(re.findall(r'\b[a-zA-Z]+\b', s))
func TestWordsAreCountedAsLongWriterCountsThem(t *testing.T) {
	for text, want := range map[string]int{
		"":                         0,
		"Hello, world":             2,
		"don't stop":               3,
		"GPT-4o abc123":            1,
		"中文GPT模型":                  4,
		"café au lait":             2,
		"naïve":                    0,
		"snake_case x_ _y z":       1,
		"１２ ab":                    1,
		"x² y":                     1,
		"α beta":                   1,
		"a\u0301b c":               3, // a combining mark is no \w
		"\u4e00\u9fff\ua000\u3400": 2,
		"𠀀a":                       0,
		"end":                      1,
		"é":                        0,
		"one\ntwo\tthree":          3,
	} {
		if got := Words(text); got != want {
			t.Errorf("%q: %d words, want %d", text, got, want)
		}
	}
}

// TestWordsOfRealTexts compares with counts that Python made of LongWriter's
// own cases: words.py in testdata writes words.json beside the data.
func TestWordsOfRealTexts(t *testing.T) {
	dir := os.Getenv("LWTRAIN_TEST_DATA")
	if dir == "" {
		t.Skip("LWTRAIN_TEST_DATA names no folder with longwriter_cases.jsonl")
	}
	f, err := os.Open(filepath.Join(dir, "longwriter_cases.jsonl"))
	if err != nil {
		t.Skip("the folder of LWTRAIN_TEST_DATA lacks the file:", err)
	}
	defer f.Close()
	want := []int{}
	raw, err := os.ReadFile("testdata/words.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	var got []int
	for lines.Scan() {
		var conversation struct{ Messages []struct{ Content string } }
		if err := json.Unmarshal(lines.Bytes(), &conversation); err != nil {
			t.Fatal(err)
		}
		for _, m := range conversation.Messages {
			got = append(got, Words(m.Content))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d texts, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("text %d: %d words, want %d", i, got[i], want[i])
		}
	}
}
