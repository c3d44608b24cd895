package train

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// folder is the output folder of a run: run.json, config.yaml, metrics.jsonl,
// answers.json and checkpoints/.
type folder struct {
	dir      string
	identity Identity
	keep     int // checkpoints, the newest; 0: all
	say      notice

	own     *rundir.Folder
	run     runFile           // as it was found, if it was
	found   checkpoints.Found // the newest whole checkpoint
	lines   []byte            // of metrics.jsonl that stay
	answers []Answer          // that are known
	metrics *metricsFile      // once it is this run's
	best    *Best             // nil: not known
	sums    map[string]string // of what this process has written, as in runFile.Finished
}

// notice is told what is wrong with a file of a run's folder, and what follows from it.
type notice func(path, what string)

// runFile is run.json: which run a folder holds, from its first moment on, what
// has computed it, the latest last, and, once it is finished, what it left.
type runFile struct {
	Identity
	About
	Machines []string          `json:"machines"`
	Versions []string          `json:"versions,omitempty"` // of lwtrain
	Asked    *AnswerOptions    `json:"asked,omitempty"`    // how the answers before training were written
	Finished map[string]string `json:"finished,omitempty"` // SHA-256 by file; of metrics.jsonl without speed and memory
}

// openFolder makes a run's folder, or finds it, locks it and looks for the checkpoint to
// go on from. broken, which may be nil, is told the damaged ones.
func openFolder(dir string, id Identity, keep int, broken func(checkpoint string, reason error), say notice) (*folder, error) {
	f := &folder{dir: dir, identity: id, keep: keep, say: say, sums: map[string]string{}}
	if say == nil {
		f.say = func(string, string) {}
	}
	var err error
	if f.own, err = rundir.Enter(dir); err != nil {
		return nil, err
	}
	if err := f.look(broken); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *folder) look(broken func(checkpoint string, reason error)) error {
	known, err := readRun(f.dir, &f.run)
	if err == nil && known {
		err = sameRun(f.dir, f.run.Identity, f.identity)
	}
	if err != nil {
		return err
	}
	if f.found, err = checkpoints.Latest(f.checkpoints(), f.keep); err != nil {
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

// readRun reads the file that says which run a folder holds.
func readRun(dir string, run *runFile) (known bool, err error) {
	known, err = rundir.ReadJSON(filepath.Join(dir, rundir.File), run)
	return known, fault.Usage(fault.Hint(err, "the checkpoints hold the same: without this file the run goes on from them"))
}

// refuseForeign refuses a folder without a run that holds files of one.
func refuseForeign(dir string) error {
	return rundir.RefuseForeign(dir, rundir.Config, rundir.Metrics, rundir.Table, rundir.Answers)
}

func (f *folder) checkpoints() string { return f.path(rundir.Checkpoints) }

// clean removes what a kill left of checkpoints and small files.
func (f *folder) clean() error {
	var cutOff []string
	if f.run.Settings == nil { // the folder was not this run's before, or a kill cut off the file that says so
		cutOff = []string{rundir.File}
	}
	return errors.Join(atomicfile.Clean(f.dir, cutOff...), checkpoints.Clean(f.checkpoints()))
}

// recall finds out what stays of the run's small files: what the checkpoint holds of them
// is put back where it was lost. finished reports whether all is as the run left it at its
// end; ended knows by the metrics whether the checkpoint is of it.
func (f *folder) recall(ended func(lines []byte) bool) (finished bool, err error) {
	file, err := readOptional(f.path(rundir.Metrics))
	if err != nil {
		return false, err
	}
	if f.found.Path == "" {
		f.sayGone(file)
		return false, nil
	}
	last := ended(file)
	if finished = last && f.asFinished(); finished {
		f.lines = file
		if f.run.Finished[rundir.Answers] != "" {
			f.answers, err = readAnswers(f.path(rundir.Answers))
		}
		return true, err
	}
	copied, err := rundir.ReadFile(filepath.Join(f.found.Path, metricsCopy))
	if errors.Is(err, fs.ErrNotExist) {
		return last, f.recallOld(file)
	}
	if err == nil {
		f.recallMetrics(file, copied)
	}
	if err == nil {
		err = f.recallAnswers()
	}
	return false, err
}

// sayGone tells that steps were taken whose checkpoints are gone, or were never written.
func (f *folder) sayGone(metrics []byte) {
	last := 0
	for line := range bytes.Lines(metrics) {
		if step, _, ok := parseMetrics(line); ok {
			last = max(last, step)
		}
	}
	if last > 0 && len(f.found.Broken) == 0 {
		f.say(f.checkpoints(), fmt.Sprintf("no checkpoint is there, and %s has steps up to %d: starting from step 0 again",
			rundir.Metrics, last))
	}
}

// asFinished reports whether the run is finished and its files are as it left them. It
// names those that are not.
func (f *folder) asFinished() bool {
	altered := f.altered()
	for _, a := range altered {
		f.say(a.Path, a.What+"; what follows from the last checkpoint is made again")
	}
	return len(altered) == 0 && len(f.run.Finished) > 0
}

// Altered is a file of a finished run that is not as the run left it.
type Altered struct{ Path, What string }

// FindAltered lists what was altered in the folder of a finished run. Of one that goes on, or
// is from before folders could tell, it lists nothing.
func FindAltered(dir string) ([]Altered, error) {
	f := &folder{dir: dir}
	_, err := rundir.ReadJSON(f.path(rundir.File), &f.run)
	return f.altered(), err
}

func (f *folder) altered() (out []Altered) {
	for _, name := range slices.Sorted(maps.Keys(f.run.Finished)) {
		sum, err := f.sumOf(name)
		if err != nil {
			out = append(out, Altered{f.path(name), err.Error()})
		} else if sum != f.run.Finished[name] {
			out = append(out, Altered{f.path(name), "not what the finished run left"})
		}
	}
	return out
}

// sumOf is that of a file, of metrics.jsonl without speed and memory.
func (f *folder) sumOf(name string) (string, error) {
	raw, err := rundir.ReadFile(f.path(name))
	if err != nil {
		return "", withoutPath(err)
	}
	if name == rundir.Metrics {
		raw = reproducible(raw)
	}
	return sumOf(raw), nil
}

// sumOf is the SHA-256 of some bytes, in hexadecimal.
func sumOf(raw []byte) string { return fmt.Sprintf("%x", sha256.Sum256(raw)) }

// recallMetrics puts the lines together that a checkpoint's copy has.
func (f *folder) recallMetrics(file, copied []byte) {
	var lost int
	if f.lines, lost = restoreMetrics(file, copied); lost > 0 {
		f.say(f.path(rundir.Metrics), fmt.Sprintf("%d of the %d lines up to step %d are missing or changed; "+
			"they are put back from the checkpoint, without speed, memory and time",
			lost, bytes.Count(copied, []byte("\n")), f.found.Step))
	}
}

// recallAnswers takes those before training from a checkpoint's copy, if it has one.
func (f *folder) recallAnswers() error {
	copied, err := readAnswers(filepath.Join(f.found.Path, answersCopy))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if f.answers = copied; err != nil {
		return fmt.Errorf("%s: %w", answersCopy, err)
	}
	file, err := readAnswers(f.path(rundir.Answers))
	if err == nil && reflect.DeepEqual(beforeOf(file), copied) {
		return nil
	}
	what := "not what the run wrote before training"
	if err != nil {
		what = withoutPath(err).Error()
	}
	f.say(f.path(rundir.Answers), what+"; the answers before training are put back from the checkpoint")
	return nil
}

// recallOld takes the files as they are, for a checkpoint from before checkpoints had
// copies, and says what is missing.
func (f *folder) recallOld(file []byte) error {
	var missing int
	var err error
	if f.lines, missing = metricsUpTo(file, f.found.Step); missing > 0 {
		f.say(f.path(rundir.Metrics), fmt.Sprintf("no line for %d of the %d steps up to the checkpoint, "+
			"which is from before checkpoints held them: they stay missing", missing, f.found.Step))
	}
	if f.answers, err = readAnswers(f.path(rundir.Answers)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.say(f.path(rundir.Answers), withoutPath(err).Error()+"; the answers before training are lost")
	}
	return nil
}

// About is what run.json tells people of a run besides which it is.
type About struct {
	Model string `json:"model,omitempty"` // its name, family and size
	Steps int    `json:"steps,omitempty"` // that are planned
}

// sayAsked tells how the answers before training were written, where those after are written in another way.
func (f *folder) sayAsked(now AnswerOptions) {
	then := f.run.Asked
	known := slices.ContainsFunc(f.answers, func(a Answer) bool { return a.Before != nil })
	if then == nil || !known {
		f.run.Asked = &now
		return
	}
	for _, x := range []struct {
		key       string
		then, now any
	}{
		{"max_new_tokens", then.MaxNewTokens, now.MaxNewTokens}, {"temperature", then.Temperature, now.Temperature},
	} {
		if x.then != x.now {
			f.say(f.path(rundir.Answers), fmt.Sprintf("sample.%s was %v when the answers before training were written, and is %v "+
				"for those after: they differ by more than the training", x.key, x.then, x.now))
		}
	}
}

// enter makes the folder this run's, on this machine, and begins to write in it. moved,
// which may be nil, is told that another machine computed the checkpoint.
func (f *folder) enter(about About, version, machine string, config []byte, moved func(then, now string)) error {
	if n := len(f.run.Machines); n == 0 || f.run.Machines[n-1] != machine {
		if n > 0 && f.found.Path != "" && moved != nil {
			moved(f.run.Machines[n-1], machine)
		}
		f.run.Machines = append(f.run.Machines, machine)
	}
	if n := len(f.run.Versions); version != "" && (n == 0 || f.run.Versions[n-1] != version) {
		f.run.Versions = append(f.run.Versions, version)
	}
	f.run.Identity, f.run.About, f.run.Finished = f.identity, about, nil
	if err := rundir.WriteJSON(f.path(rundir.File), f.run); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			err = fault.Usage(err) // nothing was written
		}
		return err
	}
	if err := atomicfile.WriteBytes(f.path(rundir.Config), config); err != nil {
		return err
	}
	f.sums[rundir.Config] = sumOf(config)
	if len(f.answers) > 0 {
		if err := rundir.WriteJSON(f.path(rundir.Answers), f.answers); err != nil {
			return err
		}
	}
	var err error
	f.metrics, err = openMetrics(f.path(rundir.Metrics), f.lines)
	return err
}

// write adds a line to the metrics. Where somebody took the file away, or changed its
// length, it is written again as it is to be.
func (f *folder) write(line any) error {
	if err := f.metrics.write(line); err != nil {
		return err
	}
	if err := f.own.Check(); err != nil || f.metrics.isThere() {
		return err
	}
	f.say(f.metrics.path, "removed or changed while the run is going on; it is written again")
	return f.metrics.begin()
}

// writeAnswers keeps answers.
func (f *folder) writeAnswers(answers []Answer) error {
	f.answers = answers
	err := f.writeJSON(rundir.Answers, answers)
	if err == nil {
		f.sums[rundir.Answers], err = f.sumOf(rundir.Answers)
	}
	return err
}

// writeJSON writes a file, unless the folder is no longer where it was.
func (f *folder) writeJSON(name string, v any) error {
	if err := f.own.Check(); err != nil {
		return err
	}
	return rundir.WriteJSON(f.path(name), v)
}

// save begins a checkpoint, as [checkpoints.Save] does, once the metrics up to it are on the disk.
func (f *folder) save(step int, fill func(dir string) (rest func() error, err error)) (*checkpoints.Saving, error) {
	if err := f.metrics.sync(); err != nil {
		return nil, err
	}
	if err := f.own.Check(); err != nil {
		return nil, err
	}
	s, err := checkpoints.Save(f.checkpoints(), step, fill)
	if err != nil {
		return nil, fmt.Errorf("saving step %d: %w", step, err)
	}
	return s, nil
}

// saved waits for a checkpoint that save began.
func (f *folder) saved(s *checkpoints.Saving) (path string, err error) {
	path, err = s.Wait()
	if moved := f.own.Check(); moved != nil {
		return path, moved
	}
	if err != nil {
		return "", fmt.Errorf("saving step %d: %w", s.Step, err)
	}
	return path, nil
}

// copies writes what a checkpoint holds of the run's small files.
func (f *folder) copies(dir string) error {
	if err := atomicfile.WriteBytes(filepath.Join(dir, metricsCopy), f.metrics.upToStep()); err != nil || len(f.answers) == 0 {
		return err
	}
	return rundir.WriteJSON(filepath.Join(dir, answersCopy), beforeOf(f.answers))
}

// finish writes down what the finished run leaves.
func (f *folder) finish() error {
	if f.metrics != nil {
		f.sums[rundir.Metrics] = sumOf(reproducible(f.metrics.all))
	}
	if len(f.sums) == 0 {
		return nil // it was finished before
	}
	if f.run.Finished == nil {
		f.run.Finished = map[string]string{}
	}
	maps.Copy(f.run.Finished, f.sums)
	return f.writeJSON(rundir.File, f.run)
}

// follow goes on with the folder where it lies now.
func (f *folder) follow(dir string) {
	f.own.Follow(dir)
	f.dir = dir
	if f.metrics != nil {
		f.metrics.path = f.path(rundir.Metrics)
	}
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// settle finds the best checkpoint, by a history and the steps at which one is due, and
// removes those that are too many. One that an interruption left is never the best, so
// that a run without it says the same.
func (f *folder) settle(h *history, due func(step int) bool) error {
	all, err := checkpoints.List(f.checkpoints())
	if err != nil {
		return err
	}
	f.best = h.best(func(step int) bool {
		return due(step) && slices.ContainsFunc(all, func(c checkpoints.Checkpoint) bool { return c.Step == step })
	})
	best := -1
	if f.best != nil && f.best.Checkpoint != nil {
		best = f.best.Checkpoint.Step
	}
	if f.keep > 0 {
		err = checkpoints.Prune(f.checkpoints(), f.keep, best)
	}
	return err
}

// writeBest writes down which checkpoint is the best.
func (f *folder) writeBest() error {
	if f.best == nil {
		return nil
	}
	return f.writeJSON(rundir.Best, f.best)
}

func (f *folder) close() {
	if f.metrics != nil {
		f.metrics.close()
	}
	if f.own != nil {
		f.own.Close()
	}
}

// readOptional reads a file; nothing where there is none.
func readOptional(path string) ([]byte, error) {
	raw, err := rundir.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// withoutPath takes the path out of an error beside which it is named.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// CheckFolder says whether a run could go on or begin in dir, and from which step, without writing or reading much: weights are
// not compared, and checkpoints not verified.
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
	known, err := readRun(dir, &run)
	if err == nil && known {
		delete(run.Contents, "model")
		delete(run.Contents, referenceContent)
		err = sameRun(dir, run.Identity, id)
	}
	if err != nil {
		return 0, err
	}
	found, err := checkpoints.List(filepath.Join(dir, rundir.Checkpoints))
	switch {
	case len(found) > 0: // without the run's file they say which run it is
		step = found[len(found)-1].Step
	case err == nil && !known:
		err = refuseForeign(dir)
	}
	return step, err
}
