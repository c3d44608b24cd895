package eval

import (
	"context"
	"hash/fnv"
	"path/filepath"

	"lwtrain/chat"
	"lwtrain/eval/tasks"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/llm"
	"lwtrain/internal/rng"
	"lwtrain/model"
)

// Generation is a line of generations.jsonl: what a prompt came to.
type Generation struct {
	ID     string `json:"id"`
	Sample int    `json:"sample"` // which of the answers to the prompt, from 0
	Prompt string `json:"prompt"`
	Text   string `json:"text"`
	Words  int    `json:"words"`  // as the task counts them
	Tokens int    `json:"tokens"` // 0: nobody said
	Stop   string `json:"stop"`   // llm.StopEOS, llm.StopLength; "": nobody said, or there is no answer
	// Failed is why there is no answer; "": there is one. What came then is no content of one.
	Failed string `json:"failed,omitempty"`
}

// Job is an evaluation.
type Job struct {
	Options
	Seed  uint64
	Dir   string
	Tasks []Asked
	Name  string // of who answers, to show
	Model string // who answers, as its replies are kept by
	Calls *llm.Calls
	// StopLoops ends answers of our own decoder that are caught in a loop.
	StopLoops bool
}

// Asked is a task with what it asks.
type Asked struct {
	tasks.Task
	Items []tasks.Item
}

// Requests are what is to be asked: for each task, item and sample, in that order. A prompt of two
// tasks is there twice; it is asked once, since replies are kept by what is asked.
func (j Job) Requests() (all []llm.Request) {
	for _, task := range j.Tasks {
		for _, it := range task.Items {
			for s := range j.Samples {
				all = append(all, j.Request(it, s))
			}
		}
	}
	return all
}

// Answers is how many answers are wanted, and how many of them are kept.
func (j Job) Answers() (wanted, known int, err error) {
	all := j.Requests()
	known, err = j.Calls.Known(all, j.Model)
	return len(all), known, err
}

// Request asks for an answer. Its random stream follows from the prompt and the sample, so
// that other tasks and more samples change none.
func (j Job) Request(it tasks.Item, sample int) llm.Request {
	h := fnv.New64a()
	h.Write([]byte(it.Prompt))
	return llm.Request{
		Messages: []chat.Message{{Role: "user", Content: it.Prompt}}, MaxTokens: j.MaxNewTokens, Origin: it.ID, StopLoops: j.StopLoops,
		Sampling: model.Sampling{
			Temperature: j.Temperature, TopP: j.TopP, Seed: rng.New(j.Seed, "eval/answer", h.Sum64(), uint64(sample)).Uint64(),
		},
	}
}

// Generate asks for the answers that are not there, and writes generations.jsonl of each task
// once all have come. done, which may be nil, is told of each reply.
func (j Job) Generate(ctx context.Context, from llm.Answerer, done func(llm.Reply)) error {
	all := j.Requests()
	replies := make([]llm.Reply, len(all))
	err := llm.Answer(ctx, j.Calls.Keep(from, j.Model), all, func(i int, r llm.Reply) error {
		replies[i] = r
		if done != nil {
			done(r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, task := range j.Tasks {
		var lines []Generation
		for _, it := range task.Items {
			for sample := range j.Samples {
				r := replies[0]
				replies = replies[1:]
				g := Generation{
					ID: it.ID, Sample: sample, Prompt: it.Prompt, Text: r.Text, Words: task.Words(r.Text), Tokens: r.Tokens,
					Failed: r.Failed,
				}
				if g.Failed == "" {
					g.Stop = r.Stop
				}
				lines = append(lines, g)
			}
		}
		if err := jsonl.Write(filepath.Join(j.Dir, task.Name, GenerationsFile), lines); err != nil {
			return err
		}
	}
	return nil
}
