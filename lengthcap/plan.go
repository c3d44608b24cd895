package lengthcap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
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
	const few = 10 // steps, of which a warm-up would take away one
	warmup := c.Train.WarmupRatio
	if a.Steps < few {
		warmup = 0
	}
	return configs.Parse(rundir.Config, c.Resolved(), []string{
		fmt.Sprintf("train.warmup_ratio=%g", warmup),
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
	if err := jsonl.Write(filepath.Join(x.dir, documentsFile), documents); err != nil {
		return err
	}
	p.Documents = len(documents)
	epochs, err := x.epochs(ctx)
	if err != nil {
		return err
	}
	const fewPrompts, fewTokens = 16, 3000
	limit := 0.9 * 3600 * o.Hours
	for p.TargetTokens = o.TargetTokens; ; p.TargetTokens -= p.TargetTokens / 8 {
		x.fit(epochs)
		p.Prompts = len(task.Items)
		if fit := int((limit - p.Training - p.Reading) / (tokens / speed)); fit < p.Prompts {
			p.Prompts = max(min(p.Prompts, fewPrompts), fit)
		}
		p.Answering = tokens * float64(p.Prompts) / speed
		switch {
		case p.Seconds() <= limit:
			return nil
		case p.TargetTokens < fewTokens:
			return fault.Usage(fault.Hint(
				fmt.Errorf("models that see %d target tokens and answer %d prompts take some %s here, and experiment.hours is %g",
					p.TargetTokens, p.Prompts, spanOf(p.Seconds()), o.Hours), "raise experiment.hours, or lower experiment.caps"))
		}
	}
}

// spanOf is a time in hours and minutes.
func spanOf(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Minute)
}

// perWord is how many tokens a word of the held-out answers has.
func (x *Experiment) perWord() float64 {
	tokens, words := 0, 0
	for _, d := range x.rendered {
		tokens, words = tokens+len(d.Words), words+d.Words[len(d.Words)-1]
	}
	return float64(tokens) / float64(words)
}

// epochs are the plans of an epoch of the documents at each cap. How long a step takes is measured
// with that of the longest.
func (x *Experiment) epochs(ctx context.Context) (map[int]*train.Plan, error) {
	const steps = 20 // of the run that is asked how long it takes
	o := x.session.Config.Experiment
	plans := map[int]*train.Plan{}
	for _, limit := range o.Caps {
		run, err := x.open(ctx, experiment.Arm{Name: "plan", Cap: limit, Steps: steps})
		if err != nil {
			return nil, err
		}
		defer run.Close()
		if plans[limit], err = run.Plan(); err != nil {
			return nil, err
		}
		if limit < o.Longest() {
			continue
		}
		needs, err := run.Needs()
		if err != nil {
			return nil, err
		}
		time, err := run.Outlook(ctx, plans[limit], needs, 0)
		if err == nil && time.Unknown != "" {
			err = fault.Usage(errors.New(time.Unknown))
		}
		if err != nil {
			return nil, err
		}
		x.perStep = time.Left.Seconds() / steps
	}
	return plans, nil
}

// fit makes the arms for the plan's target tokens, and estimates how long they take.
func (x *Experiment) fit(epochs map[int]*train.Plan) {
	c, p := x.session.Config, &x.Plan
	p.Arms, p.Training = experiment.Arms(c.Experiment), 0
	answers := 0 // that the model with the longest ones sees
	for i := range p.Arms {
		a := &p.Arms[i]
		if a.Cap == 0 {
			continue
		}
		e, budget := epochs[a.Cap], float64(p.TargetTokens)
		if a.Control { // they follow
			budget = float64(e.TargetTokens) * float64(answers) / float64(e.Documents)
		}
		a.Fit(e.Documents, e.StepsPerEpoch, e.TargetTokens, budget)
		if a.Cap == c.Experiment.Longest() {
			answers = a.Answers
		}
		p.Training += x.perStep * float64(a.Steps)
	}
	tokens := 0
	for _, d := range x.rendered {
		tokens += len(d.IDs)
	}
	perToken := x.perStep / (3 * float64(c.Packing.Capacity*c.Train.PerDeviceTrainBatchSize*c.Train.GradientAccumulationSteps))
	p.Reading = float64(len(p.Arms)*tokens) * perToken
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
