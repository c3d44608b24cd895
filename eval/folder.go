// Package eval measures what a model writes: [Job.Generate] asks for answers to the prompts
// of tasks, [Job.Score] measures them without a judge, and [Compare] sets two evaluations side by
// side. Each reads files of the folder and writes others, so that each can be done again alone:
// what was paid for is in calls.jsonl, all else follows from it.
package eval

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"lwtrain/eval/tasks"
	"lwtrain/internal/fault"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/rundir"
)

// The files of an evaluation's folder: the calls of all tasks, and those of a task's own.
const (
	CallsFile       = "calls.jsonl"
	GenerationsFile = "generations.jsonl"
	ScoresFile      = "scores.jsonl"
	JudgementsFile  = "judgements.jsonl"
	SummaryFile     = "summary.json"

	CalibrationFile = "calibration.json" // of the judge, for all tasks

	ReadingFile = "reading.json" // of the model, for all tasks
)

// promptHash is by which a prompt is known.
func promptHash(prompt string) string {
	h := sha256.Sum256([]byte(prompt))
	return hex.EncodeToString(h[:8])
}

// Scored are the scores of a task's answers, and what comes of them.
type Scored struct {
	Task        Asked
	Generations []Generation
	Scores      []Score
	Summary     Summary
}

// ScoreAll measures answers to a task's prompts.
func ScoreAll(t Asked, answers []Generation) (Scored, error) {
	at := map[string]int{}
	for i, it := range t.Items {
		at[it.ID] = i
	}
	s := Scored{Task: t, Generations: answers, Scores: make([]Score, len(answers))}
	for k, g := range answers {
		i, ok := at[g.ID]
		if !ok || t.Items[i].Prompt != g.Prompt {
			return s, fault.Usage(fmt.Errorf("an answer to prompt %q, which %s does not have", g.ID, t.Name))
		}
		s.Scores[k] = ScoreOf(t.Task, t.Items[i], g)
	}
	s.Summary = Summarise(t, s.Scores)
	return s, nil
}

// Score measures the answers of a task that the folder holds, and writes what came of it.
func (j Job) Score(t Asked) (Scored, error) {
	dir := filepath.Join(j.Dir, t.Name)
	answers, err := ReadGenerations(filepath.Join(dir, GenerationsFile))
	if err != nil {
		return Scored{}, err
	}
	s, err := ScoreAll(t, answers)
	if err != nil {
		return s, err
	}
	s.Summary.Model = j.Name
	return s, s.Write(dir)
}

// Write writes the scores into the folder of a task.
func (s Scored) Write(dir string) error {
	if err := jsonl.Write(filepath.Join(dir, ScoresFile), s.Scores); err != nil {
		return err
	}
	return rundir.WriteJSON(filepath.Join(dir, SummaryFile), s.Summary)
}

// ReadGenerations reads the answers of a folder.
func ReadGenerations(path string) ([]Generation, error) { return readLines[Generation](path) }

// ReadScores reads what was measured in them.
func ReadScores(path string) ([]Score, error) { return readLines[Score](path) }

func readLines[T any](path string) ([]T, error) {
	f, err := rundir.Open(path)
	if err != nil {
		return nil, fault.Usage(err)
	}
	defer f.Close()
	var out []T
	err = jsonl.Lines(path, f, mostLine, func(_ int, line []byte) error {
		var x T
		err := plainjson.DecodeLine(line, mostValues, &x)
		out = append(out, x)
		return err
	})
	if err != nil {
		return nil, fault.Usage(fault.Hint(err, "`lwtrain eval` writes it anew"))
	}
	return out, nil
}

// TaskScores are where the scores of a task are.
type TaskScores struct {
	Task Asked // without what it asks
	Path string
}

// ScoresIn finds the scores that a folder holds: that of an evaluation, or of one task.
func ScoresIn(dir string) (out []TaskScores, err error) {
	found, err := filepath.Glob(filepath.Join(dir, "*", ScoresFile))
	if err != nil {
		return nil, err
	}
	if own, err := filepath.Glob(filepath.Join(dir, ScoresFile)); err == nil {
		found = append(found, own...)
	}
	if len(found) == 0 {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s holds no scores, want the output.dir of an evaluation", dir),
			"`lwtrain eval score "+dir+"` makes them"))
	}
	for _, path := range found {
		at := filepath.Dir(path)
		s := Summary{Task: filepath.Base(at)}
		if _, err := rundir.ReadJSON(filepath.Join(at, SummaryFile), &s); err != nil {
			return nil, fault.Usage(err)
		}
		t, err := tasks.Open(s.Task)
		if err != nil {
			t = tasks.Task{Name: s.Task} // one of a user's own
		}
		out = append(out, TaskScores{Asked{Task: t}, path})
	}
	return out, nil
}
