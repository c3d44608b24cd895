package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// method is what sets one way of training apart. The trainer does the rest: it
// resumes, saves, logs, updates and refuses for all of them.
type method interface {
	// open opens what the method reads besides the data and the model, and says its
	// content, by name, as SHA-256.
	open() (map[string]string, error)
	// prepare does what needs the weights that training starts from, right before a
	// checkpoint takes their place.
	prepare(ctx context.Context) error
	// learn adds the gradients of the step after step updates to the engine's.
	learn(ctx context.Context, step int) (sums, error)
	// evaluate measures the held-out data after step updates.
	evaluate(ctx context.Context, step int) (EvalMetrics, error)
	// epoch is the share of the data seen after step updates.
	epoch(step int) float64
	close()
}

// trainer is the state of a run.
type trainer struct {
	Job
	method   method
	schedule Schedule
	folder   *folder

	step    int                 // updates made
	saved   int                 // the step of the newest checkpoint; 0: none
	saving  *checkpoints.Saving // the next one, which is made beside the steps; nil: none
	history history             // of the lines in metrics.jsonl
	began   time.Time
	before  time.Duration // that the run was worked at before this call
	result  Result
}

// newTrainer begins a run by a method.
func newTrainer(job Job, m method, plan *Plan) (*trainer, error) {
	t := &trainer{Job: job, method: m, schedule: plan.Schedule}
	if job.Events.Planned != nil {
		job.Events.Planned(plan, job.Engine.Needs())
	}
	base, err := job.Engine.Model()
	if err != nil {
		return nil, err
	}
	contents, err := m.open()
	if err != nil {
		m.close()
		return nil, err
	}
	t.Identity.Contents = map[string]string{"model": base}
	maps.Copy(t.Identity.Contents, job.Identity.Contents)
	maps.Copy(t.Identity.Contents, contents)
	t.result.MetricsFile = filepath.Join(job.Dir, rundir.Metrics)
	return t, nil
}

// do is a whole run.
func (t *trainer) do(ctx context.Context) (Result, error) {
	t.began = time.Now()
	defer t.close()
	err := t.resume(ctx)
	if err == nil {
		err = t.run(ctx)
	}
	if errors.Is(err, context.Canceled) {
		err = t.stop()
	}
	var moved rundir.MovedError
	if errors.As(err, &moved) {
		err = t.leave(moved, err)
	}
	if e := t.complete(); e != nil {
		err = errors.Join(err, e)
	}
	t.sumUp()
	return t.result, fault.Disk(err)
}

// sumUp tells what the history does.
func (t *trainer) sumUp() {
	r, h := &t.result, &t.history
	r.Here, r.PeakRSS = time.Since(t.began), t.Engine.Peak()
	if r.Elapsed = t.before + r.Here; r.AlreadyThere {
		r.Elapsed, r.Here = h.elapsed, 0
	}
	r.Tokens, r.Training, r.LastLoss = h.tokens, h.training, h.lastLoss
	if n := len(h.evaluations); n > 0 {
		r.LastEval = &h.evaluations[n-1]
	}
	r.Stopped = t.step < t.schedule.Total && t.ended()
	if t.folder != nil {
		r.Best = t.folder.best
	}
}

func (t *trainer) close() {
	if t.folder != nil {
		t.folder.close()
	}
	t.method.close()
}

// resume makes the run's folder, or finds it, and goes on from its newest
// complete checkpoint. A folder that holds anything else than this run is
// refused as it is.
func (t *trainer) resume(ctx context.Context) error {
	var err error
	if t.folder, err = openFolder(t.Dir, t.Identity, t.Options.SaveTotalLimit, t.Events.Broken, t.Events.Mended); err != nil {
		return err
	}
	if err := t.method.prepare(ctx); err != nil {
		return err
	}
	from := t.folder.found
	if from.Path != "" {
		if err := t.load(); err != nil {
			if fault.HintOf(err) == "" {
				err = fault.Hint(err, "a program wrote it so; without that folder the run goes on from the checkpoint before it")
			}
			return fmt.Errorf("%s: %w", from.Path, err)
		}
	}
	if err := t.folder.clean(); err != nil {
		return err
	}
	if from.Path != "" {
		t.result.Resumed, t.result.Steps, t.result.Checkpoint = t.step, t.step, from.Path
	}
	if t.Events.Resumed != nil && len(from.Broken)+t.step > 0 {
		t.Events.Resumed(t.step, from.Path)
	}
	finished, err := t.folder.recall(func(lines []byte) bool {
		t.history = readHistory(lines)
		return t.ended()
	})
	if err != nil {
		return err
	}
	t.history = readHistory(t.folder.lines)
	t.before = t.history.elapsed
	if from.Path != "" {
		if err := t.folder.settle(&t.history, t.saveDue); err != nil {
			return err
		}
	}
	if finished && !t.evaluationDue() {
		t.result.AlreadyThere = true
		t.begun()
		return nil
	}
	t.folder.sayAsked(t.Asked)
	about := About{t.Model, t.schedule.Total}
	if err := t.folder.enter(about, t.Version, t.Engine.Needs().Machine, t.Config, t.Events.Moved); err != nil {
		return err
	}
	t.begun()
	return nil
}

// begun tells what the run goes on with.
func (t *trainer) begun() {
	if t.Events.Begun != nil {
		t.Events.Begun(Kept{t.folder.lines, t.folder.answers})
	}
}

// load takes weights, optimiser and step from the folder's newest checkpoint, which has
// been verified.
func (t *trainer) load() error {
	s, err := readState(t.folder.found.Checkpoint)
	if err != nil {
		return err
	}
	if err := sameRun(t.Dir, s.Identity, t.Identity); err != nil {
		return err
	}
	if err := t.Engine.Load(t.folder.found.Path); err != nil {
		return err
	}
	t.step, t.saved = s.Step, s.Step
	t.result.FirstLoss = s.FirstLoss
	if s.FirstEval != nil {
		t.result.FirstEval = &EvalMetrics{Loss: *s.FirstEval, Values: s.FirstValues}
	}
	return nil
}

// run is the loop: measure, save, update, from the step that the trainer is at
// to the last one. What is due at a step and has been done is not done again.
func (t *trainer) run(ctx context.Context) error {
	for first := true; ; first = false {
		if t.evaluationDue() {
			if err := t.evaluate(ctx); err != nil {
				return err
			}
		}
		if t.step == 0 {
			if err := t.answer(ctx, false); err != nil {
				return err
			}
		}
		last := t.ended()
		if t.saveDue(t.step) {
			err := t.save()
			if err == nil && t.saving == nil { // it is there since the run was here before
				err = t.settle()
			}
			if err != nil {
				return err
			}
		}
		if last || t.arrived() {
			if err := t.complete(); err != nil {
				return err
			}
		}
		if last {
			if err := t.answer(ctx, true); err != nil {
				return err
			}
			return t.folder.finish()
		}
		if first && t.Events.Training != nil {
			t.Events.Training(t.step)
		}
		if err := t.update(ctx); err != nil {
			return err
		}
	}
}

// update takes one optimiser step.
func (t *trainer) update(ctx context.Context) error {
	started := time.Now()
	sums, err := t.method.learn(ctx, t.step)
	if err != nil {
		return fmt.Errorf("step %d: %w", t.step+1, err)
	}
	rate := t.schedule.At(t.step + 1)
	loss, norm, err := sums.update(t.Engine, rate, t.Options.MaxGradNorm)
	if errors.As(err, &notFiniteError{}) {
		return t.refuse(sums.samples, err)
	}
	if err != nil {
		return fmt.Errorf("step %d: %w", t.step+1, err)
	}
	t.step++
	return t.log(sums, loss, norm, rate, time.Since(started))
}

func (t *trainer) log(s sums, loss, norm, rate float64, took time.Duration) error {
	m := StepMetrics{
		Step: t.step, Epoch: t.method.epoch(t.step), Loss: loss, TokenLoss: s.nll / float64(s.targets),
		GradNorm: norm, LearningRate: rate, Tokens: s.tokens, TargetTokens: s.targets, Documents: len(s.samples),
		TokensPerSecond: float64(s.tokens) / took.Seconds(), PeakRSS: t.Engine.Peak(), Values: s.values, Moment: t.now(),
	}
	if t.step == 1 {
		t.result.FirstLoss = loss
	}
	t.result.Steps = t.step
	t.history.addStep(loss, float64(s.tokens), m.TokensPerSecond)
	if t.Events.Step != nil {
		t.Events.Step(m)
	}
	return t.folder.write(m)
}

// now is the moment of a line of metrics.
func (t *trainer) now() Moment {
	now := time.Now()
	elapsed := t.before + now.Sub(t.began)
	return Moment{now.UTC().Format(time.RFC3339), float64(elapsed.Milliseconds()) / 1000}
}

// ended reports whether no step comes any more: all are done, or the held-out loss has not
// become better for as long as it may.
func (t *trainer) ended() bool {
	return t.step >= t.schedule.Total || t.history.stalled(t.step, t.Options.EarlyStoppingPatience)
}

// saveDue reports whether a step, up to the one that the trainer is at, ends with a checkpoint.
func (t *trainer) saveDue(step int) bool {
	every := t.Options.SaveSteps
	return step > 0 && every > 0 && step%every == 0 || step == t.step && t.ended()
}

// stop ends an interrupted run so that it can go on.
func (t *trainer) stop() error {
	t.Engine.Drop()
	if err := errors.Join(t.save(), t.complete()); err != nil {
		return err
	}
	return ErrInterrupted
}

// leave ends a run whose folder is no longer where it was. The last update is saved in
// the folder where that lies now; another one in its place is not touched.
func (t *trainer) leave(moved rundir.MovedError, cause error) error {
	t.Engine.Drop()
	if moved.Now == "" {
		return fmt.Errorf("%w: step %d is not saved", cause, t.step)
	}
	if t.saving != nil { // under the folder's old name
		t.saving.Wait()
		t.saving = nil
	}
	t.folder.follow(moved.Now)
	if err := errors.Join(t.save(), t.complete()); err != nil {
		return fmt.Errorf("%w: step %d is not saved: %w", cause, t.step, err)
	}
	if t.step == 0 {
		return cause
	}
	t.result.Checkpoint = filepath.Join(t.folder.checkpoints(), filepath.Base(t.result.Checkpoint))
	return fault.Hint(fmt.Errorf("%w; step %d is saved there", cause, t.step), "with output.dir="+moved.Now+" it goes on from there")
}

// refuse stops a run before an update that would spoil the weights. It saves the
// weights as they are, and leaves bad_step.json with the samples of the step.
func (t *trainer) refuse(samples []int, cause error) error {
	err := fmt.Errorf("step %d: %w; weights are unchanged since step %d; samples of this step: %s",
		t.step+1, cause, t.step, names(t.Data, samples))
	if t.step > 0 {
		t.Engine.Drop()
		err = errors.Join(err, t.save(), t.complete())
	}
	return errors.Join(err, t.folder.writeJSON("bad_step.json",
		map[string]any{"step": t.step + 1, "reason": cause.Error(), "samples": origins(t.Data, samples)}))
}

// evaluationDue reports whether the held-out loss is to be measured at this
// step and has not been.
func (t *trainer) evaluationDue() bool {
	every := t.Options.EvalSteps
	return every > 0 && len(t.Data.HeldOut()) > 0 && t.history.evaluated() < t.step && (t.step == t.schedule.Total || t.step%every == 0)
}

// evaluate measures the held-out data and writes the result down.
func (t *trainer) evaluate(ctx context.Context) error {
	m, err := t.method.evaluate(ctx, t.step)
	if err == nil {
		m.Values, err = written(ctx, t.Job, m.Values)
	}
	if err != nil {
		return fmt.Errorf("evaluation after step %d: %w", t.step, err)
	}
	m.Step, m.Moment = t.step, t.now()
	if t.step == 0 {
		t.result.FirstEval = &m
	}
	t.history.evaluations = append(t.history.evaluations, m)
	if t.Events.Eval != nil {
		t.Events.Eval(m)
	}
	return t.folder.write(m)
}

// answer lets the model answer held-out prompts, before the first update and after the
// last.
func (t *trainer) answer(ctx context.Context, after bool) error {
	answers, asked, err := answer(ctx, t.Job, t.folder.answers, after)
	t.result.Answers = answers
	if err != nil || !asked {
		return err
	}
	if n := withoutBefore(answers); n > 0 {
		t.folder.say(t.folder.path(rundir.Answers),
			fmt.Sprintf("what the model answered before training is not known for %d of the %d prompts", n, len(answers)))
	}
	if err := t.folder.writeAnswers(answers); err != nil {
		return err
	}
	if t.Events.Answered != nil {
		t.Events.Answered(answers)
	}
	return nil
}

// save begins a checkpoint of the last update, unless there is one, once the one before is there. The order of the data
// and all random choices follow from seed and step, so nothing is stored for them.
func (t *trainer) save() error {
	if err := t.complete(); err != nil {
		return err
	}
	if t.step == t.saved {
		return nil
	}
	s := state{Step: t.step, Identity: t.Identity, FirstLoss: t.result.FirstLoss}
	if e := t.result.FirstEval; e != nil {
		s.FirstEval, s.FirstValues = &e.Loss, e.Values
	}
	var err error
	t.saving, err = t.folder.save(t.step, func(dir string) (rest func() error, err error) {
		if rest, err = t.Engine.Save(dir); err != nil {
			return nil, err
		}
		if err := t.Tokenizer.Save(dir); err != nil {
			return nil, err
		}
		if err := s.write(dir); err != nil {
			return nil, err
		}
		return rest, t.folder.copies(dir)
	})
	return err
}

// arrived reports whether a checkpoint is there that was made beside the steps.
func (t *trainer) arrived() bool {
	if t.saving == nil {
		return false
	}
	select {
	case <-t.saving.Done():
		return true
	default:
		return false
	}
}

// complete waits for the checkpoint that is being made, if there is one.
func (t *trainer) complete() error {
	if t.saving == nil {
		return nil
	}
	step := t.saving.Step
	path, err := t.folder.saved(t.saving)
	if t.saving = nil; err != nil {
		return err
	}
	t.saved, t.result.Checkpoint = step, path
	if t.Events.Saved != nil {
		t.Events.Saved(step, path)
	}
	return t.settle()
}

// settle finds the best checkpoint, writes it down, and removes those that are too many.
func (t *trainer) settle() error {
	if err := t.folder.settle(&t.history, t.saveDue); err != nil {
		return err
	}
	return t.folder.writeBest()
}
