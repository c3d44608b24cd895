package llm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"

	"lwtrain/internal/jsonl"
	"lwtrain/internal/plainjson"
)

// Calls are replies that were paid for, in a file, by the content of what was asked. It is
// safe for concurrent use, and serves any number of models.
type Calls struct {
	mu   sync.Mutex
	log  *jsonl.Log
	kept map[string]Reply
}

// call is a line of the file.
type call struct {
	Key string `json:"key"`
	Reply
}

// OpenCalls opens a file of calls, which need not be there. Close it at the end.
func OpenCalls(path string) (*Calls, error) {
	c := &Calls{kept: map[string]Reply{}}
	var err error
	if c.log, err = jsonl.Open(path, c.see); err != nil {
		return nil, err
	}
	return c, nil
}

// ReadCalls reads what a file of calls holds, to look at: nothing is added to it, and it need not be closed.
func ReadCalls(path string) (*Calls, error) {
	c := &Calls{kept: map[string]Reply{}}
	return c, jsonl.Read(path, c.see)
}

func (c *Calls) see(line call, _ string) error {
	c.kept[line.Key] = line.Reply
	return nil
}

// Close closes the file.
func (c *Calls) Close() error { return c.log.Close() }

// Known is how many of the requests to a model have a reply that is kept.
func (c *Calls) Known(requests []Request, model string) (n int, err error) {
	for _, r := range requests {
		_, ok, err := c.Reply(r, model)
		if err != nil {
			return 0, err
		}
		if ok {
			n++
		}
	}
	return n, nil
}

// Any reports whether there is a reply at all.
func (c *Calls) Any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.kept) > 0
}

// Reply is the reply to a request that is kept; false: there is none.
func (c *Calls) Reply(r Request, model string) (Reply, bool, error) {
	key, err := keyOf(model, r)
	if err != nil {
		return Reply{}, false, err
	}
	reply, ok := c.get(key)
	return reply, ok, nil
}

func (c *Calls) get(key string) (Reply, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.kept[key]
	return r, ok
}

// add keeps a reply, and returns the one that is kept: there may be one by now.
func (c *Calls) add(key string, r Reply) (Reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.kept[key]; ok {
		return kept, nil
	}
	r = valid(r)
	if _, err := c.log.Add(call{key, r}); err != nil {
		return r, err
	}
	c.kept[key] = r
	return r, nil
}

// valid is a reply as it comes from a file of JSON.
func valid(r Reply) Reply {
	const instead = "�"
	r.Text, r.Reasoning = strings.ToValidUTF8(r.Text, instead), strings.ToValidUTF8(r.Reasoning, instead)
	return r
}

// keyOf names what is asked of a model: all that its reply depends on, and nothing else.
// Answers to the same prompt differ in the seed.
func keyOf(model string, r Request) (string, error) {
	topP := r.Sampling.TopP
	if topP <= 0 || topP >= 1 {
		topP = 1 // all tokens
	}
	raw, err := plainjson.Marshal(struct {
		Model       string    `json:"model"`
		Messages    []Message `json:"messages"`
		Temperature float64   `json:"temperature"`
		TopP        float64   `json:"top_p"`
		TopK        int       `json:"top_k,omitempty"` // not there in keys of earlier versions
		Seed        uint64    `json:"seed"`
		MaxTokens   int       `json:"max_tokens"`
		TopLogprobs int       `json:"top_logprobs"`
		StopLoops   bool      `json:"stop_loops"`
	}{model, Messages(r.Messages), r.Sampling.Temperature, topP, r.Sampling.TopK, r.Sampling.Seed, r.MaxTokens, r.TopLogprobs, r.StopLoops})
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), err
}

// Kept answers with the replies that are kept, and asks another [Answerer] for the others.
type Kept struct {
	calls *Calls
	from  Answerer
	model string
}

var _ Answerer = (*Kept)(nil)

// Keep returns who answers from c, and asks from for what is not there. The model is what
// from's replies are known by, its name and whatever else they depend on.
func (c *Calls) Keep(from Answerer, model string) *Kept { return &Kept{c, from, model} }

// Converse calls done with the replies that are kept, in the order of the requests, and then
// with the others as they come; each is in the file before. One that failed is not kept. A
// request that is there twice is asked once.
func (k *Kept) Converse(ctx context.Context, requests []Request, done func(i int, r Reply) ([]Request, error)) error {
	a := &keeping{Kept: k, done: done, asked: map[string]int{}}
	ask, err := a.lacking(ctx, requests)
	if err != nil {
		return err
	}
	if len(ask) == 0 {
		return context.Cause(ctx)
	}
	return k.from.Converse(ctx, ask, func(n int, r Reply) ([]Request, error) {
		if r.Failed == "" {
			var err error
			if r, err = k.calls.add(a.keys[n], r); err != nil {
				return nil, err
			}
		}
		delete(a.asked, a.keys[n])
		var more []Request
		var enough error
		for _, i := range a.whose[n] {
			next, err := done(i, r)
			if errors.Is(err, ErrEnough) {
				enough, err = err, nil
			}
			if err != nil {
				return nil, err
			}
			more = append(more, next...)
		}
		if enough != nil {
			return nil, enough
		}
		return a.lacking(ctx, more)
	})
}

// keeping is requests on their way, of which some are kept.
type keeping struct {
	*Kept
	done  func(i int, r Reply) ([]Request, error)
	count int            // of the requests
	keys  []string       // of what was asked
	whose [][]int        // requests have its reply
	asked map[string]int // which of it is under way
}

// lacking tells the replies to requests that are kept, and to those that follow from them, and
// returns what is to be asked.
func (a *keeping) lacking(ctx context.Context, requests []Request) (ask []Request, err error) {
	requests = slices.Clip(requests) // they are the caller's
	for len(requests) > 0 {
		r, i := requests[0], a.count
		requests, a.count = requests[1:], a.count+1
		key, err := keyOf(a.model, r)
		if err != nil {
			return nil, err
		}
		reply, ok := a.calls.get(key)
		n, under := a.asked[key]
		switch {
		case ok:
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			more, err := a.done(i, reply)
			if err != nil {
				return nil, err
			}
			requests = append(requests, more...)
		case under:
			a.whose[n] = append(a.whose[n], i)
		default:
			a.asked[key] = len(a.keys)
			ask, a.keys, a.whose = append(ask, r), append(a.keys, key), append(a.whose, []int{i})
		}
	}
	return ask, nil
}
