package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

// asked is a prompt with an answer, and what else its record says.
func asked(i int, more string) string {
	return fmt.Sprintf(`{"prompt": "Name tree %d.", "completion": "An oak, I think."%s}`, i, more)
}

// many is n records from number on, which take more than a chunk.
func many(number int, more string) []string {
	var out []string
	for i := range (chunkBytes + chunkBytes/8) / len(asked(1000, more)) {
		out = append(out, asked(number+i, more))
	}
	return out
}

func TestLabelsMayBeginLater(t *testing.T) {
	unlabelled := many(1000, "")
	late := append(append([]string{}, unlabelled...), asked(1, `, "label": true`), asked(1, `, "label": false`))
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"in the second record": {[]string{asked(0, `, "label": null`), asked(1, `, "label": "true"`), asked(2, `, "label": 0`)},
			"kto, 2 answers, map[no_label:1]"},
		"behind records without the key, far down": {late, fmt.Sprintf("kto, 2 answers, map[no_label:%d]", len(unlabelled))},
	} {
		for _, run := range []Run{{Seed: 1, Labels: true}, {Seed: 1, Labels: true, Any: true}, {Seed: 1, Labels: true, Any: true,
			DryRun: true}} {
			dir := t.TempDir()
			o := options(dir, write(t, dir, "a", c.lines...))
			o.OnBadRecord = "skip"
			s, err := Build(context.Background(), o, template(t, "auto"), run)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer s.Close()
			if got := fmt.Sprintf("%s, %d answers, %v", s.Sources()[0].Format, s.Len(), s.Mix().Dropped); got != c.want {
				t.Errorf("%s, %+v: %s, want %s", name, run, got, c.want)
			}
		}
		dir := t.TempDir()
		o := options(dir, write(t, dir, "a", c.lines...))
		o.OnBadRecord = "skip"
		if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); !fault.IsUsage(err) ||
			!strings.Contains(err.Error(), "holds labelled answers, some of them bad, want conversations") ||
			!strings.Contains(fault.HintOf(err), "ignore: [label, kto_tag]") {
			t.Errorf("%s: conversations are wanted: %v", name, err)
		}
		o.Sources[0].Side = "chosen"
		if s := build(t, o); s.Len() != 1 {
			t.Errorf("%s: %d samples that are labelled good, want 1", name, s.Len())
		}
		o.Sources[0].Side, o.Sources[0].Ignore = "", []string{"label"}
		if s := build(t, o); s.Len() != len(c.lines) || s.Sources()[0].Format != "prompt_completion" {
			t.Errorf("%s: %d samples where labels are ignored, want all %d", name, s.Len(), len(c.lines))
		}
	}
}

func TestASourceOfTwoFormatsIsRefused(t *testing.T) {
	pair := `{"prompt": "q", "chosen": "a", "rejected": "b"}`
	for name, c := range map[string]struct {
		lines []string
		says  string
	}{
		"messages and an instruction": {[]string{"{}", talk("q", "a"), `{"instruction": "i", "output": "o"}`},
			":3: a record of the format alpaca (instruction, output), and those before it are of the format messages (messages), as " +
				"on PATH:2"},
		"far down": {append(many(1000, ""), talk("q", "a")),
			": a record of the format messages (messages), and those before it are of the " +
				"format prompt_completion (prompt, completion), as on PATH:1"},
		"a pair among conversations": {[]string{asked(1, ""), pair}, ":2: a record of the format preference (chosen, rejected)"},
		"a rejected answer that comes later": {[]string{talk("q", "a"), strings.Replace(talk("q", "a"), "{", `{"rejected_response": "b", `,
			1)},
			":2: a record of the format preference (chosen, rejected)"},
		"a conversation among pairs": {[]string{pair, asked(1, "")}, ":2: a record of the format prompt_completion"},
		"a label among pairs":        {[]string{pair, asked(1, `, "label": true`)}, ":2: a record of the format kto (label)"},
		"a pair among labelled":      {[]string{asked(1, `, "label": true`), pair}, ":2: a record of the format preference"},
		"columns of null among others": {[]string{talk("q", "a"), asked(1, `, "messages": null`)},
			":2: a record of the format prompt_completion"},
	} {
		for _, bad := range []string{"error", "skip"} {
			dir := t.TempDir()
			src := write(t, dir, "a", c.lines...)
			o := options(dir, src)
			if o.OnBadRecord = bad; c.lines[0] == "{}" && bad == "error" {
				continue // its first record is another error
			}
			_, err := Build(context.Background(), o, template(t, "auto"), Run{Any: true})
			if want := strings.ReplaceAll(c.says, "PATH", src.Path); !fault.IsUsage(err) || !strings.HasPrefix(err.Error(), src.Path+":") ||
				!strings.Contains(err.Error(), want) || !strings.Contains(fault.HintOf(err), "make two sources of them") {
				t.Errorf("%s, on_bad_record: %s: %v, want %s", name, bad, err, want)
			}
			if left, _ := os.ReadDir(o.CacheDir); len(left) > 0 {
				t.Errorf("%s: left in the cache: %v", name, left)
			}
		}
	}
	dir := t.TempDir()
	src := write(t, dir, "a", talk("q", "a"), asked(1, ""), asked(2, ""))
	src.Format = "messages"
	o := options(dir, src)
	o.OnBadRecord = "skip"
	if s := build(t, o); s.Len() != 1 || s.Mix().Dropped["no_messages"] != 2 {
		t.Errorf("a format that is said: %d samples, %v", s.Len(), s.Mix().Dropped)
	}
}

func TestTheFormatMayBeginBehindBadRecords(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for range (chunkBytes + chunkBytes/8) / 20 {
		lines = append(lines, `{"note": "no talk"}`)
	}
	n := len(lines)
	o := options(dir, write(t, dir, "a", append(lines, talk("q", "a"))...))
	o.OnBadRecord = "skip"
	if s := build(t, o); s.Len() != 1 || s.Mix().Dropped["no_messages"] != n {
		t.Errorf("%d samples, dropped %v, want 1 and %d", s.Len(), s.Mix().Dropped, n)
	}
}

func TestKeysThatAreNotReadAreCounted(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a", strings.Replace(talk("q", "a"), "{", `{"topic": "sea", "id": 7, `, 1), talk("q", "b"), "{",
		strings.Replace(talk("q", "c"), "{", `{"topic": "tide", "mood": "", `, 1))
	b := write(t, dir, "b",
		`{"messages": [`+user("q")+`, {"role": "assistant", "content": "a", "mood": "calm", "name": "bot"}], "topic": "x"}`)
	o := options(dir, a, b)
	o.OnBadRecord = "skip"
	for range 2 { // from the cache, too
		s := build(t, o)
		if got := fmt.Sprint(s.Mix().Unread, s.Sources()[0].Unread); got != "map[messages.mood:1 topic:3] map[topic:2]" {
			t.Errorf("not read: %s", got)
		}
	}
	look, err := build(t, o).Look(o, template(t, "auto"), 0, 4)
	if err != nil || fmt.Sprint(look.Unread) != "[topic]" {
		t.Errorf("a record's: %v, %v", look.Unread, err)
	}
	var lines []string
	for i := range 300 {
		lines = append(lines, strings.Replace(talk("q", "a"), "{", fmt.Sprintf(`{"key %d": 1, `, i), 1))
	}
	s := build(t, options(dir, write(t, dir, "c", lines...)))
	if got := s.Mix().Unread; len(got) != 101 || got["other keys"] != 200 {
		t.Errorf("%d keys, %d others, want 101 and 200", len(got), got["other keys"])
	}
}

func TestColumnsOfTablesThatAreNotReadAreCounted(t *testing.T) {
	for _, name := range []string{"table-zstd.parquet", "table-stream.arrow"} {
		o := options(t.TempDir(), Source{Name: "a", Path: filepath.Join("read/testdata", name), LossFactor: 1})
		o.OnBadRecord, o.TooLong = "skip", "skip"
		// good is read, to refuse what it calls bad, and counted of what is used
		if got := build(t, o).Mix().Unread; fmt.Sprint(got) != "map[good:3 prompt:3 score:12 unsigned:12]" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAnAnswerThatIsCalledGoodAndBadIsNoPair(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", asked(1, `, "label": true`), asked(1, `, "label": false`),
		`{"prompt": "q", "completion": "a", "label": 1}`, `{"prompt": "q", "completion": "b", "label": 0}`))
	s, err := Build(context.Background(), o, template(t, "auto"), Run{Seed: 1, Pairs: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := fmt.Sprint(len(s.Pairs()), s.Mix().Dropped); got != "1 map[equal_answers:1]" {
		t.Errorf("pairs and dropped: %s", got)
	}
}

func TestPairsOfTheSameTokensAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trims.jinja")
	const trims = `{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}{%- endfor %}` +
		`{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`
	if err := os.WriteFile(path, []byte(trims), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	src := write(t, dir, "a", `{"prompt": "Name a sea.", "chosen": "The North Sea. ", "rejected": "The North Sea."}`,
		`{"prompt": "Name a sea.", "chosen": "The North Sea. ", "rejected": "No."}`)
	o := options(dir, src)
	made := func() (*Set, error) {
		return Build(context.Background(), o, template(t, path), Run{Seed: 1, Pairs: true})
	}
	if _, err := made(); err == nil || !strings.HasPrefix(err.Error(),
		src.Path+":1: the template makes the same tokens of chosen and rejected") {
		t.Errorf("got %v", err)
	}
	o.OnBadRecord = "skip"
	s, err := made()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := fmt.Sprint(len(s.Pairs()), s.Mix().Dropped); got != "1 map[equal_answers:1]" {
		t.Errorf("pairs and dropped: %s", got)
	}
}

// TestWhatAPairSaysBesideItsTextsIsTokenised: history and reasoning, of both sides.
func TestWhatAPairSaysBesideItsTextsIsTokenised(t *testing.T) {
	path := filepath.Join(t.TempDir(), "thinks.jinja")
	const thinks = `{% for m in messages %}{{ m.role + ':' }}{% if m.reasoning_content %}{{ '<' + m.reasoning_content + '>' }}{% endif %}` +
		`{{ m.content + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}`
	if err := os.WriteFile(path, []byte(thinks), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a",
		`{"prompt": "7x9?", "history": [["7x8?", "56"]], "chosen": {"role": "assistant", "reasoning": "careful", `+
			`"content": "63"}, "rejected": {"role": "assistant", "thinking": "sloppy", "content": "63"}}`))
	s, err := Build(context.Background(), o, template(t, path), Run{Seed: 1, Pairs: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const prompt = "user:7x8?<|im_end|>assistant:56<|im_end|>user:7x9?<|im_end|>assistant:"
	for i, want := range []string{"<careful>63<|im_end|>", "<sloppy>63<|im_end|>"} {
		x, err := s.Sample(s.Pairs()[0].Answers()[i])
		if err != nil {
			t.Fatal(err)
		}
		if text := tokenizer.Bytes().Decode(x.IDs, false); text != prompt+want {
			t.Errorf("%s, want %s", text, prompt+want)
		}
	}
}

func TestASourceWithoutTargetsSaysSo(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", `{"messages": [`+user("a")+`, {"role": "assistant", "content": "b", "weight": 0}]}`, talk("c",
		"d")))
	o.Sources[0].TrainOn = "marked"
	s := build(t, o)
	if mix := s.Mix(); s.Len() != 0 || mix.Dropped["no_target"] != 2 || mix.LostTokens != 0 {
		t.Errorf("%d samples, dropped %v, %d tokens lost to their length", s.Len(), mix.Dropped, mix.LostTokens)
	}
	err := s.NothingLeft("sample")
	if !fault.IsUsage(err) || err.Error() != "no sample is left to train on: 0 in all, 0 held out, no_target 2" ||
		!strings.Contains(fault.HintOf(err), "a weight of 0") {
		t.Errorf("%v, %s", err, fault.HintOf(err))
	}
}

// TestNothingIsHeldOutOfNothing: that all samples are too long is what there is to say, and not how many were to be held out.
func TestNothingIsHeldOutOfNothing(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talk("a", strings.Repeat("b", 4000)), talk("c", strings.Repeat("d", 4000))))
	o.HeldOut, o.MaxLength, o.TooLong = HeldOut{Count: 1}, 64, "skip"
	err := build(t, o).NothingLeft("sample")
	if err == nil || err.Error() != "no sample is left to train on: 0 in all, 0 held out, too_long 2" {
		t.Errorf("got %v", err)
	}
}

func TestASetWithoutRecordsNamesItsFiles(t *testing.T) {
	dir := t.TempDir()
	s := build(t, options(dir, write(t, dir, "a", " ")))
	if hint := fault.HintOf(s.NothingLeft("sample")); !strings.Contains(hint, "no record in "+dir) {
		t.Errorf("the hint is %q", hint)
	}
}

func TestLabelsThatAreClassesAreTheirNames(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		ignore []string
		run    Run
		want   string
	}{
		"pos and neg, as labels":            {"labels", nil, Run{Labels: true}, "kto 2"},
		"pos and neg, where all are wanted": {"labels", nil, Run{}, "holds labelled answers, some of them bad"},
		"topics": {"topics", nil, Run{},
			"topics.parquet: label holds the classes sea, sports, want labels of good and bad"},
		"topics, as labels":       {"topics", nil, Run{Labels: true}, "holds the classes sea, sports"},
		"topics that are ignored": {"topics", []string{"label"}, Run{}, "prompt_completion 2"},
	} {
		o := options(t.TempDir(), Source{Name: "a", Path: "read/testdata/" + c.file + ".parquet", Repeat: 1, LossFactor: 1})
		o.Sources[0].Ignore = c.ignore
		s, err := Build(context.Background(), o, template(t, "auto"), c.run)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("%s %d", s.Sources()[0].Format, s.Len())
			s.Close()
		}
		if !strings.Contains(got, c.want) || err != nil && (!fault.IsUsage(err) || fault.HintOf(err) == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestKeysThatAreIgnoredAndNeverThereAreSaid(t *testing.T) {
	dir := t.TempDir()
	for _, src := range []Source{
		write(t, dir, "a", asked(1, `, "topic": "x"`), asked(2, "")),
		{Name: "b", Path: "read/testdata/topics.parquet", LossFactor: 1},
	} {
		src.Ignore = []string{"topic", "tpoic", "label"}
		o := options(dir, src)
		want := map[string]string{"a": "ignore: no record has the key tpoic; ignore: no record has the key label",
			"b": "ignore: no record has the key topic; ignore: no record has the key tpoic"}[src.Name]
		for _, from := range []string{"the file", "the cache"} {
			if got := strings.Join(build(t, o).Sources()[0].Notes, "; "); got != want {
				t.Errorf("%s, from %s: %q, want %q", src.Name, from, got, want)
			}
		}
	}
}
