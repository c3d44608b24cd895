package session

import (
	"context"
	"fmt"
	"slices"

	"lwtrain/engine"
	"lwtrain/eval"
	"lwtrain/internal/fault"
	"lwtrain/train"
)

// written is what the model is asked at every evaluation of a run; nil: nothing.
func (s *Session) written(ctx context.Context, m *Model) (*train.Written, error) {
	c := s.Config
	o := c.Eval
	if o.During.Prompts == "" {
		return nil, nil
	}
	task, err := s.Task(ctx, o.During.Prompts)
	if err != nil {
		return nil, err
	}
	job := eval.Job{Options: o, Seed: c.Seed, Tasks: []eval.Asked{task}}
	job.Samples, job.MaxNewTokens = o.During.Samples, o.During.MaxNewTokens
	w := &train.Written{}
	var at []eval.Generation
	for _, it := range task.Items {
		for k := range job.Samples {
			ask := job.Request(it, k)
			_, ids, err := m.Template.Prompt(ask.Messages)
			if err != nil {
				return nil, fault.Usage(fmt.Errorf("%s, prompt %s: %w", o.During.Prompts, it.ID, err))
			}
			w.Prompts = append(w.Prompts, engine.Prompt{
				IDs: ids, MaxNewTokens: job.MaxNewTokens, Stop: m.Template.Stop(),
				Temperature: o.Temperature, TopP: o.TopP, Seed: ask.Sampling.Seed,
			})
			at = append(at, eval.Generation{ID: it.ID, Sample: k, Prompt: it.Prompt})
		}
	}
	w.Measure = func(texts []train.WrittenText) map[string]float64 {
		answers := slices.Clone(at)
		for i, t := range texts {
			answers[i].Text, answers[i].Stop = t.Text, t.Stop
		}
		s, err := eval.ScoreAll(task, answers)
		if err != nil {
			panic(err) // they are answers to the task's own prompts
		}
		return s.Summary.Values()
	}
	return w, nil
}
