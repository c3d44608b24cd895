// Package eval measures what a model writes: [Job.Generate] asks for answers to the prompts
// of tasks, [Job.Score] measures them without a judge, and [Compare] sets two evaluations side by
// side. Each reads files of the folder and writes others, so that each can be done again alone:
// what was paid for is in calls.jsonl, all else follows from it.
package eval

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
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
	type sample struct {
		id string
		n  int
	}
	seen := make(map[sample]bool, len(answers))
	for k, g := range answers {
		if seen[sample{g.ID, g.Sample}] {
			return s, fault.Usage(fault.Hint(fmt.Errorf("sample %d of prompt %q is there twice, want it once", g.Sample, g.ID), anew))
		}
		seen[sample{g.ID, g.Sample}] = true
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
	answers, err := readGenerations(filepath.Join(dir, GenerationsFile))
	if err != nil {
		return Scored{}, err
	}
	if err := j.checkKept(t, answers); err != nil {
		return Scored{}, err
	}
	s, err := ScoreAll(t, answers)
	if err != nil {
		return s, err
	}
	s.Summary.Model = j.Name
	return s, s.Write(dir)
}

// anew is the way out where a file that follows from calls.jsonl is not what it was.
const anew = "`lwtrain eval` writes it anew"

// checkKept refuses answers that are not those that calls.jsonl holds: that file has a check of each line, and
// generations.jsonl, which follows from it, has none.
func (j Job) checkKept(t Asked, answers []Generation) error {
	if j.Calls == nil {
		return nil
	}
	items := map[string]tasks.Item{}
	for _, it := range t.Items {
		items[it.ID] = it
	}
	for k, g := range answers {
		it, ok := items[g.ID]
		if !ok || g.Failed != "" {
			continue
		}
		kept, there, err := j.Calls.Reply(j.Request(it, g.Sample), j.Model)
		if err != nil {
			return err
		}
		if there && (kept.Text != g.Text || kept.Stop != g.Stop || kept.Tokens != g.Tokens) {
			path := filepath.Join(j.Dir, t.Name, GenerationsFile)
			return fault.Usage(fault.Hint(fmt.Errorf("%s:%d: the answer is not the one that %s holds", path, k+1, CallsFile), anew))
		}
	}
	return nil
}

// Write writes the scores into the folder of a task.
func (s Scored) Write(dir string) error {
	path := filepath.Join(dir, ScoresFile)
	if err := jsonl.Write(path, s.Scores); err != nil {
		return err
	}
	var err error
	if s.Summary.Scores, err = sumOf(path); err != nil {
		return err
	}
	return rundir.WriteJSON(filepath.Join(dir, SummaryFile), s.Summary)
}

// readGenerations reads the answers of a folder.
func readGenerations(path string) ([]Generation, error) { return readLines[Generation](path) }

// ReadScores reads what was measured in them.
func ReadScores(path string) ([]Score, error) {
	scores, err := readLines[Score](path)
	if err != nil {
		return nil, err
	}
	var summary struct {
		Scores string `json:"scores_sha256"`
	}
	dir := filepath.Dir(path)
	if _, err := rundir.ReadJSON(filepath.Join(dir, SummaryFile), &summary); err != nil || summary.Scores == "" {
		return scores, err
	}
	sum, err := sumOf(path)
	if err == nil && sum != summary.Scores {
		err = fault.Usage(fault.Hint(fmt.Errorf("%s is not what %s was made with", path, SummaryFile),
			"`lwtrain eval score` measures the answers again"))
	}
	return scores, err
}

// sumOf is the SHA-256 of a file.
func sumOf(path string) (string, error) {
	raw, err := rundir.ReadFile(path)
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), err
}

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
		return nil, fault.Usage(fault.Hint(err, anew))
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
	found, err := fs.Glob(os.DirFS(dir), "*/"+ScoresFile)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, ScoresFile)); err == nil {
		found = append(found, ScoresFile)
	}
	if len(found) == 0 {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s holds no scores, want the output.dir of an evaluation", dir),
			"`lwtrain eval score "+dir+"` makes them"))
	}
	for _, name := range found {
		path := filepath.Join(dir, name)
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
