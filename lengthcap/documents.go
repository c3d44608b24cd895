package lengthcap

import (
	"context"
	"fmt"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
)

// samples opens the data, and the model.
func (x *Experiment) samples(ctx context.Context) (set *data.Set, err error) {
	s := x.session
	if err = s.Fetch(ctx); err != nil {
		return nil, err
	}
	if x.Model, err = s.Model(ctx); err != nil {
		return nil, err
	}
	return s.Data(ctx, x.Model.Template, data.Run{Any: true, Positions: x.Model.Config.MaxTokens})
}

// documents reads the documents, in an order that the seed says, and those that are held out.
func (x *Experiment) documents(set *data.Set) (out []document, err error) {
	o := x.session.Config.Experiment
	err = set.EachMessages(set.Train(), func(_ int, messages []chat.Message, _ int) error {
		switch words, ok := answerWords(messages); {
		case ok && (o.Mode == "filter" || words >= o.Longest()):
			out = append(out, document{llm.Messages(messages)})
		default:
			x.Plan.Short++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = set.EachMessages(set.HeldOut(), func(_ int, messages []chat.Message, _ int) error {
		if words, ok := answerWords(messages); !ok || words < o.Longest() {
			return nil
		}
		d, err := x.Model.Document(messages)
		x.heldOut, x.rendered = append(x.heldOut, document{llm.Messages(messages)}), append(x.rendered, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	const least = 2
	if len(out) < least || len(x.heldOut) < leastHeldOut {
		return nil, fault.Usage(fault.Hint(
			fmt.Errorf("%d answers to train on and %d held out have %d words, the largest of experiment.caps; want %d and %d at least",
				len(out), len(x.heldOut), o.Longest(), least, leastHeldOut),
			"lower experiment.caps, give longer documents (data.sources), or hold more of them out (data.held_out)"))
	}
	random := rng.New(x.session.Config.Seed, "experiment/documents")
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	x.Plan.HeldOut = len(x.heldOut)
	return out, nil
}

// answerWords is how long the answer at the end of a conversation is; false: there is none.
func answerWords(messages []chat.Message) (words int, ok bool) {
	last := messages[len(messages)-1]
	return prose.Words(last.Content), last.Role == "assistant"
}
