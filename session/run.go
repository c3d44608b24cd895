package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/engine/native"
	"lwtrain/engine/torch"
	"lwtrain/internal/fault"
	"lwtrain/internal/machine"
	"lwtrain/internal/rundir"
	"lwtrain/track"
	"lwtrain/train"
)

// Method is a way of training.
type Method struct {
	kind  string // of a run, as the keys of a config are for
	pairs bool   // on pairs of answers or labelled ones, not on conversations
	plan  func(*Run) (*train.Plan, error)
	work  func(r *Run, step int) (train.Work, error)
	do    func(context.Context, train.Job) (train.Result, error)
}

// The ways of training.
var (
	SFT = Method{
		kind: "sft",
		plan: (*Run).planSFT, work: (*Run).workSFT,
		do: train.SFT,
	}
	DPO = Method{
		kind: "dpo", pairs: true,
		plan: (*Run).planDPO, work: (*Run).workDPO,
		do: train.DPO,
	}
)

// Run is a training run, before its weights are read.
type Run struct {
	Model *Model
	Data  *data.Set

	session   *Session
	method    Method
	reference *Model        // of its own, of preference training; nil: there is none
	sharing   train.Sharing // of prompts, of preference training
	epochs    *train.Epochs // of SFT, once they were asked for
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
	if err := m.checkWhole("model.path"); err != nil {
		return nil, err
	}
	if err := m.checkProved(); err != nil {
		return nil, err
	}
	m.warnPositions()
	var reference *Model
	if how.pairs {
		if reference, err = s.Reference(ctx, m); err != nil {
			return nil, err
		}
	}
	var sharing train.Sharing
	if how.pairs {
		if sharing, err = s.sharing(m, reference); err != nil {
			return nil, err
		}
	}
	labelled := s.Config.DPO.Labelled()
	set, err := s.Data(ctx, m.Template, data.Run{
		Pairs: how.pairs && !labelled, Labels: how.pairs && labelled, Positions: m.Config.MaxTokens,
	})
	if err != nil {
		return nil, err
	}
	if err = m.checkTokens(set); err == nil {
		err = m.checkPositions(set)
	}
	if patience := s.Config.Train.EarlyStoppingPatience; err == nil && patience > 0 && len(set.HeldOut()) == 0 {
		err = fault.Usage(fault.Hint(fmt.Errorf("train.early_stopping_patience is %d, and nothing is held out", patience),
			"data.held_out says what is; 0 lets the run go on to its end"))
	}
	for _, m := range []*Model{m, reference} {
		if err == nil && m != nil && !s.DryRun {
			err = m.fetchWeights(ctx)
		}
	}
	if err != nil {
		set.Close()
		return nil, err
	}
	return &Run{Model: m, Data: set, session: s, method: how, reference: reference, sharing: sharing}, nil
}

// RunOfData is a run of the way of training that the config's data is for.
func (s *Session) RunOfData(ctx context.Context) (*Run, error) {
	r, err := s.Run(ctx, SFT)
	if errors.Is(err, data.ErrPreferences) {
		return s.Run(ctx, DPO)
	}
	return r, err
}

// Close closes the data.
func (r *Run) Close() error { return r.Data.Close() }

// Plan says what the run trains on, step by step.
func (r *Run) Plan() (*train.Plan, error) { return r.method.plan(r) }

func (r *Run) batches() (*train.Batches, error) {
	e, err := r.packed()
	if err != nil {
		return nil, err
	}
	return train.NewBatches(e, r.session.Config.Train)
}

func (r *Run) planSFT() (*train.Plan, error) {
	b, err := r.batches()
	if err != nil {
		return nil, err
	}
	return b.Plan()
}

func (r *Run) workSFT(step int) (train.Work, error) {
	b, err := r.batches()
	if err != nil {
		return train.Work{}, err
	}
	return b.Work(step)
}

func (r *Run) pairSteps() (*train.PairSteps, error) {
	c := r.session.Config
	return train.NewPairSteps(r.Data, c.DPO, c.Packing.Capacity, r.sharing, c.Train, c.Seed)
}

func (r *Run) planDPO() (*train.Plan, error) {
	p, err := r.pairSteps()
	if err != nil {
		return nil, err
	}
	return p.Plan(), nil
}

func (r *Run) workDPO(step int) (train.Work, error) {
	p, err := r.pairSteps()
	if err != nil {
		return train.Work{}, err
	}
	return p.Work(r.session.Config.DPO, step), nil
}

// packed packs the run's first epoch, once.
func (r *Run) packed() (e *train.Epochs, err error) {
	if r.epochs == nil {
		c := r.session.Config
		r.epochs, err = train.NewEpochs(r.Data, c.Packing, c.Train.PacksPerStep(), c.Seed)
	}
	return r.epochs, err
}

// Needs says what the run needs.
func (r *Run) Needs() (engine.Needs, error) {
	return r.session.Needs(r.Model, r.reference, r.heldOut())
}

// heldOut is how many tokens the longest held-out sample has, if no pack of the run's capacity holds it; else 0.
func (r *Run) heldOut() (longest int) {
	for _, i := range r.Data.HeldOut() {
		longest = max(longest, r.Data.Tokens(int(i)))
	}
	if longest <= r.session.Config.Packing.Capacity {
		return 0
	}
	return longest
}

// identity is what makes a training run this run, but for the weights of its model, which package
// train adds once they are read.
func (r *Run) identity() rundir.Identity {
	id := rundir.Identity{Contents: r.Data.Contents(), Settings: r.session.Config.Settings(r.method.kind)}
	if r.Model.dir != "" { // each checkpoint has them
		id.Contents[rundir.TokenizerFiles] = r.Model.Tokenizer.FilesHash()
	}
	return id
}

// Check refuses an output folder that holds another run or foreign files. It returns the
// step that the run there would go on from.
func (r *Run) Check() (step int, err error) {
	return train.CheckFolder(r.session.Config.Output.Dir, r.identity())
}

// Do loads the weights and trains. A run that was interrupted goes on from its last
// checkpoint, and where the config says so one whose engine lost a process does by itself.
func (r *Run) Do(ctx context.Context, e train.Events) (train.Result, error) {
	for again := 0; ; again++ {
		result, err := r.attempt(ctx, e)
		var lost torch.LostError
		if !errors.As(err, &lost) || again >= r.session.Config.Engine.Restarts || ctx.Err() != nil {
			return result, err
		}
		r.session.events.warn("%v: the run goes on from its last checkpoint", err)
	}
}

// attempt is a run until it ends or fails.
func (r *Run) attempt(ctx context.Context, e train.Events) (train.Result, error) {
	job, err := r.job(ctx, e)
	if err != nil {
		return train.Result{}, err
	}
	own, err := r.session.engine(r.Model, r.reference, r.heldOut(), filepath.Join(r.session.Config.Output.Dir, rundir.Engine))
	if err != nil {
		return train.Result{}, err
	}
	defer own.Close()
	measured := &timed{Engine: own}
	job.Engine = measured
	var key string
	planned := job.Events.Planned
	job.Events.Planned = func(p *train.Plan, m engine.Needs) {
		if key = paceKey(r.method.kind, r.Model.Config, r.session.Config.Train, p, m); planned != nil {
			planned(p, m)
		}
	}
	places := r.places(job.Config)
	defer places.Close()
	cluster := track.NewKubeflow(os.Getenv, func(text string) { r.session.events.warn("%s", text) })
	job.Events = cluster.Join(places.Join(job.Events))
	beside := machine.NewWatch()
	result, err := r.method.do(ctx, job)
	cluster.Close(err == nil)
	if measured.learn.units > 0 {
		at := measured.pace(result.Here)
		at.Others, _ = beside.OtherWork()
		if e := keepPace(job.CacheDir, key, at); e != nil && err == nil {
			r.session.events.warn("how fast the run was is not kept: %v", e)
		}
	}
	return result, err
}

// places are where metrics go besides metrics.jsonl.
func (r *Run) places(config []byte) *track.Places {
	c := r.session.Config
	kind := track.Kind{Pairs: r.method.pairs, Labelled: c.DPO.Labelled(), Written: c.Eval.During.Prompts != ""}
	for _, s := range r.Data.Sources() {
		kind.Sources = append(kind.Sources, s.Name)
	}
	return &track.Places{
		Dir: c.Output.Dir, Names: c.Output.ReportTo, Columns: track.Columns(kind), Config: config,
		Warn: func(text string) { r.session.events.warn("%s", text) },
	}
}

// job is the run as package train takes it, without its engine.
func (r *Run) job(ctx context.Context, e train.Events) (train.Job, error) {
	c, m := r.session.Config, r.Model
	job := train.Job{
		Options: c.Train, Capacity: c.Packing.Capacity, DPO: c.DPO, Seed: c.Seed, Dir: c.Output.Dir, CacheDir: c.Data.CacheDir,
		Sharing: r.sharing, Data: r.Data, Tokenizer: m.Tokenizer, Stop: m.Template.Stop(),
		Asked:    train.AnswerOptions{Prompts: c.Sample.Prompts, MaxNewTokens: c.Sample.MaxNewTokens, Temperature: c.Sample.Temperature},
		Identity: r.identity(),
		Config:   c.Resolved(),
		Model:    m.Describe(), Version: Version(),
		Events: e,
	}
	if r.reference != nil {
		job.DPO.Reference = r.reference.dir
	}
	var err error
	if job.Written, err = r.session.written(ctx, m); err != nil {
		return job, err
	}
	if !r.method.pairs {
		job.Epochs, err = r.packed()
	}
	return job, err
}

// SelftestResume trains a few steps twice, once with a break, and compares: see
// [train.SelftestResume].
func (r *Run) SelftestResume(ctx context.Context, steps int, e train.Events) (train.ResumeTest, error) {
	job, err := r.job(ctx, e)
	if err != nil {
		return train.ResumeTest{}, err
	}
	anew := func() (engine.Engine, error) { return r.session.engine(r.Model, r.reference, r.heldOut(), "") }
	return train.SelftestResume(ctx, job, r.method.do, steps, anew)
}

// SelftestPacking compares documents in packs with the same documents alone: see
// [train.SelftestPacking].
func (r *Run) SelftestPacking(ctx context.Context, packs int, e train.Events) (train.PackingTest, error) {
	job, err := r.job(ctx, e)
	if err != nil {
		return train.PackingTest{}, err
	}
	if job.Engine, err = r.session.engine(r.Model, r.reference, r.heldOut(), ""); err != nil {
		return train.PackingTest{}, err
	}
	defer job.Engine.Close()
	return train.SelftestPacking(ctx, job, packs)
}

// SelftestPrompts compares pairs whose prompts are computed once with the same pairs with a prompt for each
// answer: see [train.SelftestPrompts].
func (r *Run) SelftestPrompts(ctx context.Context, pairs int, e train.Events) (train.PromptTest, error) {
	job, err := r.job(ctx, e)
	if err != nil {
		return train.PromptTest{}, err
	}
	if job.Engine, err = r.session.engine(r.Model, r.reference, r.heldOut(), ""); err != nil {
		return train.PromptTest{}, err
	}
	defer job.Engine.Close()
	return train.SelftestPrompts(ctx, job, pairs)
}

// sharing says how a run of m against a reference, which may be nil, shares the prompts of its pairs.
func (s *Session) sharing(m, reference *Model) (train.Sharing, error) {
	const key = "dpo.share_prompts"
	if err := s.shareAsBefore(key); err != nil {
		return train.Sharing{}, err
	}
	how := s.Config.DPO.SharePrompts
	if how == dpo.Nowhere || s.Config.DPO.Labelled() {
		return train.Sharing{Why: "dpo.share_prompts is false"}, nil
	}
	out := train.Sharing{Always: how == dpo.Wherever}
	out.Cost, out.Target = native.Cost(m.Config)
	if out.Most, out.Why = m.Config.Branches(); reference != nil {
		if most, why := reference.Config.Branches(); most < out.Most {
			out.Most, out.Why = most, "the reference: "+why
		}
	}
	if s.usesTorch() {
		out.Most, out.Why = 0, "engine.kind: torch"
	}
	if out.Most == 0 && how == dpo.Wherever {
		return out, fault.Usage(fault.Hint(fmt.Errorf("%s is true (%s), and prompts can not be shared: %s", key,
			s.Config.Origin(key), out.Why),
			"auto shares them where they can be"))
	}
	return out, nil
}

// shareAsBefore lets the run of a folder that was begun before there was the key, or without sharing, go on so where the config
// leaves it open.
func (s *Session) shareAsBefore(key string) error {
	c := s.Config
	if c.DPO.SharePrompts != dpo.WhereItPays {
		return nil
	}
	var there rundir.Identity
	known, err := rundir.ReadJSON(filepath.Join(c.Output.Dir, rundir.File), &there)
	if _, says := there.Settings[key]; err == nil && known && !says {
		c.DPO.SharePrompts = dpo.Nowhere
	}
	return err
}

// KindOf is which command trained the run of a folder: sft or dpo.
func KindOf(dir string) (string, error) {
	var there rundir.Identity
	known, err := rundir.ReadJSON(filepath.Join(dir, rundir.File), &there)
	switch {
	case err != nil:
		return "", err
	case !known:
		return "", fault.Usage(fmt.Errorf("%s: no run is there, want a config or the folder of a run", dir))
	}
	for key := range there.Settings {
		if strings.HasPrefix(key, "dpo.") {
			return DPO.kind, nil
		}
	}
	return SFT.kind, nil
}
