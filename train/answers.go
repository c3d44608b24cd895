package train

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"lwtrain/internal/prose"
	"lwtrain/internal/rundir"
	"lwtrain/model"
)

// SampleOptions ask for answers to held-out prompts, before the first update
// and after the last.
type SampleOptions struct {
	Prompts      int
	MaxNewTokens int
	Temperature  float64
}

// Answer is what the model wrote for one held-out prompt before and after
// training, beside what the data has.
type Answer struct {
	Origin    string `json:"origin"` // file:line of the conversation
	Prompt    string `json:"prompt"` // its last message before the answer
	Reference Text   `json:"reference"`
	Before    Text   `json:"before"`
	After     *Text  `json:"after,omitempty"` // nil until the run is done
}

// Text is an answer with its length.
type Text struct {
	Text  string `json:"text"`
	Words int    `json:"words"` // by prose.Words
	Stop  string `json:"stop"`  // eos, length, or data for a reference

	Repeated float64 `json:"repeated"` // by prose.Repeated: much of it says that the text is caught in a loop
}

// answersFile holds the answers in the run's folder.
const answersFile = "answers.json"

// answerBatch is how many prompts are answered at a time.
const answerBatch = 8

// answer lets the model write the answers of this moment. What was written
// before training is kept in the run's folder, as a resumed run could not
// write it again.
func (t *trainer) answer(ctx context.Context, after bool) error {
	prompts := t.prompts()
	if len(prompts) == 0 {
		return nil
	}
	path := filepath.Join(t.Dir, answersFile)
	answers, err := t.startAnswers(path, prompts, after)
	if err != nil {
		return err
	}
	t.result.Answers = answers
	if after && answers[0].After != nil { // an earlier call came as far as this
		return nil
	}
	requests := make([]model.Request, len(prompts))
	written := 0
	for i, id := range prompts {
		s, err := t.Data.Sample(id)
		if err != nil {
			return err
		}
		requests[i] = model.Request{
			Prompt: s.IDs[:s.Target[0][0]], MaxNewTokens: t.Sample.MaxNewTokens, Stop: t.Stop,
			Sampling: model.Sampling{Temperature: t.Sample.Temperature, TopP: 1, Seed: t.Seed},
			Emit: func(int32) {
				if written++; t.Events.Answering != nil {
					t.Events.Answering(written, len(prompts)*t.Sample.MaxNewTokens)
				}
			},
		}
	}
	done, err := model.NewGenerator(t.model).Generate(ctx, requests, answerBatch)
	if err != nil {
		return err
	}
	for i, d := range done {
		text := t.Tokenizer.Decode(d.IDs, true)
		got := Text{text, prose.Words(text), d.Stop, prose.Repeated(text)}
		if after {
			answers[i].After = &got
		} else {
			answers[i].Before = got
		}
	}
	return rundir.WriteJSON(path, answers)
}

// prompts lists the first held-out samples that begin with a prompt, as all do
// but the later pieces of a split one.
func (t *trainer) prompts() []int {
	var out []int
	for _, id := range t.Data.HeldOutPrompts() {
		if len(out) == t.Sample.Prompts {
			break
		}
		if s, err := t.Data.Sample(id); err == nil && s.Target[0][0] > 0 {
			out = append(out, id)
		}
	}
	return out
}

// startAnswers reads the answers of before, or makes entries for new ones.
func (t *trainer) startAnswers(path string, prompts []int, after bool) ([]Answer, error) {
	if after {
		var old []Answer
		raw, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(raw, &old) == nil && len(old) == len(prompts) {
			return old, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	answers := make([]Answer, len(prompts))
	for i, id := range prompts {
		messages, at, err := t.Data.Messages(id)
		if err != nil {
			return nil, err
		}
		a := &answers[i]
		a.Origin = t.Data.Origin(id)
		if at >= 0 {
			a.Reference = Text{messages[at].Content, prose.Words(messages[at].Content), "data", prose.Repeated(messages[at].Content)}
		}
		if at > 0 {
			a.Prompt = messages[at-1].Content
		}
	}
	return answers, nil
}
