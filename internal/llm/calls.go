package llm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"

	"lwtrain/internal/jsonl"
)

// Calls keeps replies by the content of what was asked, in a file.
type Calls struct {
	mu    sync.Mutex
	log   *jsonl.Log
	known map[string]Reply
}

type call struct {
	Key   string `json:"key"`
	Reply Reply  `json:"reply"`
}

// OpenCalls opens the file of calls.
func OpenCalls(path string) (*Calls, error) {
	c := &Calls{known: map[string]Reply{}}
	var err error
	c.log, err = jsonl.Open(path, func(x call, _ string) error {
		c.known[x.Key] = x.Reply
		return nil
	})
	return c, err
}

// Close closes the file.
func (c *Calls) Close() error { return c.log.Close() }

// Keep returns an Answerer.
func (c *Calls) Keep(from Answerer, model string) Answerer { return kept{c, from, model} }

type kept struct {
	calls *Calls
	from  Answerer
	model string
}

func keyOf(model string, r Request) (string, error) {
	raw, err := json.Marshal([]any{model, Messages(r.Messages), r.Sampling, r.MaxTokens, r.StopLoops})
	h := sha256.Sum256(raw)
	return hex.EncodeToString(h[:]), err
}

func (k kept) Answer(ctx context.Context, requests []Request, done func(i int, r Reply) error) error {
	var todo []Request
	var at []int
	keys := make([]string, len(requests))
	for i, r := range requests {
		var err error
		if keys[i], err = keyOf(k.model, r); err != nil {
			return err
		}
		if reply, ok := k.calls.known[keys[i]]; ok {
			if err := done(i, reply); err != nil {
				return err
			}
			continue
		}
		todo, at = append(todo, r), append(at, i)
	}
	if len(todo) == 0 {
		return nil
	}
	return k.from.Answer(ctx, todo, func(j int, r Reply) error {
		i := at[j]
		if r.Failed == "" {
			if _, err := k.calls.log.Append(call{keys[i], r}); err != nil {
				return err
			}
		}
		return done(i, r)
	})
}

// Known is how many of the requests to a model have a reply that is kept.
func (c *Calls) Known(requests []Request, model string) (n int, err error) {
	for _, r := range requests {
		key, err := keyOf(model, r)
		if err != nil {
			return 0, err
		}
		if _, ok := c.known[key]; ok {
			n++
		}
	}
	return n, nil
}
