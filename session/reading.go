package session

import (
	"context"
	"errors"
	"fmt"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/eval"
	"lwtrain/internal/fault"
	"lwtrain/internal/prose"
	"lwtrain/model"
)

// Document is an answer behind its prompt, ready to be read.
type Document struct {
	IDs   []int32 // up to the end of the answer
	From  int     // where the answer begins
	Words []int   // of the answer before each of its tokens
}

// Document renders a conversation that ends with an answer.
func (m *Model) Document(messages []chat.Message) (d Document, err error) {
	r, err := m.Template.Render(messages, chat.Targets{Turns: "last"})
	if err != nil {
		return d, err
	}
	if len(r.Target) == 0 {
		return d, errors.New("a conversation without an answer at its end")
	}
	answer := r.Target[len(r.Target)-1]
	d.IDs, d.From = r.IDs[:answer.End], int(answer.Start)
	begins := int(r.Bytes[d.From][0])
	words, at := 0, begins // counted in pieces, each from the last blank on: time is linear
	for i := d.From; i < len(d.IDs); i++ {
		here := max(at, int(r.Bytes[i][0]))
		for k := here; k > at; k-- {
			if r.Text[k-1] == ' ' || r.Text[k-1] == '\n' {
				words, at = words+prose.Words(r.Text[at:k]), k
				break
			}
		}
		d.Words = append(d.Words, words+prose.Words(r.Text[at:here]))
	}
	return d, nil
}

// ReadDocuments runs answers through a model, and says with what loss each of their parts follows, and
// how probably the model would not have ended them. done, which may be nil, is told of each.
func (m *Model) ReadDocuments(ctx context.Context, weights *model.Model, all []Document, done func(n int)) (s eval.Survival, err error) {
	g := model.NewGenerator(weights)
	reads := make([]eval.Read, len(all))
	for i, d := range all {
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		reads[i].Words = d.Words
		if reads[i].Loss, reads[i].End, err = g.Read(d.IDs, d.From, m.Template.Stop()); err != nil {
			return s, err
		}
		if done != nil {
			done(i + 1)
		}
	}
	return eval.Survive(reads), nil
}

// documents reads the conversations of eval.read.
func (s *Session) documents(ctx context.Context, m *Model) (out []Document, err error) {
	path := s.Config.Eval.Read
	o := data.Default()
	o.Sources, o.HeldOut, o.TooLong = []data.Source{{Name: "read", Path: path, LossFactor: 1, Repeat: 1}}, data.HeldOut{}, "skip"
	o.MaxLength = 1 << 22
	set, err := data.Build(ctx, o, m.Template, data.Run{Any: true, DryRun: true})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	err = set.EachMessages(set.Train(), func(_ int, messages []chat.Message, _ int) error {
		d, err := m.Document(messages)
		out = append(out, d)
		return err
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s: no answers there, want conversations (eval.read)", path)
	}
	return out, fault.Usage(err)
}
