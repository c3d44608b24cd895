// Package answers answers prompts, and keeps the answers in a file: a line each, on the
// disk as soon as the answer is there, so that what is stopped goes on with what lacks.
package answers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
	"lwtrain/internal/rundir"
	"lwtrain/model"
)

// Answer is a line of the file.
type Answer struct {
	Line       int             `json:"line"`          // of the prompt in its file, from 1
	ID         json.RawMessage `json:"id"`            // the prompt's own, else its line
	Prompt     any             `json:"prompt"`        // text, or messages where it is more than one of a user
	Stated     *prose.Length   `json:"stated_length"` // that the prompt asks for; nil: none
	Words      int             `json:"words"`
	Tokens     int             `json:"tokens"`
	Stop       string          `json:"stop"`       // [llm.StopEOS] or [llm.StopLength]
	Repetition float64         `json:"repetition"` // [prose.Repeated] of the text
	Text       string          `json:"text"`
}

// Job is what is to be answered, and how. Each prompt has a random stream of its own, from
// the seed of Sampling and its place.
type Job struct {
	Prompts   []record.Prompt
	System    string // message before a prompt that has none of its own; "": none
	MaxTokens int
	Sampling  model.Sampling
	File      string          // "": nothing is kept
	Identity  rundir.Identity // of all that answers depend on, kept beside the file; answers of another one are refused
}

// Request asks for the answer to a prompt.
func (j Job) Request(i int) llm.Request {
	p := j.Prompts[i]
	how := j.Sampling
	how.Seed = rng.New(how.Seed, "answers", uint64(i)).Uint64()
	messages := p.Messages
	if j.System != "" && messages[0].Role != "system" {
		messages = slices.Insert(slices.Clone(messages), 0, chat.Message{Role: "system", Content: j.System})
	}
	return llm.Request{Messages: messages, Origin: p.Origin, MaxTokens: j.MaxTokens, Sampling: how}
}

// answer puts a line together.
func (j Job) answer(i int, r llm.Reply) Answer {
	p := j.Prompts[i]
	a := Answer{
		Line: p.Line, ID: p.ID, Words: prose.Words(r.Text), Tokens: r.Tokens, Stop: r.Stop,
		Repetition: prose.Repeated(r.Text), Text: r.Text,
	}
	if a.ID == nil {
		a.ID = json.RawMessage(strconv.Itoa(p.Line))
	}
	last := p.Messages[len(p.Messages)-1]
	if a.Prompt = llm.Messages(p.Messages); len(p.Messages) == 1 && last.Role == "user" {
		a.Prompt = last.Content
	}
	if stated := prose.StatedLength(last.Content); stated != (prose.Length{}) {
		a.Stated = &stated
	}
	return a
}

// Run is a job that is begun, or gone on with.
type Run struct {
	Job
	Known  int // answers that were there
	Tokens int // of them

	todo []int      // prompts without an answer
	log  *jsonl.Log // nil: nothing is kept
}

// identityFile is beside a file of answers: what they are answers of.
func identityFile(file string) string { return file + ".run.json" }

// Open reads what is there of a job. Close is to be called at the end.
func Open(job Job) (*Run, error) {
	r := &Run{Job: job}
	known := map[int]bool{}
	if job.File != "" {
		if err := job.check(); err != nil {
			return nil, err
		}
		lines := map[int]bool{}
		for _, p := range job.Prompts {
			lines[p.Line] = true
		}
		var err error
		r.log, err = jsonl.Open(job.File, func(a Answer, _ string) error {
			if !lines[a.Line] || known[a.Line] {
				return fmt.Errorf("an answer to prompt %d, want one to each of %d", a.Line, len(lines))
			}
			known[a.Line] = true
			r.Tokens += a.Tokens
			return nil
		})
		if err == nil && len(known) == 0 {
			err = rundir.WriteJSON(identityFile(job.File), job.Identity)
		}
		if err != nil {
			return nil, fault.Disk(errors.Join(err, r.Close()))
		}
	}
	r.Known = len(known)
	for i, p := range job.Prompts {
		if !known[p.Line] {
			r.todo = append(r.todo, i)
		}
	}
	return r, nil
}

// check refuses a file that holds anything but answers of this job.
func (j Job) check() error {
	beside := identityFile(j.File)
	info, err := os.Stat(j.File)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fault.Usage(fmt.Errorf("%s: no regular file, want one for the answers", j.File))
	case err != nil || info.Size() == 0:
		return nil
	}
	var there rundir.Identity
	known, err := rundir.ReadJSON(beside, &there)
	if err == nil && !known {
		err = fmt.Errorf("%s is there, without %s, and would be added to", j.File, beside)
	}
	if err == nil {
		err = rundir.Same(j.File, there, j.Identity)
	}
	return fault.Usage(fault.Hint(err, "write these answers to another file, or take back the changes to go on with the old one"))
}

// Left is the number of prompts without an answer.
func (r *Run) Left() int { return len(r.todo) }

// Requests ask for the answers that lack.
func (r *Run) Requests() []llm.Request {
	out := make([]llm.Request, len(r.todo))
	for k, i := range r.todo {
		out[k] = r.Request(i)
	}
	return out
}

// Do asks for the answers that lack, and calls done with each once it is kept: i is the
// prompt's index. The error of a cancelled ctx is context.Canceled.
func (r *Run) Do(ctx context.Context, from llm.Answerer, done func(i int, r llm.Reply) error) error {
	return fault.Disk(llm.Answer(ctx, from, r.Requests(), func(k int, reply llm.Reply) error {
		if r.log != nil {
			if _, err := r.log.Append(r.answer(r.todo[k], reply)); err != nil {
				return err
			}
		}
		return done(r.todo[k], reply)
	}))
}

// Close closes the file.
func (r *Run) Close() error {
	if r.log == nil {
		return nil
	}
	return r.log.Close()
}
