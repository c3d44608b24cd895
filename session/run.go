package session

import (
	"context"
	"fmt"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/train"
)

// Method is a way of training.
type Method struct {
	kind  string // of a run, as the keys of a config are for
	pairs bool   // on pairs of answers or labelled ones, not on conversations
	plan  func(*Run) (*train.Plan, error)
	do    func(context.Context, train.Job) (train.Result, error)
}

// The ways of training.
var (
	SFT = Method{
		kind: "sft",
		plan: (*Run).planSFT,
		do:   train.SFT,
	}
	DPO = Method{
		kind: "dpo", pairs: true,
		plan: (*Run).planDPO,
		do:   train.DPO,
	}
)

// Run is a training run, before its weights are read.
type Run struct {
	Model *Model
	Data  *data.Set

	session *Session
	method  Method
	epochs  *train.Epochs // of SFT, once they were asked for
}

// Run opens the model and the data of the config for training. Unless it is a dry run,
// the weights of a model on the hub are fetched, once all else is known to be right.
func (s *Session) Run(ctx context.Context, how Method) (*Run, error) {
	if err := s.Fetch(ctx); err != nil {
		return nil, err
	}
	m, err := s.Model(ctx)
	if err != nil {
		return nil, err
	}
	c := s.Config
	if how.pairs && !s.DryRun && hasReferenceModel(c) {
		if c.DPO.Reference, err = folder(ctx, c.DPO.Reference, hub.WholeModel, s.events); err != nil {
			return nil, err
		}
	}
	labelled := c.DPO.Labelled()
	set, err := s.Data(ctx, m.Template, data.Run{Pairs: how.pairs && !labelled, Labels: how.pairs && labelled})
	if err != nil {
		return nil, err
	}
	err = m.checkTokens(set)
	if patience := c.Train.EarlyStoppingPatience; err == nil && patience > 0 && len(set.HeldOut()) == 0 {
		err = fault.Usage(fault.Hint(fmt.Errorf("train.early_stopping_patience is %d, and nothing is held out", patience),
			"data.held_out says what is; 0 lets the run go on to its end"))
	}
	if err == nil && !s.DryRun {
		err = m.fetchWeights(ctx)
	}
	if err != nil {
		set.Close()
		return nil, err
	}
	return &Run{Model: m, Data: set, session: s, method: how}, nil
}

// hasReferenceModel reports whether preference training measures against a model of its
// own, in a folder.
func hasReferenceModel(c *configs.Config) bool {
	return c.DPO.Reference != dpo.Initial && c.DPO.Reference != dpo.NoReference
}

// Close closes the data.
func (r *Run) Close() error { return r.Data.Close() }

// Plan says what the run trains on, step by step.
func (r *Run) Plan() (*train.Plan, error) { return r.method.plan(r) }

func (r *Run) planSFT() (*train.Plan, error) {
	e, err := r.packed()
	if err != nil {
		return nil, err
	}
	b, err := train.NewBatches(e, r.session.Config.Train)
	if err != nil {
		return nil, err
	}
	return b.Plan()
}

func (r *Run) planDPO() (*train.Plan, error) {
	c := r.session.Config
	p, err := train.NewPairSteps(r.Data, c.DPO, c.Packing.Capacity, c.Train, c.Seed)
	if err != nil {
		return nil, err
	}
	return p.Plan(), nil
}

// packed packs the run's first epoch, once.
func (r *Run) packed() (e *train.Epochs, err error) {
	if r.epochs == nil {
		r.epochs, err = train.NewEpochs(r.Data, r.session.Config.Packing, r.session.Config.Seed)
	}
	return r.epochs, err
}

// Needs says what the run needs.
func (r *Run) Needs() (engine.Needs, error) { return r.session.Needs(r.Model) }

// Check refuses an output folder that holds another run or foreign files. It returns the
// step that the run there would go on from.
func (r *Run) Check() (step int, err error) {
	return train.CheckFolder(r.session.Config.Output.Dir, runIdentity(r.session.Config, r.Data, r.method.kind))
}

// Do loads the weights and trains. A run that was interrupted goes on from its last
// checkpoint.
func (r *Run) Do(ctx context.Context, e train.Events) (train.Result, error) {
	job, err := r.job(e)
	if err != nil {
		return train.Result{}, err
	}
	if job.Engine, err = r.Model.Engine(); err != nil {
		return train.Result{}, err
	}
	defer job.Engine.Close()
	return r.method.do(ctx, job)
}

// job is the run as package train takes it, without its engine.
func (r *Run) job(e train.Events) (train.Job, error) {
	c, m := r.session.Config, r.Model
	job := train.Job{
		Options: c.Train, Capacity: c.Packing.Capacity, DPO: c.DPO, Seed: c.Seed, Dir: c.Output.Dir, CacheDir: c.Data.CacheDir,
		Data: r.Data, Tokenizer: m.Tokenizer, Stop: m.Template.Stop(),
		Asked:    train.AnswerOptions{Prompts: c.Sample.Prompts, MaxNewTokens: c.Sample.MaxNewTokens, Temperature: c.Sample.Temperature},
		Identity: runIdentity(r.session.Config, r.Data, r.method.kind),
		Config:   c.Resolved(),
		Model:    m.Describe(), Version: Version(),
		Events: e,
	}
	var err error
	if !r.method.pairs {
		job.Epochs, err = r.packed()
	}
	return job, err
}

// SelftestResume trains a few steps twice, once with a break, and compares: see
// [train.SelftestResume].
func (r *Run) SelftestResume(ctx context.Context, steps int, e train.Events) (train.ResumeTest, error) {
	job, err := r.job(e)
	if err != nil {
		return train.ResumeTest{}, err
	}
	return train.SelftestResume(ctx, job, r.method.do, steps, r.Model.Engine)
}

// SelftestPacking compares documents in packs with the same documents alone: see
// [train.SelftestPacking].
func (r *Run) SelftestPacking(ctx context.Context, packs int, e train.Events) (train.PackingTest, error) {
	job, err := r.job(e)
	if err != nil {
		return train.PackingTest{}, err
	}
	if job.Engine, err = r.Model.Engine(); err != nil {
		return train.PackingTest{}, err
	}
	defer job.Engine.Close()
	return train.SelftestPacking(ctx, job, packs)
}
