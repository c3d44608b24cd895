package session

import (
	"context"
	"fmt"

	"lwtrain/engine"
	"lwtrain/eval"
	"lwtrain/eval/tasks"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
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
	type place struct {
		item   tasks.Item
		sample int
		thinks bool // its prompt ends where the model is to think
	}
	var at []place
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
			at = append(at, place{it, k, llm.Thinks(m.Tokenizer, ids)})
		}
	}
	w.Measure = func(texts []train.WrittenText) map[string]float64 {
		scores := make([]eval.Score, len(texts))
		for i, t := range texts {
			it := at[i].item
			_, text := llm.SplitReasoning(t.Text, at[i].thinks)
			g := eval.Generation{ID: it.ID, Sample: at[i].sample, Prompt: it.Prompt, Text: text, Stop: t.Stop}
			scores[i] = eval.ScoreOf(task.Task, it, g)
		}
		return eval.Summarise(task, scores).Values()
	}
	return w, nil
}
