package llm

import (
	"context"
	"fmt"

	"lwtrain/chat"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Decoder answers with a model of our own. It is not safe for concurrent use, and the
// model must not change while it answers.
type Decoder struct {
	Model     *model.Model // its bf16 weights, if there are any
	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template
	Batch     int // replies that are written together
}

var _ Answerer = (*Decoder)(nil)

// Answer answers requests, Batch of them at a time.
func (d *Decoder) Answer(ctx context.Context, requests []Request, done func(i int, r Reply) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	texts := make([]model.Request, len(requests))
	for i, r := range requests {
		_, ids, err := d.Template.Prompt(r.Messages)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Origin, err)
		}
		texts[i] = model.Request{
			Prompt: ids, MaxNewTokens: r.MaxTokens, Stop: d.Template.Stop(), Sampling: r.Sampling,
			Done: func(g model.Generated) {
				if err := done(i, Reply{d.Tokenizer.Decode(g.IDs, true), len(g.IDs), g.Stop}); err != nil {
					cancel(err)
				}
			},
		}
	}
	_, err := model.NewGenerator(d.Model).Generate(ctx, texts, d.Batch)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
