package pairs

import (
	"context"
	"fmt"
	"sync"

	"lwtrain/model"
)

// answerer writes answers: a model, or a server.
type answerer interface {
	// answer calls done with each answer as it comes, in any order and one at a time.
	answer(ctx context.Context, todo []key, done func(key, reply) error) error
}

func (m *maker) answerer() answerer {
	if m.Server.URL != "" {
		return fromServer{m, newClient(m.Server)}
	}
	return fromModel{m}
}

type fromModel struct{ *maker }

func (m fromModel) answer(ctx context.Context, todo []key, done func(key, reply) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	requests := make([]model.Request, len(todo))
	for i, k := range todo {
		_, ids, err := m.Chat.Prompt(m.Prompts[k.prompt].Messages)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Prompts[k.prompt].Origin, err)
		}
		requests[i] = model.Request{
			Prompt: ids, MaxNewTokens: m.MaxNewTokens, Stop: m.Chat.Stop(),
			Sampling: model.Sampling{Temperature: m.Temperature, TopP: m.TopP, Seed: m.seedOf("answer", k)},
			Done: func(g model.Generated) {
				if err := done(k, reply{m.Tokenizer.Decode(g.IDs, true), len(g.IDs), g.Stop}); err != nil {
					cancel(err)
				}
			},
		}
	}
	_, err := model.NewGenerator(m.Model).Generate(ctx, requests, m.Batch)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

type fromServer struct {
	*maker
	client *client
}

func (m fromServer) answer(ctx context.Context, todo []key, done func(key, reply) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan key)
	var askers sync.WaitGroup
	for range m.Server.Concurrency {
		askers.Go(func() {
			for k := range next {
				r, err := m.client.ask(ctx, ask{
					messages: m.Prompts[k.prompt].Messages, temperature: m.Temperature, topP: m.TopP, maxTokens: m.MaxNewTokens, seed: m.seedOf("answer", k),
				})
				if err == nil {
					err = done(k, r)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, k := range todo {
		select {
		case next <- k:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	askers.Wait()
	return context.Cause(ctx)
}
