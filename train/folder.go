package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// folder is the output folder of a run: run.json, config.yaml, metrics.jsonl and
// checkpoints/.
type folder struct {
	dir      string
	identity Identity
	keep     int // checkpoints, the newest; 0: all

	lock    *os.File
	run     runFile           // as it was found, if it was
	found   checkpoints.Found // the newest whole checkpoint
	lines   []byte            // of metrics.jsonl that stay
	metrics *metricsFile      // once it is this run's
}

// runFile is run.json: which run a folder holds, from its first moment on, and
// what has computed it, the latest last.
type runFile struct {
	Identity
	Machines []string `json:"machines"`
}

// openFolder makes a run's folder, or finds it, locks it and looks for the checkpoint to
// go on from. broken, which may be nil, is told the damaged ones that are passed over.
func openFolder(dir string, id Identity, keep int, broken func(checkpoint string, reason error)) (*folder, error) {
	f := &folder{dir: dir, identity: id, keep: keep}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.Usage(err)
	}
	var err error
	if f.lock, err = rundir.Lock(dir); err != nil {
		return nil, err
	}
	if err := f.look(broken); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *folder) look(broken func(checkpoint string, reason error)) error {
	known, err := rundir.ReadJSON(filepath.Join(f.dir, rundir.File), &f.run)
	if err != nil {
		return fault.Hint(err, "the checkpoints hold the same: without this file the run goes on from them")
	}
	if known {
		if err := rundir.Same(f.dir, f.run.Identity, f.identity); err != nil {
			return err
		}
	}
	if f.found, err = checkpoints.Latest(f.checkpoints()); err != nil {
		return err
	}
	for _, b := range f.found.Broken {
		if broken != nil {
			broken(b.Path, b.Reason)
		}
	}
	if damaged := f.found.Damaged(); f.found.Path == "" && len(damaged) > 0 {
		return fault.Hint(fmt.Errorf("%s: no checkpoint of this run is whole any more: %v: %w", f.dir, damaged[0].Path, damaged[0].Reason),
			"copy a whole one back, or remove "+f.checkpoints()+" to begin again from the first step")
	}
	if f.found.Path == "" && !known {
		return refuseForeign(f.dir)
	}
	return nil
}

// refuseForeign refuses a folder without a run that holds files of one.
func refuseForeign(dir string) error {
	return rundir.RefuseForeign(dir, rundir.Config, rundir.Metrics, rundir.Answers)
}

func (f *folder) checkpoints() string { return filepath.Join(f.dir, rundir.Checkpoints) }

// clean removes what a kill left of checkpoints, and those that are too many.
func (f *folder) clean() error {
	if err := checkpoints.Clean(f.checkpoints()); err != nil || f.found.Path == "" {
		return err
	}
	return f.prune()
}

// keepMetrics reads the metrics of the steps up to the checkpoint, and says at which step
// the last evaluation among them was; -1: there is none.
func (f *folder) keepMetrics() (evaluated int, err error) {
	step := -1
	if f.found.Path != "" {
		step = f.found.Step
	}
	f.lines, evaluated, err = linesUpTo(filepath.Join(f.dir, rundir.Metrics), step)
	if err != nil {
		return evaluated, err
	}
	var cutOff []string
	if f.run.Settings == nil { // the folder was not this run's before, or a kill cut off the file that says so
		cutOff = []string{rundir.File}
	}
	return evaluated, atomicfile.Clean(f.dir, cutOff...)
}

// enter makes the folder this run's, on this machine, and begins to write in it. moved,
// which may be nil, is told that another machine computed the checkpoint.
func (f *folder) enter(machine string, config []byte, moved func(then, now string)) error {
	if n := len(f.run.Machines); n == 0 || f.run.Machines[n-1] != machine {
		if n > 0 && f.found.Path != "" && moved != nil {
			moved(f.run.Machines[n-1], machine)
		}
		f.run.Machines = append(f.run.Machines, machine)
	}
	f.run.Identity = f.identity
	if err := rundir.WriteJSON(filepath.Join(f.dir, rundir.File), f.run); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			err = fault.Usage(err) // nothing was written
		}
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(f.dir, rundir.Config), config); err != nil {
		return err
	}
	var err error
	f.metrics, err = openMetrics(filepath.Join(f.dir, rundir.Metrics), f.lines)
	return err
}

// save writes a checkpoint, which fill fills, once the metrics up to it are on the disk.
// path is "" if there is none.
func (f *folder) save(step int, fill func(dir string) error) (path string, err error) {
	if err := f.metrics.sync(); err != nil {
		return "", err
	}
	if path, err = checkpoints.Save(f.checkpoints(), step, fill); err != nil {
		return "", fmt.Errorf("saving step %d: %w", step, err)
	}
	return path, nil
}

func (f *folder) prune() error {
	if f.keep == 0 {
		return nil
	}
	return checkpoints.Prune(f.checkpoints(), f.keep)
}

func (f *folder) close() {
	if f.metrics != nil {
		f.metrics.close()
	}
	if f.lock != nil {
		f.lock.Close()
	}
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
	delete(run.Contents, referenceContent)
	if err := rundir.Same(dir, run.Identity, id); err != nil {
		return 0, err
	}
	found, err := checkpoints.List(filepath.Join(dir, rundir.Checkpoints))
	if len(found) > 0 {
		step = found[len(found)-1].Step
	}
	return step, err
}
