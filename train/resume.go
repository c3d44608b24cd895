package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
)

// Identity is what makes two runs the same run: the fingerprint of the data
// and every setting that the result depends on, by key.
type Identity struct {
	Data     string            `json:"data"`
	Settings map[string]string `json:"settings"`
}

// differences lists where two identities part.
func (a Identity) differences(b Identity) []string {
	var out []string
	if a.Data != b.Data {
		out = append(out, fmt.Sprintf("data: %s then, %s now", short(a.Data), short(b.Data)))
	}
	keys := slices.Sorted(maps.Keys(a.Settings))
	for k := range b.Settings {
		if _, ok := a.Settings[k]; !ok {
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		if a.Settings[k] != b.Settings[k] {
			out = append(out, fmt.Sprintf("%s: %s then, %s now", k, orNone(a.Settings[k]), orNone(b.Settings[k])))
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func short(hash string) string { return hash[:min(12, len(hash))] }

// state is state/trainer.json of a checkpoint.
type state struct {
	Step     int      `json:"step"`
	Identity Identity `json:"identity"`
	// FirstEval and FirstLoss let the summary of a resumed run speak of the
	// whole run.
	FirstEval *float64 `json:"first_eval_loss,omitempty"`
}

const (
	stateFile     = "state/trainer.json"
	optimizerFile = "state/optimizer.safetensors"
)

// writeState fills a checkpoint folder: a model in Hugging Face layout, and
// under state/ what a resume needs besides it. The order of the data and all
// random choices follow from seed and step, so nothing is stored for them.
func (t *trainer) writeState(dir string) error {
	if err := t.model.Save(dir, "float32"); err != nil {
		return err
	}
	if err := t.Tokenizer.Save(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o755); err != nil {
		return err
	}
	moments := t.moments("exp_avg.", t.optimizer.mean)
	moments = append(moments, t.moments("exp_avg_sq.", t.optimizer.square)...)
	if err := checkpoints.WriteSafetensors(filepath.Join(dir, optimizerFile), "F32", moments, nil); err != nil {
		return err
	}
	s := state{Step: t.step, Identity: t.Identity}
	if e := t.result.FirstEval; e != nil {
		s.FirstEval = &e.Loss
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, stateFile), append(raw, '\n'))
}

// moments names the optimiser's values as the weights they belong to.
func (t *trainer) moments(prefix string, values [][]float32) []checkpoints.Tensor {
	at := map[*graph.Param]int{}
	for i, p := range t.model.Params {
		at[p] = i
	}
	out := t.model.Tensors(func(p *graph.Param) []float32 { return values[at[p]] })
	for i := range out {
		out[i].Name = prefix + out[i].Name
	}
	return out
}

// resume finds the newest complete checkpoint of the run and goes on from it,
// or starts afresh. A folder that holds another run is refused.
func (t *trainer) resume() error {
	found, err := checkpoints.Latest(filepath.Join(t.Dir, "checkpoints"))
	if err != nil {
		return err
	}
	for _, b := range found.Broken {
		if t.Events.Broken != nil {
			t.Events.Broken(b.Path, b.Reason)
		}
	}
	step := -1
	if found.Path != "" {
		if err := t.load(found.Path); err != nil {
			return fmt.Errorf("%s: %w", found.Path, err)
		}
		step = t.step
		t.result.Resumed, t.result.Steps, t.result.Checkpoint = t.step, t.step, found.Path
		t.result.AlreadyThere = t.step >= t.schedule.Total
		if t.Events.Resumed != nil {
			t.Events.Resumed(t.step, found.Path)
		}
	}
	if t.result.AlreadyThere {
		return nil
	}
	if err := t.claim(); err != nil {
		return err
	}
	t.metrics, err = openMetrics(t.result.MetricsFile, step)
	return err
}

// identityFile says which run a folder holds, from its first moment on.
const identityFile = "run.json"

// claim makes the run's folder, or finds that it is there and this run's, and
// writes down what the run is.
func (t *trainer) claim() error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(t.Dir, identityFile)
	raw, err := os.ReadFile(path)
	if err == nil {
		var there Identity
		if err := json.Unmarshal(raw, &there); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := t.same(there); err != nil {
			return err
		}
	} else if !os.IsNotExist(err) {
		return err
	}
	if raw, err = json.MarshalIndent(t.Identity, "", "  "); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(path, append(raw, '\n')); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(t.Dir, "config.yaml"), t.Config)
}

// same refuses a folder that holds another run.
func (t *trainer) same(there Identity) error {
	diff := there.differences(t.Identity)
	if len(diff) == 0 {
		return nil
	}
	return fault.Usage(fault.Hint(fmt.Errorf("%s holds another run: %s", t.Dir, strings.Join(diff, "; ")),
		"give this run an output.dir of its own, or take back the changes to go on with the old one"))
}

// load takes weights, moments and step from a verified checkpoint.
func (t *trainer) load(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("%s: %w", stateFile, err)
	}
	if err := t.same(s.Identity); err != nil {
		return err
	}
	weights, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return err
	}
	defer weights.Close()
	if err := read(weights, t.model.Tensors(func(p *graph.Param) []float32 { return p.Data })); err != nil {
		return err
	}
	moments, err := checkpoints.OpenSafetensors(filepath.Join(dir, optimizerFile))
	if err != nil {
		return err
	}
	defer moments.Close()
	if err := read(moments, t.moments("exp_avg.", t.optimizer.mean)); err != nil {
		return err
	}
	if err := read(moments, t.moments("exp_avg_sq.", t.optimizer.square)); err != nil {
		return err
	}
	for _, p := range t.model.Params {
		p.RefreshHalf()
	}
	t.step = s.Step
	if s.FirstEval != nil {
		t.result.FirstEval = &EvalMetrics{Loss: *s.FirstEval}
	}
	return nil
}

// read fills tensors from a file of the same names and shapes.
func read(from *checkpoints.Weights, tensors []checkpoints.Tensor) error {
	for _, x := range tensors {
		info, ok := from.Info(x.Name)
		if !ok || !slices.Equal(info.Shape, x.Shape) {
			return fmt.Errorf("tensor %s has shape %v, want %v", x.Name, info.Shape, x.Shape)
		}
		if err := from.Read(x.Name, x.Data); err != nil {
			return err
		}
	}
	return nil
}

// writeBadStep leaves the reason and the samples of a step that was refused.
func writeBadStep(path string, step int, cause error, samples []string) error {
	raw, err := json.MarshalIndent(map[string]any{"step": step, "reason": cause.Error(), "samples": samples}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, append(raw, '\n'))
}
