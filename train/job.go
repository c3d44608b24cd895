package train

import (
	"errors"
	"time"

	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/internal/rundir"
	"lwtrain/tokenizer"
)

// Job is all that a fine-tuning run needs.
type Job struct {
	Options   Options
	Epochs    *Epochs     // of [SFT]
	Capacity  int         // of [DPO]: tokens of the largest pack
	DPO       dpo.Options // of [DPO]
	Sharing   Sharing     // of the prompts of [DPO]
	CacheDir  string      // where [DPO] keeps what the reference says
	Seed      uint64
	Dir       string // output folder: metrics.jsonl, checkpoints/
	Data      *data.Set
	Engine    engine.Engine        // with the weights that training starts from; closed by who opened it
	Tokenizer *tokenizer.Tokenizer // saved with each checkpoint
	Stop      []int32              // ids that end an answer
	Asked     AnswerOptions
	Written   *Written // at every evaluation; nil: nothing
	Identity  Identity
	Config    []byte // what config.yaml of the run's folder says
	Model     string // in words, for run.json
	Version   string // of the program, for run.json
	Events    Events
}

// Identity is what makes two runs the same run. [SFT] and [DPO] add the model to its
// contents.
type Identity = rundir.Identity

// AnswerOptions ask for answers to held-out prompts, before the first update
// and after the last.
type AnswerOptions struct {
	Prompts      int     `json:"prompts"`
	MaxNewTokens int     `json:"max_new_tokens"`
	Temperature  float64 `json:"temperature"`
}

// Written is what the model is asked at every evaluation, so that what it writes can be seen to
// change. Its seeds are the same each time.
type Written struct {
	Prompts []engine.Prompt
	// Measure tells what answers, one to each prompt, are worth: metrics.jsonl has it as
	// eval_written/<key>.
	Measure func(texts []WrittenText) map[string]float64
}

// WrittenText is an answer as it is read, and why it ended: "eos" or "length".
type WrittenText struct{ Text, Stop string }

// Events tell a caller what happens, so that it can show it. Any of them may
// be nil.
type Events struct {
	Planned   func(*Plan, engine.Needs)
	Resumed   func(step int, from string)           // from a checkpoint; 0 and "" where none of those that are there is whole
	Broken    func(checkpoint string, reason error) // a damaged checkpoint is passed over
	Mended    func(path, what string)               // what was wrong with a file of the run's folder, and what follows from it
	Moved     func(then, now string)                // the run goes on with other threads, or on another processor
	Asking    func(replies int, tokens int64)       // the reference, before it scores so many answers
	Scoring   func(tokens, most int64)              // of the reference's log-probabilities
	Answering func(tokens, most int)                // to held-out prompts
	Writing   func(tokens, most int)                // at an evaluation
	Begun     func(Kept)                            // the folder is this run's, before its first line of metrics
	Training  func(step int)                        // the steps after this one begin
	Step      func(StepMetrics)
	Eval      func(EvalMetrics)
	Answered  func([]Answer) // all that are there
	Saved     func(step int, path string)
}

// Kept is what a run goes on with, of a run that was interrupted or finished.
type Kept struct {
	Lines   []byte   // of metrics.jsonl; later ones are of steps that are done again
	Answers []Answer // to held-out prompts
}

// Result sums up a run, from its first step on, however often it was interrupted.
type Result struct {
	Steps        int
	Resumed      int // the step that this call went on from, 0 for a fresh run
	FirstLoss    float64
	LastLoss     float64
	FirstEval    *EvalMetrics // before the first update, when there is held-out data
	LastEval     *EvalMetrics
	Tokens       int64         // of the steps whose speed is known
	Training     time.Duration // that these steps took
	Elapsed      time.Duration // that the run was worked at, with evaluations, answers and saving
	Here         time.Duration // of it, in this call
	PeakRSS      int64         // bytes
	Checkpoint   string        // the last one
	MetricsFile  string
	Answers      []Answer
	Best         *Best // nil: nothing is held out
	Stopped      bool  // early, by early_stopping_patience
	AlreadyThere bool  // the run had been finished before
}

// TokensPerSecond is the speed of the training steps alone.
func (r Result) TokensPerSecond() float64 { return float64(r.Tokens) / max(1e-9, r.Training.Seconds()) }

// Answer is what the model wrote for one held-out prompt before and after
// training, beside what the data has.
type Answer struct {
	Origin    string `json:"origin"` // file:line of the conversation
	Prompt    string `json:"prompt"` // its last message before the answer
	Reference Text   `json:"reference"`
	Before    *Text  `json:"before,omitempty"` // nil: it is lost, or was not asked for then
	After     *Text  `json:"after,omitempty"`  // nil until the run is done
}

// Text is an answer with its length.
type Text struct {
	Text  string `json:"text"`
	Words int    `json:"words"` // by prose.Words
	Stop  string `json:"stop"`  // eos, length, or data for a reference

	Repeated float64 `json:"repeated"` // by prose.Repeated: much of it says that the text is caught in a loop
}

// ErrInterrupted is returned when the context was cancelled: the last update is
// saved, and the run can go on from it.
var ErrInterrupted = errors.New("interrupted")
