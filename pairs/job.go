package pairs

import (
	"path/filepath"
	"time"

	"lwtrain/data/record"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
)

// The files of a run's folder. The first two are appended to as answers and ratings
// come in; the others are written at the end, whole or not at all.
const (
	answersFile = "answers.jsonl"
	ratingsFile = "scores.jsonl"

	CandidatesFile = "samples.jsonl"
	PairsFile      = "pairs.jsonl"
	SummaryFile    = "summary.json"
)

// Job is what [Make] is to do.
type Job struct {
	Options
	Seed     uint64
	Dir      string
	Prompts  []record.Prompt
	Identity rundir.Identity // a folder of another run is refused
	Config   []byte          // kept as config.yaml

	Decoder *llm.Decoder // that answers, unless there is a server

	Events Events
}

// Events tell a caller what happens. Any of them may be nil.
type Events struct {
	Lost     func(file string, answers int)       // that a finished run had in a file of its folder, and that are gone
	Resumed  func(answers, tokens int)            // how many are there from before, and their tokens
	Token    func()                               // of an answer that our own decoder writes
	Progress func(answers, rated, tokens int)     // of all, told one at a time
	Failed   func(origin, why string)             // the first answer, or rating, of each kind that a server did not give; one at a time
	Pausing  func(err error, pause time.Duration) // why and for how long a server is waited for; several requests may tell it at once
}

// Answers is how many answers are asked for.
func (j Job) Answers() (n int) {
	for _, p := range j.Prompts {
		if j.Rates(p) {
			n += j.Samples
		}
	}
	return n
}

// CheckFolder refuses a folder that holds another run, or files of none that this one
// would write over. Without the model in id the weights are not compared.
func CheckFolder(dir string, id rundir.Identity) (known bool, err error) {
	var there rundir.Identity
	known, err = rundir.ReadJSON(filepath.Join(dir, rundir.File), &there)
	switch {
	case err != nil:
		return known, err
	case !known:
		return known, rundir.RefuseForeign(dir, answersFile, ratingsFile, CandidatesFile, PairsFile, SummaryFile, rundir.Config)
	}
	if id.Contents["model"] == "" {
		delete(there.Contents, "model")
	}
	return known, rundir.Same(dir, there, id)
}

// prepare gets the folder ready.
func (j Job) prepare() error {
	if _, err := CheckFolder(j.Dir, j.Identity); err != nil {
		return err
	}
	if err := atomicfile.Clean(j.Dir, rundir.File, rundir.Config, CandidatesFile, PairsFile, SummaryFile); err != nil {
		return err
	}
	if err := rundir.WriteJSON(filepath.Join(j.Dir, rundir.File), rundir.Asking{Identity: j.Identity, Total: j.Answers()}); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(j.Dir, rundir.Config), j.Config)
}
