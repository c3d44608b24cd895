package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lwtrain/checkpoints"
	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/tokenizer"
)

// Job is all that a fine-tuning run needs.
type Job struct {
	Options   Options
	Packing   packing.Options
	DPO       dpo.Options // of [DPO]
	CacheDir  string      // where [DPO] keeps what the reference says
	Seed      uint64
	Dir       string // output folder: metrics.jsonl, checkpoints/
	Data      *data.Set
	Model     *model.Model         // fresh weights; replaced by a checkpoint's when resuming
	Tokenizer *tokenizer.Tokenizer // saved with each checkpoint
	Stop      []int32              // ids that end an answer
	Sample    SampleOptions
	Identity  Identity
	Config    []byte // what config.yaml of the run's folder says
	Events    Events
}

// Events tell a caller what happens, so that it can show it. Any of them may
// be nil.
type Events struct {
	Planned   func(*Plan, *Memory)
	Resumed   func(step int, from string)           // from a checkpoint; 0 and "" where none of those that are there is whole
	Broken    func(checkpoint string, reason error) // a damaged checkpoint was passed over
	Moved     func(then, now string)                // the run goes on with other threads, or on another processor
	Scoring   func(tokens, most int64)              // of the reference's log-probabilities
	Answering func(tokens, most int)                // to held-out prompts
	Training  func(step int)                        // the steps after this one begin
	Step      func(StepMetrics)
	Eval      func(EvalMetrics)
	Saved     func(step int, path string)
}

// Result sums up a finished run.
type Result struct {
	Steps        int
	Resumed      int // the step that the run went on from, 0 for a fresh one
	FirstLoss    float64
	LastLoss     float64
	FirstEval    *EvalMetrics // before the first update, when there is held-out data
	LastEval     *EvalMetrics
	Tokens       int64         // of the steps taken by this call
	Training     time.Duration // that these steps took
	Elapsed      time.Duration // with evaluations, answers and saving
	PeakRSS      int64         // bytes
	Checkpoint   string        // the last one
	MetricsFile  string
	Answers      []Answer
	AlreadyThere bool // the run had been finished before
}

// TokensPerSecond is the speed of the training steps alone.
func (r Result) TokensPerSecond() float64 { return float64(r.Tokens) / max(1e-9, r.Training.Seconds()) }

// ErrInterrupted is returned when the context was cancelled: the last update is
// saved, and the run can go on from it.
var ErrInterrupted = errors.New("interrupted")

// method is what sets one way of training apart. The trainer does the rest: it
// resumes, saves, logs, updates and refuses for all of them.
type method interface {
	// prepare does what needs the weights that training starts from, right before a
	// checkpoint takes their place.
	prepare() error
	// forwardBackward adds the gradients of the step after step updates to the
	// parameters.
	forwardBackward(step int) (sums, error)
	// evaluate measures the held-out data.
	evaluate() (EvalMetrics, error)
	// epoch is the share of the data seen after step updates.
	epoch(step int) float64
	free()
}

// do is a whole run.
func (t *trainer) do(ctx context.Context) (Result, error) {
	began := time.Now()
	defer t.close()
	t.interrupt = ctx.Err
	err := t.resume()
	if err == nil {
		err = t.run(ctx)
	}
	if errors.Is(err, context.Canceled) {
		err = t.stop()
	}
	t.result.Elapsed, t.result.PeakRSS = time.Since(began), peakRSS()
	return t.result, fault.Disk(err)
}

// interrupted is asked by programs before each op.
func (t *trainer) interrupted() error {
	if t.interrupt == nil {
		return nil
	}
	return t.interrupt()
}

// run is the loop: measure, save, update, from the step that the trainer is at
// to the last one. What is due at a step and has been done is not done again.
func (t *trainer) run(ctx context.Context) error {
	for first := true; ; first = false {
		if t.evaluationDue() {
			if err := t.evaluate(); err != nil {
				return err
			}
		}
		if t.step == 0 {
			if err := t.answer(ctx, false); err != nil {
				return err
			}
		}
		last := t.step == t.schedule.Total
		if last || t.opt.SaveSteps > 0 && t.step%t.opt.SaveSteps == 0 {
			if err := t.save(); err != nil {
				return err
			}
		}
		if last {
			return t.answer(ctx, true)
		}
		if first && t.Events.Training != nil {
			t.Events.Training(t.step)
		}
		if err := t.update(); err != nil {
			return err
		}
	}
}

// update takes one optimiser step.
func (t *trainer) update() error {
	started := time.Now()
	sums, err := t.method.forwardBackward(t.step)
	if err != nil {
		return fmt.Errorf("step %d: %w", t.step+1, err)
	}
	loss := sums.loss / sums.divisor
	rate := t.schedule.At(t.step + 1)
	var norm float64
	kernels.Run(func() {
		norm = gradNorm(t.model.Params, 1/sums.divisor)
		if err = notFinite(loss, norm); err == nil {
			t.optimizer.Step(t.step+1, rate, clip(norm, t.opt.MaxGradNorm)/sums.divisor)
		}
	})
	if err != nil {
		return t.refuse(sums.samples, err)
	}
	t.step++
	return t.log(sums, loss, norm, rate, time.Since(started))
}

// stop ends an interrupted run so that it can go on.
func (t *trainer) stop() error {
	t.dropGradients()
	if err := t.save(); err != nil {
		return err
	}
	return ErrInterrupted
}

// dropGradients forgets a step that is half done.
func (t *trainer) dropGradients() {
	kernels.Run(func() {
		for _, p := range t.model.Params {
			kernels.Zero(p.Grad)
		}
	})
}

// trainer is the state of a run.
type trainer struct {
	Job
	method    method
	opt       Options
	schedule  Schedule
	memory    *Memory
	optimizer *AdamW
	metrics   *metricsFile
	model     *model.Model

	interrupt func() error // asked before each op; nil: never
	lock      *os.File     // of the run's folder

	step      int // updates made
	saved     int // the step of the newest checkpoint; 0: none
	evaluated int // the step of the last evaluation in metrics.jsonl; -1: none
	result    Result
}

// newTrainer gets the model ready to train. The caller sets the method.
func newTrainer(job Job, plan *Plan, memory *Memory) (*trainer, error) {
	t := &trainer{Job: job, opt: job.Options, model: job.Model, schedule: plan.Schedule, memory: memory, evaluated: -1}
	if job.Events.Planned != nil {
		job.Events.Planned(plan, memory)
	}
	if memory.Precision == graph.BFloat16 {
		t.model.UseHalf()
	}
	t.model.UseGradients()
	if err := t.identifyModel(); err != nil {
		return nil, err
	}
	t.optimizer = NewAdamW(t.model.Params, t.opt.AdamBeta1, t.opt.AdamBeta2, t.opt.AdamEpsilon, t.opt.WeightDecay)
	t.result.MetricsFile = filepath.Join(job.Dir, "metrics.jsonl")
	return t, nil
}

func (t *trainer) close() {
	if t.metrics != nil {
		t.metrics.close()
	}
	if t.lock != nil {
		t.lock.Close()
	}
	t.optimizer.Free()
	t.method.free()
}

// sums are what a step adds up over its packs before it divides once.
type sums struct {
	loss    float64 // times divisor
	divisor float64 // of the gradients, too
	nll     float64 // unweighted, over target tokens
	tokens  int
	targets int
	samples []int              // of the step
	values  map[string]float64 // what the method tells besides
}

func (t *trainer) log(s sums, loss, norm, rate float64, took time.Duration) error {
	m := StepMetrics{
		Step: t.step, Epoch: t.method.epoch(t.step), Loss: loss, TokenLoss: s.nll / float64(s.targets),
		GradNorm: norm, LearningRate: rate, Tokens: s.tokens, TargetTokens: s.targets, Documents: len(s.samples),
		TokensPerSecond: float64(s.tokens) / took.Seconds(), PeakRSS: peakRSS(), Values: s.values,
	}
	if t.step == 1 {
		t.result.FirstLoss = loss
	}
	t.result.LastLoss, t.result.Steps = loss, t.step
	t.result.Tokens += int64(s.tokens)
	t.result.Training += took
	if t.Events.Step != nil {
		t.Events.Step(m)
	}
	return t.metrics.write(m)
}

// refuse stops a run before an update that would spoil the weights. It saves the
// weights as they are, and leaves bad_step.json with the samples of the step.
func (t *trainer) refuse(samples []int, cause error) error {
	path := filepath.Join(t.Dir, "bad_step.json")
	names := t.names(samples)
	err := fmt.Errorf("step %d: %w; weights are unchanged since step %d; samples of this step: %s",
		t.step+1, cause, t.step, names)
	if t.step > 0 {
		t.dropGradients()
		err = errors.Join(err, t.save())
	}
	return errors.Join(err, rundir.WriteJSON(path, map[string]any{"step": t.step + 1, "reason": cause.Error(), "samples": t.origins(samples)}))
}

// evaluationDue reports whether the held-out loss is to be measured at this
// step and has not been.
func (t *trainer) evaluationDue() bool {
	return t.opt.EvalSteps > 0 && len(t.Data.HeldOut()) > 0 && t.evaluated < t.step &&
		(t.step == t.schedule.Total || t.step%t.opt.EvalSteps == 0)
}

// evaluate measures the held-out data and writes the result down.
func (t *trainer) evaluate() error {
	m, err := t.method.evaluate()
	if err != nil {
		return fmt.Errorf("evaluation after step %d: %w", t.step, err)
	}
	m.Step = t.step
	if t.step == 0 {
		t.result.FirstEval = &m
	}
	t.result.LastEval, t.evaluated = &m, t.step
	if t.Events.Eval != nil {
		t.Events.Eval(m)
	}
	return t.metrics.write(m)
}

// save writes a checkpoint of the last update, unless there is one, and prunes
// old ones.
func (t *trainer) save() error {
	if t.step == t.saved {
		return nil
	}
	if err := t.metrics.sync(); err != nil {
		return err
	}
	path, err := checkpoints.Save(t.root(), t.step, t.writeState)
	if err != nil {
		return fmt.Errorf("saving step %d: %w", t.step, err)
	}
	t.saved, t.result.Checkpoint = t.step, path
	if t.Events.Saved != nil {
		t.Events.Saved(t.step, path)
	}
	return t.prune()
}

// root is the folder of the checkpoints.
func (t *trainer) root() string { return filepath.Join(t.Dir, "checkpoints") }

func (t *trainer) prune() error {
	if t.opt.SaveTotalLimit == 0 {
		return nil
	}
	return checkpoints.Prune(t.root(), t.opt.SaveTotalLimit)
}
