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

// place is an answer that is wanted: an item of a task, and which of its answers.
type place struct{ task, item, sample int }

// Requests are what has to be asked, each once.
func (j Job) Requests() []llm.Request {
	asked, _ := j.requests()
	return asked
}

// requests are what has to be asked, each once, and where its reply belongs.
func (j Job) requests() (asked []llm.Request, places [][]place) {
	known := map[string]int{}
	for t, task := range j.Tasks {
		for i, it := range task.Items {
			for s := range j.Samples {
				key := string(rune(s)) + it.Prompt
				k, ok := known[key]
				if !ok {
					k = len(asked)
					known[key] = k
					asked = append(asked, j.Request(it, s))
					places = append(places, nil)
				}
				places[k] = append(places[k], place{t, i, s})
			}
		}
	}
	return asked, places
}

// Answers is how many different answers are wanted, and how many of them are kept.
func (j Job) Answers() (wanted, known int, err error) {
	asked, _ := j.requests()
	known, err = j.Calls.Known(asked, j.Model)
	return len(asked), known, err
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
	asked, places := j.requests()
	replies := make([]llm.Reply, len(asked))
	err := llm.Answer(ctx, j.Calls.Keep(from, j.Model), asked, func(i int, r llm.Reply) error {
		replies[i] = r
		if done != nil {
			done(r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	lines := make([][]Generation, len(j.Tasks))
	for t, task := range j.Tasks {
		lines[t] = make([]Generation, len(task.Items)*j.Samples)
	}
	for k, all := range places {
		for _, p := range all {
			task := j.Tasks[p.task]
			it := task.Items[p.item]
			r := replies[k]
			g := Generation{ID: it.ID, Sample: p.sample, Prompt: it.Prompt, Text: r.Text, Tokens: r.Tokens, Stop: r.Stop, Failed: r.Failed}
			if g.Failed != "" {
				g.Stop = ""
			}
			g.Words = task.Words(g.Text)
			lines[p.task][p.item*j.Samples+p.sample] = g
		}
	}
	for t, task := range j.Tasks {
		if err := jsonl.Write(filepath.Join(j.Dir, task.Name, GenerationsFile), lines[t]); err != nil {
			return err
		}
	}
	return nil
}
