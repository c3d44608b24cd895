package train

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/internal/prose"
	"lwtrain/internal/rundir"
)

// answer lets the model write the answers of this moment. What was written
// before training is kept in the run's folder, as a resumed run could not
// write it again.
func answer(ctx context.Context, job Job, after bool) ([]Answer, error) {
	asked := answerable(job.Data, job.Asked.Prompts)
	if len(asked) == 0 {
		return nil, nil
	}
	path := filepath.Join(job.Dir, rundir.Answers)
	answers, err := startAnswers(job.Data, path, asked, after)
	if err != nil {
		return nil, err
	}
	if after && answers[0].After != nil { // an earlier call came as far as this
		return answers, nil
	}
	prompts := make([]engine.Prompt, len(asked))
	for i, id := range asked {
		s, err := job.Data.Sample(id)
		if err != nil {
			return answers, err
		}
		prompts[i] = engine.Prompt{
			IDs: s.IDs[:s.Target[0][0]], MaxNewTokens: job.Asked.MaxNewTokens, Stop: job.Stop,
			Temperature: job.Asked.Temperature, TopP: 1, Seed: job.Seed,
		}
	}
	written := 0
	done, err := job.Engine.Answer(ctx, prompts, func() {
		if written++; job.Events.Answering != nil {
			job.Events.Answering(written, len(asked)*job.Asked.MaxNewTokens)
		}
	})
	if err != nil {
		return answers, err
	}
	for i, d := range done {
		text := job.Tokenizer.Decode(d.IDs, true)
		got := Text{text, prose.Words(text), d.Stop, prose.Repeated(text)}
		if after {
			answers[i].After = &got
		} else {
			answers[i].Before = got
		}
	}
	return answers, rundir.WriteJSON(path, answers)
}

// answerable lists the first held-out samples that begin with a prompt, as all do
// but the later pieces of a split one, at most most of them.
func answerable(set *data.Set, most int) []int {
	var out []int
	for _, id := range set.HeldOutPrompts() {
		if len(out) == most {
			break
		}
		if s, err := set.Sample(id); err == nil && s.Target[0][0] > 0 {
			out = append(out, id)
		}
	}
	return out
}

// startAnswers reads the answers of before, or makes entries for new ones.
func startAnswers(set *data.Set, path string, asked []int, after bool) ([]Answer, error) {
	if after {
		var old []Answer
		raw, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(raw, &old) == nil && len(old) == len(asked) {
			return old, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	answers := make([]Answer, len(asked))
	for i, id := range asked {
		messages, at, err := set.Messages(id)
		if err != nil {
			return nil, err
		}
		a := &answers[i]
		a.Origin = set.Origin(id)
		if at >= 0 {
			a.Reference = Text{messages[at].Content, prose.Words(messages[at].Content), "data", prose.Repeated(messages[at].Content)}
		}
		if at > 0 {
			a.Prompt = messages[at-1].Content
		}
	}
	return answers, nil
}
