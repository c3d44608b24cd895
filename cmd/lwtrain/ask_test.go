package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lwtrain/configs"
	"lwtrain/internal/fault"
)

func TestInitAsksAgainAndKeepsWhatWasSaid(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"model/config.json", "train.jsonl", "more.jsonl"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, typed string
		want        configs.Answers
		says        string
	}{
		{"every line is empty", "\n\n\n\n\n", configs.Answers{}, "[runs/<the file's name>]"},
		{
			"all is right", "model\ntrain.jsonl more.jsonl\ndpo\n512\nout\n",
			configs.Answers{Model: "model", Data: []string{"train.jsonl", "more.jsonl"}, DPO: true, Capacity: 512, Output: "out"}, "",
		},
		{
			"a wrong answer is asked for again", "modl\nmodel\n\nstf\nsft\nmany\n3\n512\n\n",
			configs.Answers{Model: "model", Capacity: 512}, "there is model",
		},
		{
			"a file that is not there is kept when it is said twice", "\ntrain.json\ntrain.json\n\n\n\n",
			configs.Answers{Data: []string{"train.json"}}, "there is train.jsonl",
		},
		{"the input ends", "model\ntrain.jsonl\n", configs.Answers{Model: "model", Data: []string{"train.jsonl"}}, "The input ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got configs.Answers
			var said strings.Builder
			if err := ask(t.Context(), strings.NewReader(c.typed), &said, "my.yaml", &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" || !strings.Contains(said.String(), c.says) {
				t.Errorf("%s\nit said\n%s", d, said.String())
			}
		})
	}
}

// typist is an input of lines of which each is read once the one before was taken. At the end
// it interrupts.
type typist struct {
	lines     []string
	interrupt func()
}

func (t *typist) Read(b []byte) (int, error) {
	if len(t.lines) == 0 {
		t.interrupt()
		select {}
	}
	line := t.lines[0]
	t.lines = t.lines[1:]
	return copy(b, line+"\n"), nil
}

func TestAnInterruptedInitSaysWhatWasSaid(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	in := &typist{[]string{"me/my-model", "hf://me/data", "dpo"}, stop}
	err := ask(ctx, in, io.Discard, "my.yaml", new(configs.Answers))
	const want = "with what was said: lwtrain init my.yaml --dpo --model me/my-model --data hf://me/data"
	if got := fault.HintOf(err); got != want || status(err) != exitInterrupted {
		t.Errorf("%v, status %d, hint %q, want %q", err, status(err), got, want)
	}
}
