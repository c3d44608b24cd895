package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/internal/rundir"
)

// Identity is what makes two runs the same run. [SFT] and [DPO] add the model to its
// contents.
type Identity = rundir.Identity

// runFile is run.json: which run a folder holds, from its first moment on, and
// what has computed it, the latest last.
type runFile struct {
	Identity
	Machines []string `json:"machines"`
}

// state is state/trainer.json of a checkpoint.
type state struct {
	Step     int      `json:"step"`
	Identity Identity `json:"identity"`
	// These let the summary of a resumed run speak of the whole run.
	FirstEval   *float64           `json:"first_eval_loss,omitempty"`
	FirstValues map[string]float64 `json:"first_eval_values,omitempty"`
	FirstLoss   float64            `json:"first_loss,omitempty"`
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
	s := state{Step: t.step, Identity: t.Identity, FirstLoss: t.result.FirstLoss}
	if e := t.result.FirstEval; e != nil {
		s.FirstEval, s.FirstValues = &e.Loss, e.Values
	}
	return rundir.WriteJSON(filepath.Join(dir, stateFile), s)
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

// resume makes the run's folder, or finds it, and goes on from its newest
// complete checkpoint. A folder that holds anything else than this run is
// refused as it is.
func (t *trainer) resume() error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return fault.Usage(err)
	}
	var err error
	if t.lock, err = rundir.Lock(t.Dir); err != nil {
		return err
	}
	var run runFile
	known, err := rundir.ReadJSON(filepath.Join(t.Dir, rundir.File), &run)
	if err != nil {
		return fault.Hint(err, "the checkpoints hold the same: without this file the run goes on from them")
	}
	if known {
		if err := rundir.Same(t.Dir, run.Identity, t.Identity); err != nil {
			return err
		}
	}
	found, err := checkpoints.Latest(t.root())
	if err != nil {
		return err
	}
	for _, b := range found.Broken {
		if t.Events.Broken != nil {
			t.Events.Broken(b.Path, b.Reason)
		}
	}
	if damaged := found.Damaged(); found.Path == "" && len(damaged) > 0 {
		return fault.Hint(fmt.Errorf("%s: no checkpoint of this run is whole any more: %v: %w", t.Dir, damaged[0].Path, damaged[0].Reason),
			"copy a whole one back, or remove "+t.root()+" to begin again from the first step")
	}
	if found.Path == "" && !known {
		if err := refuseForeign(t.Dir); err != nil {
			return err
		}
	}
	if err := t.method.prepare(); err != nil {
		return err
	}
	if found.Path != "" {
		if err := t.load(found.Checkpoint); err != nil {
			return fmt.Errorf("%s: %w", found.Path, err)
		}
	}
	return t.enter(run, found)
}

// enter gets the folder ready to go on in: it is this run's.
func (t *trainer) enter(run runFile, found checkpoints.Found) error {
	if err := checkpoints.Clean(t.root()); err != nil {
		return err
	}
	step := -1
	if found.Path != "" {
		step = t.step
		if err := t.prune(); err != nil {
			return err
		}
		t.result.Resumed, t.result.Steps, t.result.Checkpoint = t.step, t.step, found.Path
	}
	if t.Events.Resumed != nil && len(found.Broken)+t.step > 0 {
		t.Events.Resumed(t.step, found.Path)
	}
	lines, evaluated, err := linesUpTo(t.result.MetricsFile, step)
	if err != nil {
		return err
	}
	t.evaluated = evaluated
	var cutOff []string
	if run.Settings == nil { // the folder was not this run's before, or a kill cut off the file that says so
		cutOff = []string{rundir.File}
	}
	if err := atomicfile.Clean(t.Dir, cutOff...); err != nil {
		return err
	}
	if t.step >= t.schedule.Total && !t.evaluationDue() {
		t.result.AlreadyThere = true
		return nil
	}
	machine := t.memory.Machine()
	if n := len(run.Machines); n == 0 || run.Machines[n-1] != machine {
		if n > 0 && found.Path != "" && t.Events.Moved != nil {
			t.Events.Moved(run.Machines[n-1], machine)
		}
		run.Machines = append(run.Machines, machine)
	}
	run.Identity = t.Identity
	if err := rundir.WriteJSON(filepath.Join(t.Dir, rundir.File), run); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			err = fault.Usage(err) // nothing was written
		}
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(t.Dir, "config.yaml"), t.Config); err != nil {
		return err
	}
	t.metrics, err = openMetrics(t.result.MetricsFile, lines)
	return err
}

// refuseForeign refuses a folder without a run that holds files of one.
func refuseForeign(dir string) error {
	return rundir.RefuseForeign(dir, "config.yaml", "metrics.jsonl", answersFile)
}

// CheckFolder says whether a run could go on or begin in dir, and from which
// step, without writing or reading much: weights are not compared, and checkpoints
// not verified.
func CheckFolder(dir string, id Identity) (step int, err error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s: no folder, want one for the run (output.dir)", dir)
	}
	if err != nil {
		return 0, fault.Usage(err)
	}
	var run runFile
	known, err := rundir.ReadJSON(filepath.Join(dir, rundir.File), &run)
	if err != nil {
		return 0, err
	}
	if !known {
		return 0, refuseForeign(dir)
	}
	delete(run.Contents, "model")
	delete(run.Contents, "reference")
	if err := rundir.Same(dir, run.Identity, id); err != nil {
		return 0, err
	}
	found, err := checkpoints.List(filepath.Join(dir, "checkpoints"))
	if len(found) > 0 {
		step = found[len(found)-1].Step
	}
	return step, err
}

// load takes weights, moments and step from a verified checkpoint.
func (t *trainer) load(from checkpoints.Checkpoint) error {
	dir := from.Path
	var s state
	there, err := rundir.ReadJSON(filepath.Join(dir, stateFile), &s)
	if err != nil {
		return err
	}
	if !there || s.Step != from.Step {
		return fmt.Errorf("%s: step is %d, want %d", stateFile, s.Step, from.Step)
	}
	if err := rundir.Same(t.Dir, s.Identity, t.Identity); err != nil {
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
	t.model.RefreshHalf()
	t.step, t.saved = s.Step, s.Step
	t.result.FirstLoss = s.FirstLoss
	if s.FirstEval != nil {
		t.result.FirstEval = &EvalMetrics{Loss: *s.FirstEval, Values: s.FirstValues}
	}
	return nil
}

// read fills tensors from a file of the same names and shapes.
func read(from *checkpoints.Weights, tensors []checkpoints.Tensor) error {
	for _, x := range tensors {
		info, ok := from.Info(x.Name)
		if !ok {
			return fmt.Errorf("no tensor %s, want one of shape %v", x.Name, x.Shape)
		}
		if !slices.Equal(info.Shape, x.Shape) {
			return fmt.Errorf("tensor %s has shape %v, want %v", x.Name, info.Shape, x.Shape)
		}
		if err := from.Read(x.Name, x.Data); err != nil {
			return err
		}
	}
	return nil
}
