package train

import (
	"context"
	"errors"
	"maps"
	"slices"

	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
	"lwtrain/internal/rundir"
)

// answer lets the model write the answers of this moment. known are those of before:
// what was written before training could not be written again. asked reports whether the
// model was asked; otherwise known has all.
func answer(ctx context.Context, job Job, known []Answer, after bool) (answers []Answer, asked bool, err error) {
	ids := answerable(job.Data, job.Asked.Prompts)
	if len(ids) == 0 {
		return nil, false, nil
	}
	if answers, err = startAnswers(job.Data, ids, known); err != nil {
		return nil, false, err
	}
	if after && !slices.ContainsFunc(answers, func(a Answer) bool { return a.After == nil }) {
		return answers, false, nil
	}
	prompts := make([]engine.Prompt, len(ids))
	for i, id := range ids {
		s, err := job.Data.Sample(id)
		if err != nil {
			return answers, false, err
		}
		prompts[i] = engine.Prompt{
			IDs: s.IDs[:s.Target[0][0]], MaxNewTokens: job.Asked.MaxNewTokens, Stop: job.Stop,
			Temperature: job.Asked.Temperature, TopP: 1, Seed: rng.New(job.Seed, "answers", uint64(i)).Uint64(),
		}
	}
	written := 0
	done, err := job.Engine.Answer(ctx, prompts, func() {
		if written++; job.Events.Answering != nil {
			job.Events.Answering(written, len(ids)*job.Asked.MaxNewTokens)
		}
	})
	if err != nil {
		return answers, true, err
	}
	for i, d := range done {
		text := job.Tokenizer.Decode(d.IDs, true)
		got := Text{text, prose.Words(text), d.Stop, prose.Repeated(text)}
		if after {
			answers[i].After = &got
		} else {
			answers[i].Before = &got
		}
	}
	return answers, true, nil
}

// written lets the model answer what it is asked at evaluations, and adds what its answers are worth
// to known.
func written(ctx context.Context, job Job, known map[string]float64) (map[string]float64, error) {
	w := job.Written
	if w == nil {
		return known, nil
	}
	tokens, most := 0, 0
	for _, p := range w.Prompts {
		most += p.MaxNewTokens
	}
	answers, err := job.Engine.Answer(ctx, w.Prompts, func() {
		if tokens++; job.Events.Writing != nil {
			job.Events.Writing(tokens, most)
		}
	})
	if err != nil {
		return nil, err
	}
	texts := make([]WrittenText, len(answers))
	for i, a := range answers {
		texts[i] = WrittenText{job.Tokenizer.Decode(a.IDs, true), a.Stop}
	}
	values := map[string]float64{}
	maps.Copy(values, known)
	for key, v := range w.Measure(texts) {
		values["written/"+key] = v
	}
	return values, nil
}

// answerable lists the first held-out samples that begin with a prompt, as all do
// but the later pieces of a split one, at most most of them.
func answerable(set *data.Set, most int) []int {
	var out []int
	for _, id := range set.HeldOutPrompts() {
		if len(out) == most {
			break
		}
		if s, err := set.Sample(int(id)); err == nil && s.Target[0][0] > 0 {
			out = append(out, int(id))
		}
	}
	return out
}

// startAnswers makes entries for held-out samples, with what is known of their answers.
// The samples of a run come in the same order always, and more or fewer of them may be
// asked for.
func startAnswers(set *data.Set, asked []int, known []Answer) ([]Answer, error) {
	answers := make([]Answer, len(asked))
	for i, id := range asked {
		messages, at, err := set.Messages(id)
		if err != nil {
			return nil, err
		}
		a := &answers[i]
		a.Origin = set.Origin(id)
		if at >= 0 {
			text := messages[at].Content[messages[at].Given:]
			a.Reference = Text{text, prose.Words(text), "data", prose.Repeated(text)}
		}
		if at > 0 {
			a.Prompt = messages[at-1].Content
		}
		if i < len(known) {
			a.Before, a.After = known[i].Before, known[i].After
		}
	}
	return answers, nil
}

// withoutBefore counts the answers of which none from before training is known.
func withoutBefore(answers []Answer) (n int) {
	for _, a := range answers {
		if a.Before == nil {
			n++
		}
	}
	return n
}

// beforeOf are answers as they were before training.
func beforeOf(answers []Answer) []Answer {
	out := slices.Clone(answers)
	for i := range out {
		out[i].After = nil
	}
	return out
}

// mostAnswers bounds the values of JSON in a file of answers.
const mostAnswers = 1 << 20

// readAnswers reads a file of answers. The error is fs.ErrNotExist where there is none.
func readAnswers(path string) ([]Answer, error) {
	raw, err := rundir.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []Answer
	if err := plainjson.Decode(raw, mostAnswers, &out); err != nil {
		return nil, errors.New("not the answers that a run writes")
	}
	return out, nil
}
