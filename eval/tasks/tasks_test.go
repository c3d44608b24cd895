package tasks

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

func TestTasksAskWhatTheyDid(t *testing.T) {
	for _, c := range []struct {
		name   string
		n, sum int // of items, and of the words that they ask for, or about
		first  string
	}{
		{"longbench-write", 120, 332650, "Write an outline for a short 100-word blog post"},
		{"longbench-write-en", 60, 133550, "Write an outline for a short 100-word blog post"},
		{"longwrite-ruler", 48, 544000, "Write a 1000-word China travel guide"},
		{"lifebench", 1800, 180 * (16384 - 16), "[Instruction] You are given an excerpt from a script"},
		{"longen", 240, 1173000, "我有一首旋律很优美的流行歌曲"},
		{"longproc-countdown", 400, 0, "[TASK]\nYou will be given four numbers"},
		{"longproc-paths", 200, 0, "[TASK]\nIn a completely hypothetical world"},
		{"longproc-tsv", 100, 0, "[TASK]\nYour task is to extract specific information"},
		{"longgenbench", 800, 0, "Sophia is a biologist"},
		{"writingbench-length", 222, 565365, "Please write an introduction chapter"},
		{"hellobench-length", 492, 123 * 30000, "You should write a well-structured, argumentative essay"},
	} {
		t.Run(c.name, func(t *testing.T) {
			task, err := Open(c.name)
			if err != nil {
				t.Fatal(err)
			}
			if !task.Fetched() {
				return // it is not ours to hand on
			}
			items, err := task.Items()
			if err != nil {
				t.Fatal(err)
			}
			sum, ids := 0, map[string]bool{}
			for _, it := range items {
				sum += it.Asked.About()
				ids[it.ID] = true
				if task.Score != nil {
					checkMeasures(t, task, it)
				}
			}
			if len(items) != c.n || task.Prompts != c.n || sum != c.sum || len(ids) != c.n || !strings.HasPrefix(items[0].Prompt, c.first) {
				t.Errorf("%d items with %d ids that ask for %d words, the first %.60q", len(items), len(ids), sum, items[0].Prompt)
			}
		})
	}
	if n := len(All()); n != 11 {
		t.Errorf("%d tasks", n)
	}
}

// checkMeasures wants that the scores of answers are those that the task names, the headline among them, and that what
// is asked for scores 100 where it is known.
func checkMeasures(t *testing.T, task Task, it Item) {
	t.Helper()
	for _, text := range []string{"", "One two.", it.reference} {
		scores := task.Score(it, text)
		if _, ok := scores[task.Measures[0].Name]; !ok {
			t.Errorf("%s: no %s of %.20q", it.ID, task.Measures[0].Name, text)
		}
		for name, v := range scores {
			if !slices.ContainsFunc(task.Measures, func(m Measure) bool { return m.Name == name }) {
				t.Errorf("%s: %s is no measure of %s", it.ID, name, task.Name)
			}
			if v < 0 || v > 100 || math.IsNaN(v) {
				t.Errorf("%s: %s is %g", it.ID, name, v)
			}
		}
	}
	var right string
	switch task.Name {
	case longProcPaths.Name:
		right = "<Route>" + it.reference + "</Route>"
	case longProcCountdown.Name, longProcTSV.Name:
		right = it.reference
	default:
		return
	}
	if got := task.Score(it, right)[task.Measures[0].Name]; got != 100 {
		t.Errorf("%s: the right answer scores %g", it.ID, got)
	}
}

func TestPromptsOfAUsersOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.jsonl")
	for _, c := range []struct{ name, lines, want string }{
		{"a length, a range and neither",
			`{"prompt": "a", "length": 800, "type": "story"}` + "\n\n" +
				`{"id": "x", "prompt": "b", "min_words": 5, "max_words": 9}` + "\n" + `{"id": 7, "prompt": "c"}` + "\n",
			"1 {800 0 0} story; x {0 5 9} ; 7 {0 0 0} ; "},
		{"a byte order mark", "\uFEFF" + `{"prompt": "a"}`, "1 {0 0 0} ; "},
		{"a prompt that is there twice", `{"prompt": "a", "prompt": "b"}`, `mine.jsonl:1: the key "prompt" is there twice`},
		{"half a character", `{"prompt": "\udc00"}`, `\udc00 at byte 13 is half a surrogate pair`},
		{"a key that nobody reads", `{"prompt": "a", "lenght": 8}`, `mine.jsonl:1: unknown key "lenght"`},
		{"no prompt", `{"prompt": " "}`, "mine.jsonl:1: no prompt"},
		{"an id that came before", "{\"prompt\": \"a\", \"id\": \"2\"}\n{\"prompt\": \"b\"}",
			"mine.jsonl:2: the id 2 is that of line 1, too"},
		{"a length and a range", `{"prompt": "a", "length": 8, "max_words": 9}`, "length beside min_words or max_words"},
		{"a range without room", `{"prompt": "a", "min_words": 9, "max_words": 8}`, "max_words 8, want at least min_words (9)"},
		{"two objects on a line", `{"prompt": "a"} {"prompt": "b"}`, "more behind the object"},
		{"a text as a length", `{"prompt": "a", "length": "800"}`, "mine.jsonl:1: "},
		{"nothing", "\n", "no prompts there"},
		{"a list as an id", `{"prompt": "a", "id": [1]}`, "mine.jsonl:1: an id that is neither a text nor a number"},
		{"more words than there are", `{"prompt": "a", "min_words": 4611686018427387904}`, "mine.jsonl:1: a length above"},
		{"a line without an end", `{"prompt": "` + strings.Repeat("a", mostLine) + `"}`, "mine.jsonl:1: a line of more than 16 MiB"},
		{"many values", `{"prompt": "a", "id": [` + strings.Repeat("0,", mostValues) + `0]}`, "mine.jsonl:1: more than 1024"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.lines), 0o644); err != nil {
				t.Fatal(err)
			}
			task, err := Open(path)
			if err != nil || task.Name != "mine" {
				t.Fatalf("%q, %v", task.Name, err)
			}
			items, err := task.Items()
			got := fmt.Sprint(err)
			if err == nil {
				got = ""
				for _, it := range items {
					got += fmt.Sprint(it.ID, " ", it.Asked, " ", it.Type, "; ")
				}
			} else if !fault.IsUsage(err) {
				t.Errorf("%v is no mistake of a user's", err)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for name, meant := range map[string]string{"life_bench": "lifebench", "LonGem": "longen", "mine": ""} {
		_, err := Open(name)
		if !fault.IsUsage(err) || !strings.Contains(err.Error(), "longbench-write, ") ||
			strings.Contains(fault.HintOf(err), "did you mean") != (meant != "") || !strings.Contains(fault.HintOf(err), meant) {
			t.Errorf("%s is no name: %v, hint: %s", name, err, fault.HintOf(err))
		}
	}
}

func TestRangesAreScoredByTheBoundThatIsMissed(t *testing.T) {
	for _, c := range []struct {
		asked Asked
		words int
		want  float64
		about int
	}{
		{Asked{Words: 100}, 100, 100, 100}, {Asked{Words: 100}, 50, 50, 100}, {Asked{Words: 100}, 250, 50, 100},
		{Asked{Min: 100, Max: 200}, 100, 100, 150}, {Asked{Min: 100, Max: 200}, 200, 100, 150},
		{Asked{Min: 100, Max: 200}, 50, 50, 150}, {Asked{Min: 100, Max: 200}, 500, 50, 150},
		{Asked{Min: 100}, 9999, 100, 100}, {Asked{Max: 100}, 1, 100, 100}, {Asked{Min: 100}, 0, 0, 100},
	} {
		if got := c.asked.Score(c.words); got != c.want || c.asked.About() != c.about {
			t.Errorf("%+v, %d words: %g about %d, want %g about %d", c.asked, c.words, got, c.asked.About(), c.want, c.about)
		}
	}
}
