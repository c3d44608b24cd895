package train

import (
	"fmt"
	"os"
	"path/filepath"

	"lwtrain/checkpoints"
	"lwtrain/internal/rundir"
)

// state is state/trainer.json of a checkpoint: what a resume needs besides the engine's
// part.
type state struct {
	Step     int      `json:"step"`
	Identity Identity `json:"identity"`
	// These let the summary of a resumed run speak of the whole run.
	FirstEval   *float64           `json:"first_eval_loss,omitempty"`
	FirstValues map[string]float64 `json:"first_eval_values,omitempty"`
	FirstLoss   float64            `json:"first_loss,omitempty"`
}

// The trainer's files in a checkpoint. The last two are what the files of the same names
// in the run's folder held then, so that what becomes of those is noticed and mended.
const (
	stateFile   = "state/trainer.json"
	metricsCopy = "state/" + rundir.Metrics // lines up to the step's own, without speed and memory
	answersCopy = "state/" + rundir.Answers // those before training
)

func (s state) write(dir string) error {
	path := filepath.Join(dir, stateFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return rundir.WriteJSON(path, s)
}

func readState(from checkpoints.Checkpoint) (s state, err error) {
	there, err := rundir.ReadJSON(filepath.Join(from.Path, stateFile), &s)
	if err == nil && (!there || s.Step != from.Step) {
		err = fmt.Errorf("%s: step is %d, want %d", stateFile, s.Step, from.Step)
	}
	return s, err
}
