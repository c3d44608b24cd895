package native

import (
	"context"

	"lwtrain/engine"
	"lwtrain/model"
)

// answerBatch is how many prompts are answered at a time.
const answerBatch = 8

// Answer implements [engine.Engine].
func (e *Engine) Answer(ctx context.Context, prompts []engine.Prompt, emit func()) ([]engine.Answer, error) {
	e.begin()
	requests := make([]model.Request, len(prompts))
	for i, p := range prompts {
		requests[i] = model.Request{
			Prompt: p.IDs, MaxNewTokens: p.MaxNewTokens, Stop: p.Stop,
			Sampling: model.Sampling{Temperature: p.Temperature, TopP: p.TopP, Seed: p.Seed},
		}
		if emit != nil {
			requests[i].Emit = func(int32) { emit() }
		}
	}
	done, err := model.NewGenerator(e.model).Generate(ctx, requests, answerBatch)
	if err != nil {
		return nil, err
	}
	out := make([]engine.Answer, len(done))
	for i, d := range done {
		out[i] = engine.Answer{IDs: d.IDs, Stop: d.Stop}
	}
	return out, nil
}
