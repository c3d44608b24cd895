package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// damage is something that happens to a file of a run's folder.
type damage struct {
	name, file string
	change     func(raw []byte) []byte // nil: the file is removed
	said       string                  // "": nothing has to be
}

var damages = []damage{
	{"no metrics", "metrics.jsonl", nil, "metrics.jsonl: "},
	{"empty metrics", "metrics.jsonl", func([]byte) []byte { return []byte{} }, "metrics.jsonl: "},
	{"metrics cut in half", "metrics.jsonl", half, "metrics.jsonl: "},
	{"binary metrics", "metrics.jsonl", func([]byte) []byte { return []byte("\x1f\x8b\x00\n\xff") }, "metrics.jsonl: "},
	{"a flipped bit in a step", "metrics.jsonl", swap(`"step":2,"epoch"`, `"step":3,"epoch"`), "metrics.jsonl: "},
	{"another loss", "metrics.jsonl", swap(`"loss":`, `"loss":1`), "metrics.jsonl: "},
	{"an evaluation taken out", "metrics.jsonl", func(raw []byte) []byte { return raw[bytes.IndexByte(raw, '\n')+1:] }, "metrics.jsonl: "},
	{"no answers", "answers.json", nil, "answers.json: "},
	{"empty answers", "answers.json", func([]byte) []byte { return []byte{} }, "answers.json: "},
	{"answers cut in half", "answers.json", half, "answers.json: "},
	{"fewer answers", "answers.json", func([]byte) []byte { return []byte("[]\n") }, "answers.json: "},
	{"another answer", "answers.json", swap(`"stop": "`, `"stop": "s`), "answers.json: "},
	{"another key", "answers.json", swap(`"before"`, `"befors"`), "answers.json: "},
	{"no config", "config.yaml", nil, ""},
	{"another config", "config.yaml", func([]byte) []byte { return []byte("seed: 4\n") }, ""},
}

func half(raw []byte) []byte { return raw[:len(raw)/2] }

func swap(old, new string) func([]byte) []byte {
	return func(raw []byte) []byte {
		if !bytes.Contains(raw, []byte(old)) {
			panic("nothing to swap: " + old)
		}
		return bytes.Replace(raw, []byte(old), []byte(new), 1)
	}
}

// do damages a run's folder.
func (d damage) do(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, d.file)
	raw, err := os.ReadFile(path)
	if err == nil && d.change == nil {
		err = os.Remove(path)
	} else if err == nil {
		err = os.WriteFile(path, d.change(raw), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// interrupted does a run in another folder up to step 7.
func interrupted(t *testing.T, j testJob) testJob {
	t.Helper()
	j.Dir, j.Model = filepath.Join(t.TempDir(), "run"), tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	j.Events.Step = func(m StepMetrics) {
		if m.Step == 7 {
			cancel()
		}
	}
	if _, err := j.sft(ctx, t); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	return j
}

// TestDamagedFilesOfARunAreNoticedAndMended damages the small files of a run that was
// interrupted, and of one that is finished. What it ends with is what it would have been, and
// it is said.
func TestDamagedFilesOfARunAreNoticedAndMended(t *testing.T) {
	set, chat := fixture(t, 1)
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	run(t, whole)
	stopped := interrupted(t, whole)
	for _, state := range []struct{ name, dir string }{{"interrupted", stopped.Dir}, {"finished", whole.Dir}} {
		for _, d := range damages {
			t.Run(d.name+", "+state.name, func(t *testing.T) {
				j := whole
				j.Dir, j.Model = filepath.Join(t.TempDir(), "run"), tiny(t)
				if err := os.CopyFS(j.Dir, os.DirFS(state.dir)); err != nil {
					t.Fatal(err)
				}
				d.do(t, j.Dir)
				var said []string
				j.Events = Events{Mended: func(path, what string) { said = append(said, filepath.Base(path)+": "+what) }}
				r := run(t, j)
				wantSameRun(t, whole.Dir, j.Dir)
				want := d.said
				if state.name == "finished" {
					want = d.file + ": "
				}
				if text := strings.Join(said, "\n"); !strings.Contains(text, want) || want == "" && text != "" {
					t.Errorf("said %q, want %q", text, want)
				}
				if r.AlreadyThere || len(r.Answers) != 2 || r.Answers[0].Before == nil || r.Answers[0].After == nil {
					t.Errorf("%+v", r)
				}
				j.Model, said = tiny(t), nil
				if r := run(t, j); !r.AlreadyThere || len(said) > 0 {
					t.Errorf("the next time: already there %t, said %q", r.AlreadyThere, said)
				}
			})
		}
	}
}

// TestARunFromBeforeCheckpointsHadCopiesGoesOn takes the copies out of the checkpoints: what
// is lost is then said and stays lost, and nothing is made up in its place.
func TestARunFromBeforeCheckpointsHadCopiesGoesOn(t *testing.T) {
	set, chat := fixture(t, 1)
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	run(t, whole)
	old := interrupted(t, whole)
	for _, step := range []string{"step-000005", "step-000007"} {
		withoutCopies(t, filepath.Join(old.Dir, "checkpoints", step))
	}
	for _, c := range []struct {
		name   string
		damage *damage
		said   string
		lines  int
		before bool
	}{
		{"as it is", nil, "", 16, true},
		{"without metrics", &damage{file: "metrics.jsonl"}, "metrics.jsonl: no line for 7 of the 7 steps", 7, true},
		{"with metrics cut in half", &damage{file: "metrics.jsonl", change: half}, "metrics.jsonl: no line for 4 of the 7 steps", 11, true},
		{
			"without answers", &damage{file: "answers.json"},
			"answers.json: what the model answered before training is not known for 2 of the 2", 16, false,
		},
		{
			"with broken answers", &damage{file: "answers.json", change: half},
			"answers.json: not the answers that a run writes; the answers before training are lost", 16, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := whole
			j.Dir, j.Model = filepath.Join(t.TempDir(), "run"), tiny(t)
			if err := os.CopyFS(j.Dir, os.DirFS(old.Dir)); err != nil {
				t.Fatal(err)
			}
			if c.damage != nil {
				c.damage.do(t, j.Dir)
			}
			var said []string
			j.Events = Events{Mended: func(path, what string) { said = append(said, filepath.Base(path)+": "+what) }}
			r := run(t, j)
			if text := strings.Join(said, "\n"); !strings.Contains(text, c.said) || c.said == "" && text != "" {
				t.Errorf("said %q, want %q", text, c.said)
			}
			if n := len(steps(t, j.Dir)); n != c.lines {
				t.Errorf("%d lines of metrics, want %d", n, c.lines)
			}
			for _, a := range r.Answers {
				if (a.Before != nil) != c.before || a.After == nil {
					t.Errorf("answers %+v", a)
				}
			}
			got := tree(t, j.Dir)
			if strings.Contains(got["answers.json"], `"before"`) != c.before {
				t.Errorf("answers.json is %s", got["answers.json"])
			}
			const weights = "checkpoints/step-000012/model.safetensors"
			if got[weights] != tree(t, whole.Dir)[weights] {
				t.Error("other weights came out")
			}
		})
	}
}

// withoutCopies makes a checkpoint one of before.
func withoutCopies(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "manifest.json")
	var m struct {
		Format  string           `json:"format"`
		Version int              `json:"version"`
		Step    int              `json:"step"`
		Files   []map[string]any `json:"files"`
	}
	raw, err := os.ReadFile(path)
	err = errors.Join(err, json.Unmarshal(raw, &m), os.Remove(filepath.Join(dir, metricsCopy)), os.Remove(filepath.Join(dir, answersCopy)))
	m.Files = slices.DeleteFunc(m.Files, func(f map[string]any) bool { return f["name"] == metricsCopy || f["name"] == answersCopy })
	if err := errors.Join(err, rundir.WriteJSON(path, m)); err != nil {
		t.Fatal(err)
	}
}

func TestMorePromptsThanBeforeTrainingHaveNoAnswerFromThen(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	j.Asked.Prompts = 1
	run(t, j)
	j.Asked.Prompts, j.Model = 3, tiny(t)
	var said []string
	j.Events.Mended = func(_, what string) { said = append(said, what) }
	for range 2 {
		r := run(t, j)
		if len(r.Answers) != 3 || r.Answers[0].Before == nil || r.Answers[1].Before != nil || r.Answers[2].After == nil {
			t.Errorf("%+v", r.Answers)
		}
		j.Model = tiny(t)
	}
	if want := "what the model answered before training is not known for 2 of the 3 prompts"; !slices.Equal(said, []string{want}) {
		t.Errorf("said %q", said)
	}
}

func TestAnswersThatAreWrittenInAnotherWayThanBeforeTrainingAreSaid(t *testing.T) {
	set, chat := fixture(t, 1)
	j := interrupted(t, job(t, set, chat, ""))
	j.Model, j.Asked.MaxNewTokens, j.Asked.Temperature = tiny(t), 3, 0.5
	var said []string
	j.Events.Mended = func(_, what string) { said = append(said, what) }
	run(t, j)
	want := []string{
		"sample.max_new_tokens was 8 when the answers before training were written, and is 3 for those after: " +
			"they differ by more than the training",
		"sample.temperature was 0 when the answers before training were written, and is 0.5 for those after: " +
			"they differ by more than the training",
	}
	if !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
	said = nil
	j.Model = tiny(t)
	if run(t, j); said != nil {
		t.Errorf("a finished run says %q", said)
	}
}

func TestMetricsThatAreTakenAwayWhileARunGoesOnAreWrittenAgain(t *testing.T) {
	set, chat := fixture(t, 1)
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	whole.Asked.Prompts = 0
	run(t, whole)
	for name, change := range map[string]func(path string) error{
		"removed": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".old") },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"replaced": func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, []byte("{}\n"), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := whole
			j.Dir, j.Model = filepath.Join(t.TempDir(), "run"), tiny(t)
			said := 0
			j.Events = Events{
				Mended: func(string, string) { said++ },
				Step: func(m StepMetrics) {
					if m.Step == 6 {
						if err := change(filepath.Join(j.Dir, "metrics.jsonl")); err != nil {
							t.Error(err)
						}
					}
				},
			}
			run(t, j)
			wantSameRun(t, whole.Dir, j.Dir)
			if said != 1 {
				t.Errorf("said %d times", said)
			}
		})
	}
}

func TestAFolderThatIsMovedWhileARunGoesOnEndsIt(t *testing.T) {
	set, chat := fixture(t, 1)
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	whole.Asked.Prompts = 0
	run(t, whole)
	for _, c := range []struct {
		name   string
		change func(dir string) error
		saved  bool
	}{
		{"moved away", func(dir string) error { return os.Rename(dir, dir+"2") }, true},
		{"another one in its place", func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"2"), os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644))
		}, true},
		{"a copy in its place", func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"2"), os.CopyFS(dir, os.DirFS(dir+"2")))
		}, true},
		{"the folder above it moved", func(dir string) error { return os.Rename(filepath.Dir(dir), filepath.Dir(dir)+"2") }, true},
		{"removed", os.RemoveAll, false},
	} {
		for _, at := range []int{1, 7} {
			if at == 1 && c.saved && c.name != "moved away" {
				continue // as in the other step
			}
			t.Run(fmt.Sprintf("%s in step %d", c.name, at), func(t *testing.T) {
				j := whole
				j.Dir, j.Model = filepath.Join(t.TempDir(), "runs", "run"), tiny(t)
				before := map[string]string{}
				j.Events.Step = func(m StepMetrics) {
					if m.Step != at {
						return
					}
					if err := c.change(j.Dir); err != nil {
						t.Error(err)
					}
					if _, err := os.Stat(j.Dir); err == nil {
						before = tree(t, j.Dir)
					}
				}
				_, err := j.sft(t.Context(), t)
				var moved rundir.MovedError
				if !errors.As(err, &moved) || fault.IsUsage(err) {
					t.Fatalf("got %v", err)
				}
				if want := fmt.Sprintf("step %d is saved there", at); strings.Contains(err.Error(), want) != c.saved {
					t.Errorf("got %v", err)
				}
				if _, err := os.Stat(j.Dir); err == nil && fmt.Sprint(tree(t, j.Dir)) != fmt.Sprint(before) {
					t.Error("it wrote into what is in its place")
				} else if err != nil && len(before) > 0 {
					t.Error("what is in its place is gone")
				}
				if !c.saved {
					return
				}
				j.Dir, j.Model, j.Events = moved.Now, tiny(t), Events{}
				if r := run(t, j); r.Resumed != at {
					t.Errorf("went on from step %d", r.Resumed)
				}
				wantSameRun(t, whole.Dir, j.Dir)
			})
		}
	}
}
