package torch

import (
	"context"
	"fmt"
	"slices"

	"lwtrain/engine"
)

// Answer implements [engine.Engine]. All ranks write some of the answers; ctx is asked
// after each of their tokens.
func (e *Engine) Answer(ctx context.Context, prompts []engine.Prompt, emit func()) ([]engine.Answer, error) {
	if len(prompts) == 0 {
		return nil, nil
	}
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	var heads []map[string]any
	ids, most := []int32{}, 0
	for i, p := range prompts {
		if len(p.IDs) == 0 {
			return nil, fmt.Errorf("prompt %d has no tokens, want at least 1", i)
		}
		heads = append(heads, map[string]any{
			"tokens": len(p.IDs), "most": p.MaxNewTokens, "stop": append([]int32{}, p.Stop...), "temperature": p.Temperature,
			"top_p": p.TopP, "seed": p.Seed >> 1, // torch takes 63 bits
		})
		ids, most = append(ids, p.IDs...), max(most, p.MaxNewTokens)
	}
	if err := e.fail(e.process.send(map[string]any{"op": "answer", "prompts": heads}, array{name: "ids", ints: ids})); err != nil {
		return nil, err
	}
	for {
		s, err := e.hear("written", "done")
		if err != nil {
			return nil, err
		}
		if s.Op == "done" && s.Stopped {
			return nil, ctx.Err()
		}
		if s.Op == "done" {
			return e.answers(s, prompts, most)
		}
		for range min(s.Tokens, len(prompts)) {
			if emit != nil {
				emit()
			}
		}
		next := "go"
		if ctx.Err() != nil {
			next = "stop"
		}
		if err := e.fail(e.process.send(map[string]any{"op": next})); err != nil {
			return nil, err
		}
	}
}

// answers reads new tokens [prompts, most], each row ended by what is below 0.
func (e *Engine) answers(s said, prompts []engine.Prompt, most int) ([]engine.Answer, error) {
	all, err := e.process.ints(s, len(prompts)*most)
	if err != nil {
		return nil, e.fail(err)
	}
	out := make([]engine.Answer, len(prompts))
	for i, p := range prompts {
		ids := all[i*most : i*most+p.MaxNewTokens]
		out[i] = engine.Answer{IDs: ids, Stop: "length"}
		if n := slices.IndexFunc(ids, func(id int32) bool { return id < 0 }); n >= 0 {
			out[i] = engine.Answer{IDs: ids[:n], Stop: "eos"}
		}
		for _, id := range out[i].IDs {
			if int(id) >= e.config.Vocab {
				return nil, e.fail(fmt.Errorf("the worker wrote token %d, and there are %d", id, e.config.Vocab))
			}
		}
	}
	return out, nil
}
