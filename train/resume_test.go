package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
	"lwtrain/model"
)

// wantSameRun compares two folders of runs: all files, and metrics without
// times. Checkpoints that only got has are not looked at: an interruption saves
// one more.
func wantSameRun(t *testing.T, want, got string) {
	t.Helper()
	have := tree(t, got)
	for name, text := range tree(t, want) {
		if name != "metrics.jsonl" && have[name] != text {
			t.Errorf("%s differs", name)
		}
	}
	if a, b := fmt.Sprint(steps(t, want)), fmt.Sprint(steps(t, got)); a != b {
		t.Errorf("metrics differ:\n%s\n%s", a, b)
	}
}

// TestAnInterruptedRunEndsWithTheSameBytes interrupts runs everywhere, lets them
// go on, and compares them with one that was not interrupted.
func TestAnInterruptedRunEndsWithTheSameBytes(t *testing.T) {
	set, chat := fixture(t, 1)
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	counter := &halfwayContext{Context: context.Background()}
	if _, err := whole.sft(counter, t); err != nil {
		t.Fatal(err)
	}
	total := counter.asked.Load()

	onStep := func(at int) func(*testJob, func()) {
		return func(j *testJob, cancel func()) {
			j.Events.Step = func(m StepMetrics) {
				if m.Step == at {
					cancel()
				}
			}
		}
	}
	onAnswer := func(nth int) func(*testJob, func()) {
		return func(j *testJob, cancel func()) {
			seen := 0
			j.Events.Answering = func(tokens, _ int) {
				if seen++; seen == nth {
					cancel()
				}
			}
		}
	}
	cases := []struct {
		name    string
		arm     func(j *testJob, cancel func())
		ctx     func() context.Context
		resumed int // -1: whatever it is
	}{
		{"after the first step", onStep(1), nil, 1},
		{"after a step that is saved anyway", onStep(5), nil, 5},
		{"between two checkpoints", onStep(7), nil, 7},
		{"before the evaluation at step 8", onStep(8), nil, 8},
		{"after the last step but one", onStep(11), nil, 11},
		{"in the last evaluation", onStep(12), nil, 12},
		{"in the answers before training", onAnswer(3), nil, 0},
		{"in the answers after training", onAnswer(whole.Asked.Prompts*whole.Asked.MaxNewTokens + 1), nil, 12},
		{"before anything", func(_ *testJob, cancel func()) { cancel() }, nil, 0},
	}
	for i := range int64(8) {
		at := 1 + i*(total-2)/7
		cases = append(cases, struct {
			name    string
			arm     func(j *testJob, cancel func())
			ctx     func() context.Context
			resumed int
		}{fmt.Sprintf("at op %d of %d", at, total), func(*testJob, func()) {}, func() context.Context {
			h := &halfwayContext{Context: context.Background()}
			h.limit.Store(at)
			return h
		}, -1})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
			ctx, cancel := context.WithCancel(context.Background())
			if c.ctx != nil {
				ctx = c.ctx()
			}
			c.arm(&j, cancel)
			r, err := j.sft(ctx, t)
			if !errors.Is(err, ErrInterrupted) {
				t.Fatalf("got %v, want %v", err, ErrInterrupted)
			}
			for _, p := range j.Model.Params {
				if slices.ContainsFunc(p.Grad, func(g float32) bool { return g != 0 }) {
					t.Fatalf("the gradients of %s are still there", p.Name)
				}
			}
			if want := r.Steps; want > 0 && filepath.Base(r.Checkpoint) != fmt.Sprintf("step-%06d", want) {
				t.Errorf("%d steps, saved as %s", want, r.Checkpoint)
			}
			j.Events, j.Model = Events{}, tiny(t)
			resumed := run(t, j)
			if resumed.Resumed != r.Steps || c.resumed >= 0 && resumed.Resumed != c.resumed {
				t.Errorf("%d steps were made, and it went on from step %d, want %d", r.Steps, resumed.Resumed, c.resumed)
			}
			wantSameRun(t, whole.Dir, j.Dir)
		})
	}
}

func TestAnInterruptedRunSavesNoCheckpointTwice(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	var saved []int
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		j.Model = tiny(t)
		j.Events.Saved = func(step int, _ string) { saved = append(saved, step) }
		j.Events.Training = func(step int) {
			if step == 5 {
				cancel()
			}
		}
		j.Events.Step = func(m StepMetrics) {
			if m.Step == 5 {
				cancel()
			}
		}
		if _, err := j.sft(ctx, t); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(saved) != "[5]" {
		t.Errorf("saved steps %v, want 5 once", saved)
	}
}

func TestMetricsAfterAnOldCheckpointAreTakenBack(t *testing.T) {
	const (
		first     = `{"step":0,"eval_loss":5}` + "\n" + `{"step":1,"loss":4}` + "\n"
		evaluated = first + `{"step":1,"eval_loss":4}` + "\n"
		diverged  = first + `{"step":1,"eval_loss":null}` + "\n"
	)
	for _, c := range []struct {
		name, text string
		step       int
		want       string
		missing    int
		evaluated  int
	}{
		{"nothing after it", first, 1, first, 0, 0},
		{"steps after it", first + `{"step":2,"loss":3}` + "\n" + `{"step":2,"eval_loss":3}` + "\n", 1, first, 0, 0},
		{"the evaluation of its step", evaluated, 1, evaluated, 0, 1},
		{"an evaluation that was not a number", diverged, 1, diverged, 0, 1},
		{"a last line that was cut off", first + `{"step":1,"eval_lo`, 1, first, 0, 0},
		{"a last line without its end", first + `{"step":1,"eval_loss":4}`, 1, first, 0, 0},
		{"zeros that a power cut left", first + "\x00\x00\x00\x00\n\x00", 1, first, 0, 0},
		{"steps are missing", first, 3, first, 2, 0},
		{"an empty file", "", 3, "", 3, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept, missing := metricsUpTo([]byte(c.text), c.step)
			h := readHistory(kept)
			if last := h.evaluated(); string(kept) != c.want || missing != c.missing || last != c.evaluated {
				t.Errorf("kept %q, %d missing, evaluated at %d; want %q, %d and %d", kept, missing, last, c.want, c.missing, c.evaluated)
			}
		})
	}
}

func TestMetricsArePutTogetherFromTheFileAndTheCopy(t *testing.T) {
	const (
		eval   = `{"step":0,"eval_loss":5}` + "\n"
		one    = `{"step":1,"loss":4,"tokens":7,"tokens_per_second":812.5,"peak_rss_bytes":9000,"kl":1}` + "\n"
		two    = `{"step":2,"loss":3,"tokens":7,"tokens_per_second":1e+06,"peak_rss_bytes":9000,"kl":2}` + "\n"
		oneCut = `{"step":1,"loss":4,"tokens":7,"kl":1}` + "\n"
		twoCut = `{"step":2,"loss":3,"tokens":7,"kl":2}` + "\n"
		copied = eval + oneCut + twoCut
		timed  = `{"step":0,"eval_loss":5,"time":"2026-01-02T03:04:05Z","elapsed_seconds":1.5}` + "\n" + one +
			`{"step":2,"loss":3,"tokens":7,"peak_rss_bytes":9000,"time":"2026-01-02T03:04:05Z","elapsed_seconds":0,"kl":2}` + "\n"
	)
	for _, c := range []struct {
		name, file, want string
		lost             int
	}{
		{"nothing is lost", eval + one + two, eval + one + two, 0},
		{"later lines", eval + one + two + `{"step":3,"loss":3}` + "\n{", eval + one + two, 0},
		{"no file", "", copied, 3},
		{"its end is cut off", eval + one + two[:20], eval + one + twoCut, 1},
		{"lines with a time", timed, timed, 0},
		{"its last byte is cut off", eval + one + two[:len(two)-1], eval + one + twoCut, 1},
		{"a digit of a loss", eval + strings.Replace(one, `"loss":4`, `"loss":5`, 1) + two, eval + oneCut + two, 1},
		{"a letter of a key", eval + strings.Replace(one, `second`, `sekond`, 1) + two, eval + oneCut + two, 1},
		{"a speed that is no number", eval + strings.Replace(one, `812.5`, `81,.5`, 1) + two, eval + oneCut + two, 1},
		{"a line is gone", eval + two, eval + oneCut + two, 1},
		{"a line stands twice", eval + one + one + two, eval + one + two, 0},
		{"other lines between", eval + "my notes\n" + one + two, eval + one + two, 0},
		{"another order", two + one + eval, eval + one + two, 0},
		{"binary", "\x00\xff\x1b\n\x00", copied, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines, lost := restoreMetrics([]byte(c.file), []byte(copied))
			if string(lines) != c.want || lost != c.lost {
				t.Errorf("%d lost, got\n%swant %d and\n%s", lost, lines, c.lost, c.want)
			}
			if again, lost := restoreMetrics(lines, []byte(copied)); lost > 0 || string(again) != c.want {
				t.Errorf("the second time: %d lost", lost)
			}
		})
	}
}

func TestTheFolderOfAnotherRunIsRefused(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	j.Options.MaxSteps, j.Asked.Prompts = 2, 0
	run(t, j)
	before := tree(t, j.Dir)
	content := func(name, hash string) func(*testJob) {
		return func(j *testJob) {
			j.Identity.Contents = maps.Clone(j.Identity.Contents)
			j.Identity.Contents[name] = hash
		}
	}
	cases := []struct {
		name, want string
		change     func(*testJob)
	}{
		{"another setting", "packing.weighting: nothing then, pack now", func(j *testJob) {
			j.Identity.Settings = map[string]string{"seed": "3", "packing.weighting": "pack"}
		}},
		{
			"a source with other content",
			"content of source 1, talks: " + set.Contents()["source 1, talks"][:12] + " then, 0123456789ab now",
			content("source 1, talks", "0123456789abcdef"),
		},
		{"another template", "content of tokenizer and template: ", content("tokenizer and template", "0123456789abcdef")},
		{"one weight of the model changed", "content of model: ", func(j *testJob) { j.Model.Params[3].Data[5] += 1e-6 }},
		{"another config.json of the same shapes", "content of model: ", func(j *testJob) {
			c, err := model.ParseConfig([]byte(strings.Replace(tinyConfig, "10000", "20000", 1)))
			if err != nil {
				t.Fatal(err)
			}
			j.Model = model.New(c, 1)
			t.Cleanup(j.Model.Free)
		}},
	}
	saved, away := filepath.Join(j.Dir, "checkpoints"), filepath.Join(j.Dir, "away")
	for _, when := range []string{"with a checkpoint", "before its first checkpoint", "without run.json"} {
		var err error
		switch when {
		case "before its first checkpoint":
			err = os.Rename(saved, away)
		case "without run.json":
			err = errors.Join(os.Rename(away, saved), os.Remove(filepath.Join(j.Dir, rundir.File)))
		}
		if err != nil {
			t.Fatal(err)
		}
		there := tree(t, j.Dir)
		for _, c := range cases {
			t.Run(c.name+" "+when, func(t *testing.T) {
				other := j
				other.Model = tiny(t)
				c.change(&other)
				_, err := other.sft(context.Background(), t)
				if err == nil || !strings.Contains(err.Error(), "holds another run: "+c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if !fault.IsUsage(err) || fault.HintOf(err) == "" {
					t.Errorf("usage %t, hint %q, want a hint for the user", fault.IsUsage(err), fault.HintOf(err))
				}
				if after := tree(t, j.Dir); !maps.Equal(after, there) {
					t.Error("a refused run changed the folder")
				}
			})
		}
	}
	if step, err := CheckFolder(j.Dir, Identity{}); step != 2 || err != nil {
		t.Errorf("a folder with checkpoints alone: step %d, %v", step, err)
	}
	j.Model = tiny(t)
	if r := run(t, j); r.Resumed != 2 {
		t.Error("the run itself is not known again by its checkpoints alone")
	}
	if !bytes.Equal(reproducible([]byte(before["metrics.jsonl"])), reproducible([]byte(tree(t, j.Dir)["metrics.jsonl"]))) {
		t.Error("the metrics changed")
	}
}

func TestAFolderWithFilesOfSomebodyElseIsRefused(t *testing.T) {
	set, chat := fixture(t, 1)
	for _, name := range []string{"config.yaml", "metrics.jsonl", "answers.json"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := job(t, set, chat, dir).sft(context.Background(), t)
		if err == nil || !strings.Contains(err.Error(), name+" is there, without run.json") || !fault.IsUsage(err) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := tree(t, dir); len(got) != 1 || got[name] != "mine" {
			t.Errorf("%s: left %v", name, got)
		}
	}
}

func TestAKillInTheFirstWriteOfARunLeavesNothingBehind(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, t.TempDir())
	j.Options.MaxSteps, j.Asked.Prompts = 1, 0
	for _, name := range []string{".run.json.tmp-123", ".notes.tmp-123"} {
		if err := os.WriteFile(filepath.Join(j.Dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, j)
	got := tree(t, j.Dir)
	if _, there := got[".run.json.tmp-123"]; there {
		t.Error("what the kill cut off is still there")
	}
	if _, there := got[".notes.tmp-123"]; !there {
		t.Error("a file of somebody else is gone")
	}
}

func TestTwoProcessesDoNotShareAFolder(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	j.Options.MaxSteps, j.Asked.Prompts = 2, 0
	var second error
	j.Events.Step = func(m StepMetrics) {
		if m.Step == 1 {
			other := job(t, set, chat, j.Dir)
			_, second = other.sft(context.Background(), t)
		}
	}
	run(t, j)
	if second == nil || !strings.Contains(second.Error(), "another process is at work in this folder") || !fault.IsUsage(second) {
		t.Errorf("got %v", second)
	}
}

func TestAnotherMachineIsSaidAndWrittenDown(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	j.Asked.Prompts = 0
	ctx, cancel := context.WithCancel(context.Background())
	j.Events.Step = func(StepMetrics) { cancel() }
	if _, err := j.sft(ctx, t); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	var file runFile
	path := filepath.Join(j.Dir, rundir.File)
	if _, err := rundir.ReadJSON(path, &file); err != nil || len(file.Machines) != 1 {
		t.Fatal(err, file.Machines)
	}
	here := file.Machines[0]
	file.Machines[0] = "640 threads, m68k"
	if err := rundir.WriteJSON(path, file); err != nil {
		t.Fatal(err)
	}
	var said []string
	j.Model, j.Events = tiny(t), Events{Moved: func(then, now string) { said = append(said, then+" -> "+now) }}
	run(t, j)
	if fmt.Sprint(said) != fmt.Sprint([]string{"640 threads, m68k -> " + here}) {
		t.Errorf("said %q", said)
	}
	if _, err := rundir.ReadJSON(path, &file); err != nil || fmt.Sprint(file.Machines) != fmt.Sprint([]string{"640 threads, m68k", here}) {
		t.Errorf("run.json has %q, %v", file.Machines, err)
	}
}
