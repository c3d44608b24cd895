// Package lengthcap runs the controlled experiment on the length of answers (package experiment): it
// plans it by what is measured on this machine, trains each model as lwtrain sft does, reads held-out
// answers with it and asks it the prompts as lwtrain eval does. [Open], then [Experiment.Do]; each
// part that was done is kept in the experiment's folder.
package lengthcap

import (
	"lwtrain/experiment"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
	"lwtrain/session"
	"lwtrain/train"
)

// The files of an experiment's folder, beside a folder for each model.
const (
	documentsFile = "documents.jsonl"
	planFile      = "plan.json"
	survivalFile  = "survival.json"
	PlotFile      = "plot.svg"

	// OwnPrompts are asked where the config names none.
	OwnPrompts = "builtin:length-cap/prompts.jsonl"
)

// leastHeldOut is how many held-out answers a survival curve needs at least.
const leastHeldOut = 4

// Experiment is a controlled experiment on the length of answers, in a folder.
type Experiment struct {
	Plan   Plan
	Model  *session.Model
	Known  bool // it goes on
	Events Events

	session  *session.Session
	warnings session.Events
	dir      string
	heldOut  []document
	rendered []session.Document // those
	folder   *rundir.Folder
}

// Plan is what an experiment will do. It is kept, so that one which goes on does the same.
type Plan struct {
	Arms      []experiment.Arm `json:"arms"`
	Documents int              `json:"documents"`
	Short     int              `json:"documents_too_short"` // that were left out: shorter than the largest cap
	HeldOut   int              `json:"held_out"`
	Prompts   int              `json:"prompts"`

	TargetTokens int     `json:"target_tokens"`  // that each model sees, but for the controls
	MaxTokens    int     `json:"max_new_tokens"` // of an answer: 2.5 times the largest cap
	Precision    string  `json:"precision"`      // in which models read and answer: bf16 where the processor is faster in it
	PerWord      float64 `json:"tokens_per_word"`
	Training     float64 `json:"training_seconds"` // as it was measured
	Reading      float64 `json:"reading_seconds"`
	Answering    float64 `json:"answering_seconds"`
}

// Seconds is how long all of it takes.
func (p Plan) Seconds() float64 { return p.Training + p.Reading + p.Answering }

// Events tell a caller what happens. Any of them may be nil.
type Events struct {
	Arm       func(i, of int, a experiment.Arm)            // begins
	Training  func(a experiment.Arm, events *train.Events) // to be filled in
	Read      func(a experiment.Arm, done, of int)         // held-out answers
	Answered  func(a experiment.Arm, done, of, tokens int) // prompts
	Measuring func()
	Session   session.Events // of what is opened on the way
}

// document is a conversation whose last message is an answer.
type document struct {
	Messages []llm.Message `json:"messages"`
}

// Close leaves the folder.
func (x *Experiment) Close() error {
	if x.folder == nil {
		return nil
	}
	return x.folder.Close()
}

func (x *Experiment) prompts() string {
	if own := x.session.Config.Experiment.Prompts; own != "" {
		return own
	}
	return OwnPrompts
}
