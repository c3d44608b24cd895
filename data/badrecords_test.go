package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

func TestARecordThatCanNotBeUsedIsNamedOrCounted(t *testing.T) {
	for _, c := range []struct{ name, line, reason, says string }{
		{"broken JSON", `{"messages": [`, "invalid_json", "it ends in the middle"},
		{"broken JSON in the middle", `{"messages": [}]}`, "invalid_json", "broken JSON at byte 15"},
		{"text behind the record", `{"messages": []} x`, "invalid_json", "broken JSON at byte 18"},
		{"a list", `[1]`, "invalid_json", "the record is a list, want an object"},
		{"bad UTF-8", "{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}", "invalid_utf8",
			"byte 44 is no valid UTF-8; a file in another encoding is to be saved in UTF-8"},
		{"a record of Python", "{'messages': []}", "invalid_json",
			"broken JSON at byte 2: a single quote, as Python's repr writes it, want JSON (json.dumps)"},
		{"half a surrogate pair", `{"messages": [{"role": "user", "content": "\ud83d"}]}`, "invalid_utf8",
			`\ud83d at byte 44 is half a surrogate pair`},
		{"no messages", `{"talk": []}`, "no_messages", `it has "talk"`},
		{"messages that are no list", `{"messages": "hello"}`, "invalid_messages", "messages is text, want a list"},
		{"an element that is no message", `{"messages": [` + user("x") + `, 5]}`, "invalid_messages",
			"messages[1] is a number, want {\"role\": ..., \"content\": ...}"},
		{"no role", `{"messages": [{"content": "x"}]}`, "invalid_messages", "messages[0]: no role"},
		{"a number as content", `{"messages": [{"role": "user", "content": 5}]}`, "invalid_messages",
			"messages[0]: content is a number, want text"},
		{"no content", `{"messages": [{"role": "user"}]}`, "invalid_messages", "messages[0]: no content"},
		{"an empty conversation", `{"messages": []}`, "empty_conversation", "no messages"},
		{"an unknown role", `{"messages": [{"role": "bot", "content": "x"}]}`, "unknown_role", `role "bot" is unknown`},
		{"no answer", `{"messages": [{"role": "user", "content": "x"}]}`, "no_assistant_turn", "nothing to learn"},
		{"an answer without a question", `{"messages": [` + assistant("x") + `]}`, "role_order",
			"messages[0] (assistant): out of order, want a message of the user before it"},
		{"two questions in a row", `{"messages": [` + user("x") + `, ` + user("y") + `, ` + assistant("z") + `]}`, "role_order",
			"messages[1] (user): out of order"},
		{"a system prompt in the middle", `{"messages": [` + user("x") + `, ` + system("y") + `, ` + assistant("z") + `]}`, "role_order",
			"messages[1] (system): out of order, want it before all others"},
		{"a result that nothing called for", `{"messages": [` + user("x") + `, {"role": "tool", "content": "y"}, ` + assistant("z") +
			`]}`, "role_order", "messages[1] (tool): out of order"},
		{"text as a number", `{"messages": [{"role": 9007199254740993, "content": "x"}]}`, "invalid_messages",
			"role is a number, want text"},
		{"an empty answer", talk("x", "  "), "empty_answer", "messages[1] (assistant)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			src := write(t, dir, "a", talk("a", "b"), "", c.line, talk("c", "d"), c.line)
			o := options(dir, src)
			for range 2 { // the second time the file is not in the cache either: nothing was written
				_, err := Build(context.Background(), o, template(t, "auto"), Run{})
				if err == nil || !strings.HasPrefix(err.Error(), src.Path+":3: ") || !strings.Contains(err.Error(), c.says) ||
					!fault.IsUsage(err) || fault.HintOf(err) == "" {
					t.Fatalf("got %v, want %s:3: ... %s", err, src.Path, c.says)
				}
			}
			o.OnBadRecord = "skip"
			s := build(t, o)
			if got := fmt.Sprint(s.Mix().Dropped); s.Len() != 2 || got != "map["+c.reason+":2]" {
				t.Errorf("%d samples, dropped %s; want 2 and %s twice", s.Len(), got, c.reason)
			}
			o.OnBadRecord = "error" // the cache knows the bad records, too
			if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
				!strings.HasPrefix(err.Error(), src.Path+":3: ") {
				t.Errorf("from the cache: got %v", err)
			}
		})
	}
}

func TestTheFirstBadRecordsAreNamedAndTheRestCounted(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for i := range 30 {
		lines = append(lines, talk("q", fmt.Sprint(i)), talk("q", ""))
		if i%10 == 4 {
			lines = append(lines, "{")
		}
	}
	src := write(t, dir, "a", lines...)
	o := options(dir, src)
	var want []string // the empty answers, and the broken JSON of line 11
	for _, n := range []int{2, 4, 6, 8, 10, 11, 13, 15, 17, 19} {
		want = append(want, fmt.Sprintf("%s:%d: ", src.Path, n))
	}
	check := func(what string) {
		t.Helper()
		_, err := Build(context.Background(), o, template(t, "auto"), Run{})
		if err == nil || !fault.IsUsage(err) {
			t.Fatalf("%s: %v", what, err)
		}
		got := strings.Split(err.Error(), "\n")
		if len(got) != 11 || got[10] != src.Path+": 23 more records can not be used" {
			t.Fatalf("%s:\n%v\nwant 10 lines, and 23 more", what, err)
		}
		for i, w := range want {
			if !strings.HasPrefix(got[i], w) {
				t.Errorf("%s: line %d is %s, want %s", what, i, got[i], w)
			}
		}
	}
	check("the first time")
	if left, _ := os.ReadDir(o.CacheDir); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
	o.OnBadRecord = "skip"
	build(t, o)
	o.OnBadRecord = "error"
	check("from the cache")
}

// TestALineOf200MegabytesIsABadRecord: it is a hole in the file, so that the test
// writes nothing.
func TestALineOf200MegabytesIsABadRecord(t *testing.T) {
	dir := t.TempDir()
	src := write(t, dir, "a", talk("a", "b"))
	f, err := os.OpenFile(src.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 200 << 20
	start := int64(len(talk("a", "b")) + 1)
	if err := f.Truncate(start + size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("\n"+talk("c", "d")+"\n"), start+size); err != nil {
		t.Fatal(err)
	}
	o := options(dir, src)
	if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
		!strings.HasPrefix(err.Error(), src.Path+":2: a record of more than 64 MiB") || !fault.IsUsage(err) {
		t.Errorf("got %v", err)
	}
	o.OnBadRecord = "skip"
	s := build(t, o)
	if got := s.Mix().Dropped["too_many_bytes"]; got != 1 || s.Len() != 2 || s.Origin(1) != src.Path+":3" {
		t.Errorf("%d samples, dropped %v; want lines 1 and 3, and one of too many bytes", s.Len(), s.Mix().Dropped)
	}
}

// TestAParquetFileThatIsCutShortIsAnErrorWhateverThePolicy: what is lost could not
// be counted.
func TestAParquetFileThatIsCutShortIsAnErrorWhateverThePolicy(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile("read/testdata/table-zstd.parquet")
	if err != nil {
		t.Fatal(err)
	}
	src := Source{Name: "a", Path: filepath.Join(dir, "a.parquet"), LossFactor: 1}
	for _, n := range []int{len(whole) - 1, len(whole) / 2, 20, 4} {
		if err := os.WriteFile(src.Path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		o := options(dir, src)
		for _, o.OnBadRecord = range []string{"error", "skip"} {
			if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
				!strings.HasPrefix(err.Error(), src.Path+": a broken Parquet file") || !fault.IsUsage(err) {
				t.Errorf("%d of %d bytes, on_bad_record: %s: got %v", n, len(whole), o.OnBadRecord, err)
			}
		}
	}
}
