package llm

import (
	"context"
	"errors"
	"fmt"

	"lwtrain/chat"
	"lwtrain/internal/fault"
	"lwtrain/internal/prose"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Decoder answers with a model of our own. It is not safe for concurrent use, and the
// model must not change while it answers.
type Decoder struct {
	Model     *model.Model // its bf16 weights, if there are any
	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template // nil: a prompt is one text, which is gone on with as it is
	Batch     int            // replies that are written together
	Apart     bool           // what a model thinks, in <think> and </think> before its answer, is told apart from it

	Token func(i int, id int32) // called with each token of the reply to request i, but the stop; may be nil
}

var _ Answerer = (*Decoder)(nil)

// Converse answers requests, Batch of them at a time.
func (d *Decoder) Converse(ctx context.Context, requests []Request, done func(i int, r Reply) ([]Request, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	count, enough := 0, false
	var texts func(requests []Request) []model.Request
	texts = func(requests []Request) []model.Request {
		out, err := d.Texts(requests)
		if err != nil {
			cancel(err)
			return nil
		}
		for k := range out {
			i := count + k
			out[k].Done = func(g model.Generated) ([]model.Request, bool) {
				more, err := done(i, d.reply(g, out[k].Prompt))
				switch {
				case errors.Is(err, ErrEnough):
					enough = true
				case err != nil:
					cancel(err)
				}
				return texts(more), enough
			}
			if d.Token != nil {
				out[k].Emit = func(id int32) { d.Token(i, id) }
			}
		}
		count += len(out)
		return out
	}
	first := texts(requests)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err := model.NewGenerator(d.Model).Generate(ctx, first, d.Batch)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err == nil && enough {
		return ErrEnough
	}
	return err
}

// reply is what the model wrote after a prompt.
func (d *Decoder) reply(g model.Generated, prompt []int32) Reply {
	r := Reply{Text: d.Tokenizer.Decode(g.IDs, true), Tokens: len(g.IDs), Prompt: len(prompt), Stop: g.Stop}
	if d.Apart {
		r.Reasoning, r.Text = SplitReasoning(r.Text, Thinks(d.Tokenizer, prompt))
	}
	return r
}

// Texts are what the model is to go on with, for each request. It needs no weights, so that
// a prompt which can not be asked is known before they are read.
func (d *Decoder) Texts(requests []Request) ([]model.Request, error) {
	texts := make([]model.Request, len(requests))
	for i, r := range requests {
		ids, stop, err := d.text(r.Messages)
		if err != nil {
			if r.Origin != "" {
				err = fmt.Errorf("%s: %w", r.Origin, err)
			}
			return nil, err
		}
		texts[i] = model.Request{Prompt: ids, MaxNewTokens: r.MaxTokens, Stop: stop, Sampling: r.Sampling}
		if r.StopLoops {
			texts[i].Stuck = func(ids []int32) bool { return prose.LoopStartIDs(ids) >= 0 }
		}
	}
	return texts, nil
}

func (d *Decoder) text(messages []chat.Message) (ids, stop []int32, err error) {
	switch {
	case d.Template != nil:
		_, ids, err = d.Template.Prompt(messages)
		return ids, d.Template.Stop(), err
	case len(messages) > 1:
		return nil, nil, fault.Usage(fmt.Errorf("a prompt of %d messages, want a text alone without a chat template", len(messages)))
	}
	return d.Tokenizer.Encode(messages[0].Content), d.Tokenizer.EOS(), nil
}
