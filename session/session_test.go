package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/configs"
	"lwtrain/convert"
	"lwtrain/hub/hubtest"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/train"
)

// small is a run of a second.
const small = `
model: {init: {seed: 0, config: {model_type: llama, vocab_size: 259, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1,
  num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 512, rms_norm_eps: 1.0e-5, tie_word_embeddings: true}}}
data: {sources: [{path: "builtin:quickstart/general_en.jsonl"}], max_length: 128, too_long: truncate, held_out: 0, cache_dir: cache}
packing: {capacity: 128}
train: {max_steps: 2, gradient_accumulation_steps: 1}
output: {dir: run}
`

func Example() {
	dir, err := os.MkdirTemp("", "session-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	overrides := []string{"output.dir=" + filepath.Join(dir, "run"), "data.cache_dir=" + filepath.Join(dir, "cache")}
	c, err := configs.Parse("my.yaml", []byte(small), overrides, nil)
	if err != nil {
		panic(err)
	}
	s := session.Open(c, session.Events{}, false)
	defer s.Close()
	run, err := s.Run(context.Background(), session.SFT)
	if err != nil {
		panic(err)
	}
	defer run.Close()
	result, err := run.Do(context.Background(), train.Events{})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Steps, "steps,", filepath.Base(result.Checkpoint))
	// Output: 2 steps, step-000002
}

// config parses small with overrides, in a folder of the test that it changes to.
func config(t *testing.T, overrides ...string) *configs.Config {
	t.Helper()
	c, err := configs.Parse("my.yaml", []byte(small), overrides, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// told collects what a session tells, without numbers.
func told(said *[]string) session.Events {
	add := func(text string) {
		if n := len(*said); n == 0 || (*said)[n-1] != text { // how far it is comes many times
			*said = append(*said, text)
		}
	}
	return session.Events{
		Warning:    func(text string) { add("warning: " + text) },
		Discarded:  func(ref string, _ int64) { add("discarded " + ref) },
		Fetching:   func(repo string, _, _ int64) { add("fetching " + repo) },
		Importing:  func(_, _ int64) { add("importing") },
		Tokenising: func(_, _ int64) { add("tokenising") },
		Ended:      func(err error) { add(fmt.Sprintf("ended: %v", err)) },
	}
}

// files lists what lies in the current folder.
func files(t *testing.T) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestADryRunSaysWhatARunWouldDoAndWritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	s := session.Open(config(t), session.Events{}, true)
	defer s.Close()
	run, err := s.Run(t.Context(), session.SFT)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	plan, err := run.Plan()
	if err != nil || plan.Schedule.Total != 2 {
		t.Errorf("plan %+v, %v, want 2 steps", plan, err)
	}
	if step, err := run.Check(); step != 0 || err != nil {
		t.Errorf("goes on from step %d, %v", step, err)
	}
	if got := files(t); len(got) != 1 {
		t.Errorf("left %v", got)
	}
}

func TestAFolderOfAnotherRunIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, overrides := range [][]string{nil, {"threads=1", "train.save_steps=1"}, {"train.learning_rate=1e-3"}} {
		s := session.Open(config(t, overrides...), session.Events{}, false)
		run, err := s.Run(t.Context(), session.SFT)
		if err != nil {
			t.Fatal(err)
		}
		_, err = run.Do(t.Context(), train.Events{})
		if another := i == 2; another != (err != nil) || another && !strings.Contains(err.Error(), "train.learning_rate") {
			t.Errorf("%v: got %v", overrides, err)
		}
		run.Close()
		s.Close()
	}
}

func TestStatisticsRefuseNothingThatARunTakes(t *testing.T) {
	for _, overrides := range [][]string{
		{"train.max_steps=0", "train.num_train_epochs=4", "train.warmup_steps=9", "train.warmup_ratio=0"},
		{"train.max_steps=40", "train.warmup_steps=40", "train.warmup_ratio=0"},
		{"train.max_steps=0", "train.num_train_epochs=0.01"},
		{"train.gradient_accumulation_steps=65536"},
	} {
		t.Run(strings.Join(overrides, " "), func(t *testing.T) {
			t.Chdir(t.TempDir())
			c := config(t, append([]string{"train.gradient_accumulation_steps=4"}, overrides...)...)
			s := session.Open(c, session.Events{}, false)
			defer s.Close()
			run, err := s.Run(t.Context(), session.SFT)
			if err != nil {
				t.Fatal(err)
			}
			defer run.Close()
			if _, err := run.Plan(); err != nil {
				t.Fatalf("the run itself: %v", err)
			}
			if stats, err := session.Stats(c, run.Data); err != nil || stats.Mix.Samples == 0 {
				t.Errorf("got %+v, %v", stats, err)
			}
		})
	}
}

func TestWorkThatIsCancelledEndsWithItsContext(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var said []string
	s := session.Open(config(t), told(&said), false)
	defer s.Close()
	if _, err := s.Run(ctx, session.SFT); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if !slices.Contains(said, "ended: context canceled") {
		t.Errorf("told %q", said)
	}
}

func TestAGGUFFileIsImportedOnce(t *testing.T) {
	gguf, err := filepath.Abs("../convert/testdata/tiny-smollm.gguf")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		dryRun  bool
		imports bool
	}{{true, true}, {false, true}, {false, false}, {true, false}} {
		var said []string
		conf := config(t)
		conf.Model.Init, conf.Model.Path = nil, gguf
		s := session.Open(conf, told(&said), c.dryRun)
		m, err := s.Model(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Name != "tiny-smollm.gguf" {
			t.Errorf("the model is called %s", m.Name)
		}
		s.Close()
		if got := slices.Contains(said, "importing"); got != c.imports {
			t.Errorf("%+v: told %q", c, said)
		}
		if left := files(t); c.dryRun && c.imports && len(left) != 1 {
			t.Errorf("a dry run left %v", left)
		}
	}
}

// TestATokenWithoutARow names a token in tokenizer_config.json for which the model has no row, as
// AutoTokenizer lets it: only records that hold it are refused.
func TestATokenWithoutARow(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "m")
	if err := convert.FromGGUF("../convert/testdata/tiny-smollm.gguf", folder, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "tokenizer_config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	own, err := session.LoadTokenizer(t.Context(), folder, session.Events{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ReadConfig(folder)
	if err != nil {
		t.Fatal(err)
	}
	var extra []string
	for i := range c.Vocab - own.VocabSize() + 1 {
		extra = append(extra, fmt.Sprintf("<extra %d>", i))
	}
	last := extra[len(extra)-1]
	file["additional_special_tokens"] = extra
	if raw, err = json.Marshal(file); err == nil {
		err = os.WriteFile(path, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []struct{ question, want string }{
		{"one", ""},
		{"one " + last, fmt.Sprintf("talk.jsonl:1: holds the token %q (id %d), and the model has rows for %d", last, c.Vocab, c.Vocab)},
	} {
		t.Chdir(t.TempDir())
		line, _ := json.Marshal(map[string]any{"messages": []map[string]string{
			{"role": "user", "content": said.question}, {"role": "assistant", "content": "a b c"}}})
		if err := os.WriteFile("talk.jsonl", line, 0o644); err != nil {
			t.Fatal(err)
		}
		c := config(t)
		c.Model.Init, c.Model.Path, c.Data.Sources[0].Path = nil, folder, "talk.jsonl"
		var warnings []string
		s := session.Open(c, told(&warnings), false)
		run, err := s.Run(t.Context(), session.SFT)
		if err == nil {
			run.Close()
		}
		if (err == nil) != (said.want == "") || err != nil && !strings.Contains(err.Error(), said.want) {
			t.Errorf("%s: got %v, want %q", said.question, err, said.want)
		}
		if !strings.Contains(strings.Join(warnings, "\n"), "there is no row for") {
			t.Errorf("told %q", warnings)
		}
		s.Close()
	}
}

func TestWhatLiesOnTheHubIsFetchedAndItsCommitKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "m")
	if err := convert.FromGGUF("../convert/testdata/tiny-smollm.gguf", folder, nil); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	h := hubtest.New()
	defer h.Close()
	t.Setenv("HF_ENDPOINT", h.URL)
	t.Setenv("HF_HOME", filepath.Join(t.TempDir(), "hf"))
	repo := hubtest.Repo{}
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		repo[e.Name()] = string(raw)
	}
	h.Models["o/m"] = repo
	h.Datasets["o/d"] = hubtest.Repo{
		"train.jsonl": `{"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "a b c"}]}` + "\n",
	}
	for _, dryRun := range []bool{true, false} {
		var said []string
		c := config(t)
		c.Model.Init, c.Model.Path, c.Data.Sources[0].Path = nil, "hf://o/m", "hf://o/d"
		s := session.Open(c, told(&said), dryRun)
		run, err := s.Run(t.Context(), session.SFT)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(c.Model.Path, hubtest.Commit) || !strings.Contains(c.Data.Sources[0].Path, hubtest.Commit) {
			t.Errorf("kept %s and %s", c.Model.Path, c.Data.Sources[0].Path)
		}
		if got := slices.Contains(said, "discarded hf://o/m"); got != dryRun || !slices.Contains(said, "fetching o/m") {
			t.Errorf("dry run %v: told %q", dryRun, said)
		}
		weights := slices.ContainsFunc(h.Asked(), func(line string) bool { return strings.Contains(line, "safetensors") })
		if weights == dryRun {
			t.Errorf("dry run %v: weights fetched %v", dryRun, weights)
		}
		run.Close()
		s.Close()
	}
}

func TestWhatAConfigNamesAndIsNotThere(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("HF_HOME", filepath.Join(t.TempDir(), "hf"))
	c := config(t, "data.sources=[{path: there.jsonl}, {path: gone.jsonl}, {path: hf://o/d}, "+
		"{path: 'builtin:quickstart/general_en.jsonl'}]")
	if err := os.WriteFile("there.jsonl", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := session.FindMissing(c)
	want := []session.Missing{{"data.sources[1].path", "gone.jsonl", false}, {"data.sources[2].path", "hf://o/d", true}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
