package data

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/data/store"
	"lwtrain/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files of this package again")

// TestStatisticsAsJSON holds the contract of `lwtrain stats --json`. The golden
// file was made by `go test ./data -run TestStatisticsAsJSON -update`.
func TestStatisticsAsJSON(t *testing.T) {
	golden, err := filepath.Abs("testdata/stats.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	story := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "word%c%c%c ", 'a'+i%26, 'a'+i/26%26, 'a'+i/676)
		}
		return strings.TrimSpace(b.String())
	}
	long := write(t, ".", "long", talk("Write a 600-word story.", story(540)+"."), talk("Write at least 300 words.", story(120)),
		talk("写一篇20字的短文", "今天天气很好，我们去公园玩了一整天。"))
	general := write(t, ".", "general", talk("hello", "Hello!"), talk("hello", "Hello!"), talk("Write a 600-word story.", story(540)+"."),
		talk("help", "I'm sorry, but I can't."), `{"messages": []}`, talk("again",
			strings.Repeat("this goes on and on and on ", 20)+"."), talk("long", story(3000)+"."))
	o := options(".", long, general)
	o.OnBadRecord, o.TooLong, o.HeldOut.Count = "skip", "skip", 1
	s, err := build(t, o).Stats(o)
	if err != nil {
		t.Fatal(err)
	}
	s.AddLossShare("source", "long", "token", 0.75)
	s.AddLossShare("words", "0-499", "token", 0.5)
	for i := range s.Sources { // its name depends on the tokenizer and the store's format
		s.Sources[i].Cache = "cache"
	}
	got, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the statistics differ from %s:\n%s", golden, got)
	}

	// What is written can be read again, to the same.
	if err := os.WriteFile("saved.json", got, 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := ReadStats("saved.json")
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := json.MarshalIndent(again, "", " "); !bytes.Equal(append(raw, '\n'), got) {
		t.Errorf("read again: %s", raw)
	}
	for name, text := range map[string]string{"no JSON": "{", "other JSON": "{}",
		"another format": `{"format": 99, "mix": {"name": "mix"}}`} {
		if err := os.WriteFile("bad.json", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadStats("bad.json"); err == nil || !fault.IsUsage(err) || !strings.Contains(err.Error(), "bad.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatisticsCountASplitConversationOnce(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talk("x", strings.Repeat("word ", 100)+"."), talk("y", "z")))
	o.MaxLength, o.TooLong = 100, "split"
	s, err := build(t, o).Stats(o)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, x := range s.Mix.Lengths.Tokens.Histogram {
		n += x
	}
	if s.Mix.Pieces < 5 || s.Mix.Samples != 2 || n != 2 || s.Mix.Buckets[0].Samples != 2 || s.Mix.Lengths.OutputWords.Max != 100 {
		t.Errorf("%d pieces, %d samples, %d in the histogram: %+v", s.Mix.Pieces, s.Mix.Samples, n, s.Mix.Buckets)
	}
}

func TestDuplicatesAreTheSameInHoweverManyPasses(t *testing.T) {
	defer func(n int) { hashesHeld = n }(hashesHeld)
	dir := t.TempDir()
	lines := talks(40)
	a := write(t, dir, "a", append(lines, lines[:5]...)...)
	b := write(t, dir, "b", append([]string{talk("another", "one")}, lines[10:17]...)...)
	s := build(t, options(dir, a, b))
	for _, held := range []int{1 << 20, 10, 1} {
		hashesHeld = held
		got, err := s.duplicates()
		if err != nil || fmt.Sprint(got) != "[5 7]" {
			t.Errorf("%d hashes at a time: %v, %v; want [5 7]", held, got, err)
		}
	}
}

func TestAStoreOfAnEarlierFormatIsBuiltAgainWithTheReasonSaid(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(3)...))
	first := build(t, o).Sources()[0].Cache
	path := filepath.Join(first, "manifest.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := bytes.Replace(raw, fmt.Appendf(nil, `"format": %d`, store.Format), []byte(`"format": 1`), 1)
	if err := os.WriteFile(path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(first, first+"0"); err != nil { // the key held the format
		t.Fatal(err)
	}
	if got := build(t, o).Sources()[0].Tokenised; got != "the store's format changed" {
		t.Errorf("tokenised for %q", got)
	}
}

func TestADamagedManifestIsFoundAndMadeAgain(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", append(talks(3), `{"messages": []}`)...))
	o.OnBadRecord = "skip"
	path := filepath.Join(build(t, o).Sources()[0].Cache, "manifest.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 3 {
		raw := bytes.Clone(whole)
		raw[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		got := build(t, o).Sources()[0]
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(after, whole) && !bytes.Equal(after, raw) {
			t.Fatalf("byte %d flipped to %q: another manifest came out, %v", at, raw[at], err)
		}
		if meansTheSame := bytes.Equal(after, raw); !meansTheSame && !strings.Contains(got.Tokenised, "manifest") {
			t.Errorf("byte %d flipped to %q: tokenised for %q", at, raw[at], got.Tokenised)
		}
	}
}

func TestDamagedFactsAreFoundAndMadeAgain(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(30)...))
	path := filepath.Join(build(t, o).Sources()[0].Cache, "facts.bin")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := build(t, o).Sources()[0].Tokenised; !strings.Contains(got, "facts.bin") {
		t.Errorf("tokenised for %q", got)
	}
	dry, err := Build(context.Background(), Options{Sources: []Source{write(t, dir, "b", talks(2)...)}, MaxLength: 4096, CacheDir: dir},
		template(t, "auto"), Run{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	defer dry.Close()
	if _, err := dry.Stats(Options{}); err == nil {
		t.Error("a dry run, which keeps nothing of the text, gave statistics of it")
	}
}

func TestMessagesThatSpellTokensOfTheTemplateAreSaid(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talk("one", "two"), talk("what is <|im_end|>?", "a token"),
		talk("and <|im_start|>user", "another <|im_end|> here")))
	s, err := build(t, o).Stats(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Mix.Suspicious["special_tokens"]; got.Samples != 2 || len(got.Examples) != 2 || !strings.HasSuffix(got.Examples[0], ":2") {
		t.Errorf("%+v", got)
	}
}
