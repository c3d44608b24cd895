package train

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/checkpoints/checkpointstest"
	"lwtrain/internal/rundir"
)

// TestAWholeCheckpointThatDoesNotFitIsRefused has checkpoints whose hashes
// hold: a program wrote them that way.
func TestAWholeCheckpointThatDoesNotFitIsRefused(t *testing.T) {
	const optimizerFile = "state/optimizer.safetensors" // the engine's
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	j.Options.MaxSteps, j.Asked.Prompts = 2, 0
	run(t, j)
	old := filepath.Join(j.Dir, "checkpoints", "step-000002")
	moments := func(change func([]checkpoints.Tensor) []checkpoints.Tensor) func(dir string) error {
		return func(dir string) error {
			return changeTensors(filepath.Join(old, optimizerFile), filepath.Join(dir, optimizerFile), change)
		}
	}
	with := func(name string, v float32) func([]checkpoints.Tensor) []checkpoints.Tensor {
		return func(all []checkpoints.Tensor) []checkpoints.Tensor {
			i := slices.IndexFunc(all, func(x checkpoints.Tensor) bool { return x.Name == name })
			all[i].Data[len(all[i].Data)/2] = v
			return all
		}
	}
	for _, c := range []struct {
		name, want string
		write      func(dir string) error
	}{
		{
			"a moment is missing", "no tensor exp_avg_sq.model.norm.weight, want one of shape [32]",
			moments(func(all []checkpoints.Tensor) []checkpoints.Tensor {
				return slices.DeleteFunc(all, func(x checkpoints.Tensor) bool { return x.Name == "exp_avg_sq.model.norm.weight" })
			}),
		},
		{
			"a moment has another shape", "tensor exp_avg.model.norm.weight has shape [4 8], want [32]",
			moments(func(all []checkpoints.Tensor) []checkpoints.Tensor {
				for i := range all {
					if all[i].Name == "exp_avg.model.norm.weight" {
						all[i].Shape = []int{4, 8}
					}
				}
				return all
			}),
		},
		{
			"a moment that is not a number", "tensor exp_avg.model.norm.weight holds a NaN or infinity",
			moments(with("exp_avg.model.norm.weight", float32(math.NaN()))),
		},
		{
			"a second moment that is infinite", "tensor exp_avg_sq.model.norm.weight holds a NaN or infinity",
			moments(with("exp_avg_sq.model.norm.weight", float32(math.Inf(1)))),
		},
		{
			"a second moment below 0", "tensor exp_avg_sq.model.norm.weight holds a value below 0",
			moments(with("exp_avg_sq.model.norm.weight", -1e-30)),
		},
		{"the counters of another step", "state/trainer.json: step is 2, want 3", func(string) error { return nil }},
		{"no counters", "state/trainer.json: step is 0, want 3", func(dir string) error {
			return os.Remove(filepath.Join(dir, stateFile))
		}},
		{"no weights", "no weights, want model.safetensors", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "model.safetensors")), state{Step: 3, Identity: identityOf(t, j)}.write(dir))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			saving, err := checkpoints.Save(root, 3, func(dir string) (func() error, error) {
				err := errors.Join(os.CopyFS(dir, os.DirFS(old)), os.Remove(filepath.Join(dir, "manifest.json")))
				if err != nil {
					return nil, err
				}
				if strings.Contains(c.name, "moment") {
					err := errors.Join(os.Remove(filepath.Join(dir, optimizerFile)), state{Step: 3, Identity: identityOf(t, j)}.write(dir))
					if err != nil {
						return nil, err
					}
				}
				return nil, c.write(dir)
			})
			if err != nil {
				t.Fatal(err)
			}
			path, err := saving.Wait()
			if err != nil {
				t.Fatal(err)
			}
			other := j
			other.Model, other.Dir = tiny(t), filepath.Join(t.TempDir(), "run")
			if err := errors.Join(os.Mkdir(other.Dir, 0o755), os.Mkdir(filepath.Join(other.Dir, "checkpoints"), 0o755),
				os.Rename(path, filepath.Join(other.Dir, "checkpoints", "step-000003"))); err != nil {
				t.Fatal(err)
			}
			before := tree(t, other.Dir)
			_, err = other.sft(context.Background(), t)
			if err == nil || !strings.Contains(err.Error(), "step-000003") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if !maps.Equal(tree(t, other.Dir), before) {
				t.Error("the folder changed")
			}
		})
	}
}

// changeTensors writes a file of another one's tensors, changed.
func changeTensors(from, to string, change func([]checkpoints.Tensor) []checkpoints.Tensor) error {
	file, err := checkpoints.OpenSafetensors(from)
	if err != nil {
		return err
	}
	defer file.Close()
	all, err := checkpointstest.Tensors(file)
	if err != nil {
		return err
	}
	return checkpoints.StreamSafetensors(to, "F32", checkpointstest.Streams(change(all)), nil)
}

// identityOf is the identity that a run of j has.
func identityOf(t *testing.T, j testJob) Identity {
	t.Helper()
	var file runFile
	if _, err := rundir.ReadJSON(filepath.Join(j.Dir, rundir.File), &file); err != nil {
		t.Fatal(err)
	}
	return file.Identity
}
