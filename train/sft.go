// Package train runs fine-tuning. [SFT] is the whole loop, top to bottom; what
// it shares with other methods are plain functions and small types: the
// [Schedule], [AdamW], the metrics file, evaluation, saving and resuming.
//
// A run is a function of its configuration, its data and its seed. It can be
// stopped at any moment and goes on from its last complete checkpoint with the
// same bytes as if it had never stopped.
//
// The package knows nothing of YAML, flags or terminals: what happens is told
// through [Events].
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
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/tokenizer"
)

// Job is all that a fine-tuning run needs.
type Job struct {
	Options   Options
	Packing   packing.Options
	Seed      uint64
	Dir       string // output folder: metrics.jsonl, checkpoints/
	Data      *data.Store
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

// SFT fine-tunes job.Model on job.Data: next-token cross-entropy on the target
// tokens, weighted as job.Packing says. It resumes by itself from the newest
// complete checkpoint in job.Dir.
//
// When ctx is cancelled, SFT drops the step that it is in, saves a checkpoint
// of the last update unless there is one, and returns [ErrInterrupted].
func SFT(ctx context.Context, job Job) (Result, error) {
	began := time.Now()
	t, err := newTrainer(job)
	if err != nil {
		return Result{}, err
	}
	defer t.close()
	if err = t.resume(); err == nil {
		err = t.run(ctx)
	}
	if errors.Is(err, context.Canceled) {
		err = t.stop()
	}
	t.result.Elapsed, t.result.PeakRSS = time.Since(began), peakRSS()
	return t.result, fault.Disk(err)
}

// run is the loop: measure, save, update, from the step that the trainer is at
// to the last one. What is due at a step and has been done is not done again.
func (t *trainer) run(ctx context.Context) error {
	t.train.Interrupt, t.eval.Interrupt = ctx.Err, ctx.Err
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
	batch, err := t.batches.at(t.step)
	if err != nil {
		return err
	}
	sums, err := t.forwardBackward(batch)
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
		return t.refuse(batch, err)
	}
	t.step++
	return t.log(sums, loss, norm, rate, batch, time.Since(started))
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
	opt       Options
	schedule  Schedule
	memory    *Memory
	batches   *batches
	graph     *graph.Graph
	train     *graph.Program
	eval      *graph.Program
	optimizer *AdamW
	metrics   *metricsFile
	model     *model.Model
	pack      packing.Pack

	lock *os.File // of the run's folder

	step      int // updates made
	saved     int // the step of the newest checkpoint; 0: none
	evaluated int // the step of the last evaluation in metrics.jsonl; -1: none
	result    Result
}

func newTrainer(job Job) (*trainer, error) {
	t := &trainer{Job: job, opt: job.Options, model: job.Model, evaluated: -1}
	var err error
	if t.batches, err = newBatches(job.Data, job.Packing, job.Options, job.Seed); err != nil {
		return nil, err
	}
	plan, err := t.batches.summary(job.Options)
	if err != nil {
		return nil, err
	}
	t.schedule = plan.Schedule
	memory, err := PlanMemory(job.Model, job.Packing.Capacity, job.Options)
	if err != nil {
		return nil, err
	}
	t.memory, t.graph, t.train, t.eval = memory, memory.graph, memory.train, memory.eval
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
	t.graph.Free()
}

// sums are what a step adds up over its packs before it divides once.
type sums struct {
	loss    float64 // weighted
	divisor float64
	nll     float64 // unweighted, over target tokens
	tokens  int
	targets int
}

// forwardBackward runs every pack of the step and adds up loss and gradients.
// Packs run one at a time, whatever per_device_train_batch_size says, so the
// gradient of 1 x 8, 2 x 4 and 4 x 2 packs is the same to the byte, and a
// larger micro-batch costs no memory.
func (t *trainer) forwardBackward(batch []packed) (sums, error) {
	var s sums
	for _, b := range batch {
		if err := t.layToTrain(b); err != nil {
			return s, err
		}
		if err := t.train.RunAll(); err != nil {
			return s, err
		}
		s.loss += t.graph.Loss()
		s.divisor += t.pack.Divisor
		s.tokens += t.pack.Tokens
		s.targets += t.pack.TargetTokens
		for _, v := range t.graph.NLL() {
			s.nll += v
		}
	}
	if s.divisor == 0 {
		return s, fmt.Errorf("no token of the step carries loss: %s", t.names(batch))
	}
	return s, nil
}

// lay puts a pack's documents into the graph's inputs.
func (t *trainer) lay(samples []int, weighting string, factor func(data.Sample) float64) error {
	docs := make([]packing.Doc, len(samples))
	for i, id := range samples {
		s, err := t.Data.Sample(id)
		if err != nil {
			return err
		}
		docs[i] = packing.Doc{IDs: s.IDs, Target: s.Target, Factor: factor(s)}
	}
	if err := packing.Lay(&t.pack, t.graph.Capacity, docs, weighting); err != nil {
		return err
	}
	in := t.graph.Inputs()
	copy(in.IDs, t.pack.IDs)
	copy(in.Targets, t.pack.Targets)
	copy(in.Starts, t.pack.Starts)
	copy(in.Weights, t.pack.Weights)
	return nil
}

// layToTrain lays a pack with the weights that the run asks for.
func (t *trainer) layToTrain(b packed) error {
	return t.lay(b.docs, t.Packing.Weighting, func(s data.Sample) float64 { return t.Data.Sources()[s.Source].LossFactor })
}

func (t *trainer) log(s sums, loss, norm, rate float64, batch []packed, took time.Duration) error {
	documents := 0
	for _, b := range batch {
		documents += len(b.docs)
	}
	m := StepMetrics{
		Step: t.step, Epoch: t.batches.epoch(t.step), Loss: loss, TokenLoss: s.nll / float64(s.targets),
		GradNorm: norm, LearningRate: rate, Tokens: s.tokens, TargetTokens: s.targets, Documents: documents,
		TokensPerSecond: float64(s.tokens) / took.Seconds(), PeakRSS: peakRSS(),
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
func (t *trainer) refuse(batch []packed, cause error) error {
	path := filepath.Join(t.Dir, "bad_step.json")
	names := t.names(batch)
	err := fmt.Errorf("step %d: %w; weights are unchanged since step %d; samples of this step: %s",
		t.step+1, cause, t.step, names)
	if t.step > 0 {
		t.dropGradients()
		err = errors.Join(err, t.save())
	}
	return errors.Join(err, writeJSON(path, map[string]any{"step": t.step + 1, "reason": cause.Error(), "samples": t.origins(batch)}))
}

// evaluationDue reports whether the held-out loss is to be measured at this
// step and has not been.
func (t *trainer) evaluationDue() bool {
	return t.opt.EvalSteps > 0 && len(t.Data.HeldOut()) > 0 && t.evaluated < t.step &&
		(t.step == t.schedule.Total || t.step%t.opt.EvalSteps == 0)
}

// evaluate measures the held-out loss: the plain mean over target tokens, of
// all and by source, whatever the training's weighting.
func (t *trainer) evaluate() error {
	held := t.Data.HeldOut()
	names := t.Data.Sources()
	loss := make([]float64, len(names))
	targets := make([]float64, len(names))
	for _, samples := range t.batches.heldOut {
		if err := t.lay(samples, "token", func(data.Sample) float64 { return 1 }); err != nil {
			return err
		}
		if err := t.eval.RunAll(); err != nil {
			return fmt.Errorf("evaluation after step %d: %w", t.step, err)
		}
		at := 0
		for _, id := range samples {
			end := at + t.Data.Tokens(id)
			for i := at; i < end; i++ {
				loss[t.Data.Source(id)] += t.graph.NLL()[i]
			}
			targets[t.Data.Source(id)] += float64(t.Data.Targets(id))
			at = end
		}
	}
	m := EvalMetrics{Step: t.step}
	var sum, n float64
	for i, s := range names {
		if targets[i] > 0 {
			m.Sources = append(m.Sources, SourceLoss{s.Name, loss[i] / targets[i]})
			sum, n = sum+loss[i], n+targets[i]
		}
	}
	m.Loss = sum / n
	if n == 0 {
		return fmt.Errorf("none of the %d held-out samples has a target", len(held))
	}
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
