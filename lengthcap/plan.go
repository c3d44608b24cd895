package lengthcap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"lwtrain/configs"
	"lwtrain/engine"
	"lwtrain/eval"
	"lwtrain/experiment"
	"lwtrain/internal/fault"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/train"
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
	return configs.Parse(rundir.Config, c.Resolved(), []string{
		fmt.Sprintf("data.sources=[{name: documents, path: %s, %s}]", path, limit), "data.held_out=0",
		fmt.Sprintf("train.max_steps=%d", max(1, a.Steps)), "train.eval_steps=0", "train.early_stopping_patience=0", "sample.prompts=0",
		fmt.Sprintf("seed=%d", c.Seed+uint64(a.Seed)), "output.dir=" + filepath.Join(x.dir, a.Name),
	}, func(string) (string, bool) { return "", false })
}

// plan fits documents and prompts to the time, by what is measured here.
func (x *Experiment) plan(ctx context.Context, documents []document, task eval.Asked) error {
	o := x.session.Config.Experiment
	if tell := x.Events.Measuring; tell != nil {
		tell()
	}
	p := &x.Plan
	p.PerWord = x.perWord()
	p.Precision = "float32"
	if kernels.Describe().NativeBF16 {
		p.Precision = "bf16"
	}
	p.MaxTokens = int(2.5*float64(o.Longest())*p.PerWord + 0.5)
	p.Prompts = len(task.Items)
	speed, err := x.decodingSpeed(ctx)
	if err != nil {
		return err
	}
	tokens := 0.0 // of the answers to a prompt, by all models
	for _, a := range experiment.Arms(o) {
		expected := 0.5 * float64(p.MaxTokens)
		if a.Cap > 0 {
			expected = min(float64(p.MaxTokens), 1.4*float64(a.Cap)*p.PerWord+0.15*float64(p.MaxTokens))
		}
		tokens += expected * float64(o.Samples)
	}
	budget := 0.9 * 3600 * o.Hours
	for p.Documents = len(documents); ; {
		if err := jsonl.Write(filepath.Join(x.dir, documentsFile), documents[:p.Documents]); err != nil {
			return err
		}
		if err := x.fit(ctx); err != nil {
			return err
		}
		p.Answering = tokens * float64(p.Prompts) / speed
		const fewPrompts, fewDocuments = 16, 12
		left := budget - p.Training - p.Reading
		if fit := int(left / (tokens / speed)); fit < p.Prompts {
			p.Prompts = max(min(p.Prompts, fewPrompts), fit)
			p.Answering = tokens * float64(p.Prompts) / speed
		}
		if p.Seconds() <= budget {
			return nil
		}
		fewer := int(float64(p.Documents) * max(0.1, (budget-p.Answering-p.Reading)/p.Training) * 0.95)
		if fewer = min(fewer, p.Documents-1); fewer < fewDocuments {
			return fault.Usage(fault.Hint(
				fmt.Errorf("%d documents and %d prompts take some %s here, and experiment.hours is %g",
					p.Documents, p.Prompts, spanOf(p.Seconds()), o.Hours), "raise experiment.hours, or lower experiment.caps"))
		}
		p.Documents, p.Prompts = fewer, len(task.Items)
	}
}

// spanOf is a time in hours and minutes.
func spanOf(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Minute)
}

// perWord is how many tokens a word of the held-out answers has.
func (x *Experiment) perWord() float64 {
	tokens, words := 0, 0
	for _, d := range x.heldOut {
		tokens, words = tokens+len(d.words), words+d.words[len(d.words)-1]
	}
	return float64(tokens) / float64(words)
}

// fit makes the arms of the documents, and estimates how long they take.
func (x *Experiment) fit(ctx context.Context) error {
	c := x.session.Config
	arms := experiment.Arms(c.Experiment)
	type planned struct {
		*train.Plan
		run   *session.Run
		needs engine.Needs
	}
	plans := map[int]planned{}
	for _, a := range arms {
		if _, there := plans[a.Cap]; there || a.Cap == 0 {
			continue
		}
		run, err := x.open(ctx, a)
		if err != nil {
			return err
		}
		defer run.Close()
		plan, err := run.Plan()
		if err != nil {
			return err
		}
		needs, err := run.Needs()
		if err != nil {
			return err
		}
		plans[a.Cap] = planned{plan, run, needs}
	}
	longest := plans[c.Experiment.Longest()]
	budget := int64(c.Experiment.Epochs * float64(longest.TargetTokens))
	if x.perStep == 0 {
		o, err := longest.run.Outlook(ctx, longest.Plan, longest.needs, 0)
		if err != nil {
			return err
		}
		if o.Unknown != "" {
			return fault.Usage(errors.New(o.Unknown))
		}
		x.perStep = o.Left.Seconds() / float64(longest.Schedule.Total)
	}
	x.Plan.Training, x.Plan.Arms = 0, arms
	for i := range arms {
		a := &arms[i]
		if a.Cap == 0 {
			continue
		}
		p := plans[a.Cap]
		a.Fit(p.Documents, p.StepsPerEpoch, p.TargetTokens, budget, c.Experiment.Epochs)
		x.Plan.Training += x.perStep * float64(a.Steps)
	}
	tokens := 0
	for _, d := range x.heldOut {
		tokens += len(d.ids)
	}
	perToken := x.perStep / (3 * float64(c.Packing.Capacity*c.Train.PerDeviceTrainBatchSize*c.Train.GradientAccumulationSteps))
	x.Plan.Reading = float64(len(arms)*tokens) * perToken
	return nil
}

// open opens the run of a model.
func (x *Experiment) open(ctx context.Context, a experiment.Arm) (*session.Run, error) {
	c, err := x.arm(a)
	if err != nil {
		return nil, err
	}
	s := session.Open(c, x.warnings, x.session.DryRun)
	return s.Run(ctx, session.SFT)
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
		requests[i] = model.Request{Prompt: x.heldOut[0].ids[:prompt], MaxNewTokens: tokens, Sampling: model.Sampling{Seed: uint64(i)}}
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
