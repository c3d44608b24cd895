package lengthcap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"lwtrain/configs"
	"lwtrain/eval"
	"lwtrain/experiment"
	"lwtrain/internal/fault"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/session"
)

// arm is the config of a model's training: that of the experiment, with its documents.
func (x *Experiment) arm(a experiment.Arm) (*configs.Config, error) {
	c := x.session.Config
	limit := fmt.Sprintf("cut_answer: {words: %d}", a.Cap)
	if c.Experiment.Mode == "filter" {
		limit = fmt.Sprintf("filter: {max_words: %d}", a.Cap)
	}
	path, err := json.Marshal(filepath.Join(x.dir, documentsFile))
	if err != nil {
		return nil, err
	}
	const few = 10 // steps, of which a warm-up would take away one
	warmup := c.Train.WarmupRatio
	if a.Steps < few {
		warmup = 0
	}
	capacity := c.Packing.Capacity
	if a.Capacity > 0 {
		capacity = a.Capacity
	}
	return configs.Parse(rundir.Config, c.Resolved(), []string{
		fmt.Sprintf("packing.capacity=%d", capacity), fmt.Sprintf("data.max_length=%d", min(capacity, c.Data.MaxLength)),
		fmt.Sprintf("train.warmup_ratio=%g", warmup),
		fmt.Sprintf("data.sources=[{name: documents, path: %s, %s}]", path, limit), "data.held_out=0",
		fmt.Sprintf("train.max_steps=%d", max(1, a.Steps)), "train.eval_steps=0", "train.early_stopping_patience=0", "sample.prompts=0",
		fmt.Sprintf("seed=%d", c.Seed+uint64(a.Seed)), "output.dir=" + filepath.Join(x.dir, a.Name),
	}, func(string) (string, bool) { return "", false })
}

// plan measures this machine and the documents, and fits prompts and target tokens to the time.
func (x *Experiment) plan(ctx context.Context, documents []document, task eval.Asked) error {
	c := x.session.Config
	if tell := x.Events.Measuring; tell != nil {
		tell()
	}
	p := &x.Plan
	p.PerWord = x.perWord()
	p.Precision = "float32"
	if kernels.Describe().FastBF16 {
		p.Precision = "bf16"
	}
	p.MaxTokens = int(2.5*float64(c.Experiment.Longest())*p.PerWord + 0.5)
	m := measured{
		epochs: map[int]experiment.Epoch{}, small: map[int]experiment.Epoch{},
		packs: c.Train.PerDeviceTrainBatchSize * c.Train.GradientAccumulationSteps, prompts: len(task.Items),
	}
	for _, d := range x.rendered {
		m.read += len(d.IDs)
	}
	var err error
	if m.speed, err = x.decodingSpeed(ctx); err != nil {
		return err
	}
	if err := jsonl.Write(filepath.Join(x.dir, documentsFile), documents); err != nil {
		return err
	}
	p.Documents = len(documents)
	for _, limit := range slices.Backward(c.Experiment.Caps) {
		if err := x.measureCap(ctx, limit, &m); err != nil {
			return err
		}
	}
	return m.fit(c.Experiment, p)
}

// perWord is how many tokens a word of the held-out answers has.
func (x *Experiment) perWord() float64 {
	tokens, words := 0, 0
	for _, d := range x.rendered {
		tokens, words = tokens+len(d.Words), words+d.Words[len(d.Words)-1]
	}
	return float64(tokens) / float64(words)
}

// measureCap finds what an epoch of the documents is at a cap, and how long a step takes with the longest ones,
// which come first.
func (x *Experiment) measureCap(ctx context.Context, limit int, m *measured) (err error) {
	const steps = 20 // of the run that is asked how long it takes
	run, err := x.open(ctx, experiment.Arm{Name: "plan", Cap: limit, Steps: steps})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	plan, err := run.Plan()
	if err != nil {
		return err
	}
	m.epochs[limit] = experiment.Epoch{
		Capacity: plan.Capacity, Documents: plan.Documents, Steps: plan.StepsPerEpoch, Targets: plan.TargetTokens,
	}
	if longest := x.session.Config.Experiment.Longest(); limit < longest {
		var lengths []int32
		for _, id := range run.Data.Train() {
			lengths = append(lengths, int32(run.Data.Tokens(int(id))))
		}
		m.small[limit], err = smaller(m.epochs[limit], m.epochs[longest], x.session.Config.Packing.Strategy, m.packs, lengths)
		return err
	}
	needs, err := run.Needs()
	if err != nil {
		return err
	}
	time, err := run.Outlook(ctx, plan, needs, 0)
	if err == nil && time.Unknown != "" {
		err = fault.Usage(errors.New(time.Unknown))
	}
	m.step = time.Left.Seconds() / steps
	return err
}

// opened is the run of a model.
type opened struct {
	*session.Run
	session *session.Session
}

// Close closes the data, and removes what a dry run wrote.
func (o opened) Close() error {
	defer o.session.Close()
	return o.Run.Close()
}

// open opens the run of a model.
func (x *Experiment) open(ctx context.Context, a experiment.Arm) (opened, error) {
	c, err := x.arm(a)
	if err != nil {
		return opened{}, err
	}
	s := x.session.Beside(c, x.warnings)
	run, err := s.Run(ctx, session.SFT)
	if err != nil {
		s.Close()
	}
	return opened{run, s}, err
}

// decodingSpeed is how many tokens a second the model writes, several answers at a time.
func (x *Experiment) decodingSpeed(ctx context.Context) (float64, error) {
	m, err := x.Model.LoadToAnswer(x.Plan.Precision)
	if err != nil {
		return 0, err
	}
	defer m.Free()
	const tokens, prompt = 48, 8
	requests := make([]model.Request, x.session.Config.Experiment.Batch)
	for i := range requests {
		requests[i] = model.Request{Prompt: x.rendered[0].IDs[:prompt], MaxNewTokens: tokens, Sampling: model.Sampling{Seed: uint64(i)}}
	}
	var took time.Duration
	for range 2 { // the first one warms up
		began := time.Now()
		if _, err := model.NewGenerator(m).Generate(ctx, requests, len(requests)); err != nil {
			return 0, err
		}
		took = time.Since(began)
	}
	return 0.8 * float64(tokens*len(requests)) / took.Seconds(), nil // longer texts take longer
}
