package tasks

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"lwtrain/internal/human"
)

// TestDocumentsListTheTasks holds docs/eval-tasks.md against the tasks: a row of a table for each, and one for each
// measure.
func TestDocumentsListTheTasks(t *testing.T) {
	raw, err := os.ReadFile("../../docs/eval-tasks.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	rows := 0
	want := func(row string) {
		if rows++; !strings.Contains(text, row+"\n") {
			t.Errorf("docs/eval-tasks.md lacks the row\n%s", row)
		}
	}
	for _, task := range All() {
		data := "ships"
		if len(task.remotes) > 0 {
			bytes := int64(0)
			for _, r := range task.remotes {
				bytes += r.bytes
			}
			data = fmt.Sprintf("fetched, %s of github.com/%s", human.Bytes(bytes), task.remotes[0].repository)
		}
		want(fmt.Sprintf("| `%s` | %s | %d | %s | %s | %s | %s |",
			task.Name, task.About, task.Prompts, task.Languages, task.Counted, task.Source, data))
		for _, m := range task.Measures {
			want(fmt.Sprintf("| `%s` | `%s` | %s |", task.Name, m.Name, m.About))
		}
	}
	if n := strings.Count(text, "\n| `"); n != rows {
		t.Errorf("docs/eval-tasks.md has %d rows, want %d", n, rows)
	}
}

// TestDataIsWhatItsTableSays holds data/README.md against the files, and their size against what a repository may carry.
func TestDataIsWhatItsTableSays(t *testing.T) {
	raw, err := os.ReadFile("data/README.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir(files, "data")
	if err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, e := range entries {
		packed, err := files.ReadFile("data/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(packed)
		sum := sha256.Sum256(packed)
		row := fmt.Sprintf("| `%s` | ", e.Name())
		_, rest, ok := strings.Cut(string(raw), row)
		if rest, _, _ = strings.Cut(rest, "\n"); !ok || strings.Count(string(raw), "`"+e.Name()+"`") != 2 ||
			!strings.Contains(string(raw), hex.EncodeToString(sum[:])) {
			t.Errorf("data/README.md: want %s with %x, not %s", e.Name(), sum, rest)
		}
	}
	if most := 2 << 20; bytes == 0 || bytes > most {
		t.Errorf("%d bytes ship, want at most %d", bytes, most)
	}
}
