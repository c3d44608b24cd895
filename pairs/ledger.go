package pairs

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"lwtrain/internal/jsonl"
	"lwtrain/internal/rundir"
)

// key names an answer: the prompt, and which of the answers to it.
type key struct{ prompt, number int }

// answered is a line of answers.jsonl.
type answered struct {
	Prompt int    `json:"prompt"`
	Number int    `json:"sample"`
	Tokens int    `json:"tokens"`
	Stop   string `json:"stop"`
	Answer string `json:"answer"`

	check string // of its line
}

// rated is a line of scores.jsonl: what had to be asked for.
type rated struct {
	Prompt  int                `json:"prompt"`
	Number  int                `json:"sample"`
	Marks   map[string]float64 `json:"judge_ratings,omitempty"` // nil: no judge, or none of its answers could be read
	Command *float64           `json:"command_score,omitempty"`
	Of      string             `json:"of,omitempty"` // check of the answer's line
}

// ledger is what was paid for: answers and their ratings, each on the disk before it
// counts. It is safe for concurrent use.
type ledger struct {
	folder   *rundir.Folder
	progress func(answers, rated, tokens int) // may be nil

	mu               sync.Mutex
	answers, ratings *jsonl.Log
	answered         map[key]answered
	rated            map[key]rated
	tokens           int
}

// openLedger reads what is there of so many answers to so many prompts.
func openLedger(dir string, folder *rundir.Folder, prompts, samples int) (*ledger, error) {
	l := &ledger{folder: folder, answered: map[key]answered{}, rated: map[key]rated{}}
	inRange := func(k key) error {
		if k.prompt >= 0 && k.prompt < prompts && k.number >= 0 && k.number < samples {
			return nil
		}
		return fmt.Errorf("answer %d to prompt %d, want one of %d to one of %d", k.number, k.prompt, samples, prompts)
	}
	var err error
	l.answers, err = jsonl.Open(filepath.Join(dir, answersFile), func(a answered, check string) error {
		k := key{a.Prompt, a.Number}
		a.check = check
		l.answered[k] = a
		l.tokens += a.Tokens
		return inRange(k)
	})
	if err != nil {
		return nil, err
	}
	l.ratings, err = jsonl.Open(filepath.Join(dir, ratingsFile), func(r rated, _ string) error {
		k := key{r.Prompt, r.Number}
		l.rated[k] = r
		if err := inRange(k); err != nil {
			return err
		}
		if a, ok := l.answered[k]; !ok || r.Of != "" && r.Of != a.check {
			return fmt.Errorf("a rating of answer %d to prompt %d, which is not the one in %s", k.number, k.prompt, answersFile)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, l.answers.Close())
	}
	return l, nil
}

// Answered is how many answers a run's folder holds, which is left as it is.
func Answered(dir string) (n int, err error) {
	there := map[key]bool{}
	err = jsonl.Read(filepath.Join(dir, answersFile), func(a answered, _ string) error {
		there[key{a.Prompt, a.Number}] = true
		return nil
	})
	return len(there), err
}

// close closes the files.
func (l *ledger) close() error { return errors.Join(l.answers.Close(), l.ratings.Close()) }

// get returns what is known of an answer.
func (l *ledger) get(k key) (a answered, isAnswered bool, r rated, isRated bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, isAnswered = l.answered[k]
	r, isRated = l.rated[k]
	return a, isAnswered, r, isRated
}

// size is the number of answers.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answered)
}

func (l *ledger) addAnswer(a answered) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if a.check, err = l.answers.Append(a); err != nil {
		return err
	}
	l.answered[key{a.Prompt, a.Number}] = a
	l.tokens += a.Tokens
	l.tell()
	return l.folder.Check()
}

// addRating adds a rating; one for which nothing had to be asked is not kept.
func (l *ledger) addRating(r rated, keep bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if keep {
		r.Of = l.answered[key{r.Prompt, r.Number}].check
		if _, err := l.ratings.Append(r); err != nil {
			return err
		}
	}
	l.rated[key{r.Prompt, r.Number}] = r
	l.tell()
	return nil
}

// tell says how far the run is. The lock is held.
func (l *ledger) tell() {
	if l.progress != nil {
		l.progress(len(l.answered), len(l.rated), l.tokens)
	}
}
