package pairs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// The files of a run's folder. The first two are appended to as answers and scores
// come in; the others are written at the end, whole or not at all.
const (
	answersFile = "answers.jsonl"
	scoresFile  = "scores.jsonl"

	SamplesFile = "samples.jsonl"
	PairsFile   = "pairs.jsonl"
	SummaryFile = "summary.json"
)

// Job is what [Make] is to do.
type Job struct {
	Options
	Seed     uint64
	Dir      string
	Prompts  []record.Prompt
	Identity rundir.Identity // a folder of another run is refused
	Config   []byte          // kept as config.yaml

	Model     *model.Model // that answers, unless there is a server; its bf16 weights, if there are any
	Tokenizer *tokenizer.Tokenizer
	Chat      *chat.Template

	Resumed  func(answers int)                // how many are there from before; may be nil
	Progress func(answers, rated, tokens int) // of all; may be nil
}

// key names an answer.
type key struct{ prompt, sample int }

// answered is a line of answers.jsonl.
type answered struct {
	Prompt int    `json:"prompt"`
	Sample int    `json:"sample"`
	Tokens int    `json:"tokens"`
	Stop   string `json:"stop"`
	Answer string `json:"answer"`
}

// rated is a line of scores.jsonl: what had to be asked for.
type rated struct {
	Prompt  int            `json:"prompt"`
	Sample  int            `json:"sample"`
	Ratings map[string]int `json:"judge_ratings,omitempty"` // nil: no judge, or none of its answers could be read
	Command *float64       `json:"command_score,omitempty"`
}

// maker is a run of [Make].
type maker struct {
	Job
	judge *client

	mu              sync.Mutex
	answers, scores *appendFile
	answered        map[key]answered
	rated           map[key]rated
	tokens          int
}

// Make answers the prompts, rates the answers, and writes the pairs. When it is
// called again for the same folder it goes on with what is there; the error of a
// cancelled ctx is context.Canceled.
func Make(ctx context.Context, job Job) (Summary, error) {
	m := &maker{Job: job, answered: map[key]answered{}, rated: map[key]rated{}}
	if job.Judge.URL != "" {
		m.judge = newClient(job.Judge)
	}
	if err := os.MkdirAll(job.Dir, 0o755); err != nil {
		return Summary{}, fault.Usage(err)
	}
	lock, err := rundir.Lock(job.Dir)
	if err != nil {
		return Summary{}, err
	}
	defer lock.Close()
	err = m.open()
	if err == nil {
		err = m.fill(ctx)
	}
	for _, f := range []*appendFile{m.answers, m.scores} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		return Summary{}, fault.Disk(err)
	}
	s, err := m.write()
	return s, fault.Disk(err)
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
		return known, rundir.RefuseForeign(dir, answersFile, scoresFile, SamplesFile, PairsFile, SummaryFile, "config.yaml")
	}
	if id.Contents["model"] == "" {
		delete(there.Contents, "model")
	}
	return known, rundir.Same(dir, there, id)
}

// open gets the folder ready, and reads what is in it.
func (m *maker) open() error {
	if _, err := CheckFolder(m.Dir, m.Identity); err != nil {
		return err
	}
	if err := atomicfile.Clean(m.Dir, rundir.File, "config.yaml", SamplesFile, PairsFile, SummaryFile); err != nil {
		return err
	}
	if err := rundir.WriteJSON(filepath.Join(m.Dir, rundir.File), m.Identity); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(m.Dir, "config.yaml"), m.Config); err != nil {
		return err
	}
	var err error
	m.answers, err = openAppend(filepath.Join(m.Dir, answersFile), func(a answered) error {
		k := key{a.Prompt, a.Sample}
		if !m.has(k) {
			return fmt.Errorf("answer %d to prompt %d, want one of %d to one of %d", a.Sample, a.Prompt, m.Samples, len(m.Prompts))
		}
		m.answered[k] = a
		m.tokens += a.Tokens
		return nil
	})
	if err != nil {
		return err
	}
	m.scores, err = openAppend(filepath.Join(m.Dir, scoresFile), func(r rated) error {
		if k := (key{r.Prompt, r.Sample}); m.has(k) {
			m.rated[k] = r
			return nil
		}
		return fmt.Errorf("a score of answer %d to prompt %d, which there can not be", r.Sample, r.Prompt)
	})
	return err
}

func (m *maker) has(k key) bool {
	return k.prompt >= 0 && k.prompt < len(m.Prompts) && k.sample >= 0 && k.sample < m.Samples
}

// fill answers what has no answer, and rates what has no scores as soon as it is
// there.
func (m *maker) fill(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var todo []key
	var waiting []key
	for p, prompt := range m.Prompts {
		if !m.ratable(prompt.Required) {
			continue
		}
		for s := range m.Samples {
			k := key{p, s}
			if _, done := m.answered[k]; !done {
				todo = append(todo, k)
			} else if _, done := m.rated[k]; !done {
				waiting = append(waiting, k)
			}
		}
	}
	if m.Resumed != nil && len(m.answered) > 0 {
		m.Resumed(len(m.answered))
	}
	queue := make(chan key, len(todo)+len(waiting))
	var raters sync.WaitGroup
	for range m.Judge.Concurrency {
		raters.Go(func() {
			for k := range queue {
				if err := m.rate(ctx, k); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, k := range waiting {
		queue <- k
	}
	err := m.answerer().answer(ctx, todo, func(k key, r reply) error {
		a := answered{k.prompt, k.sample, r.tokens, r.stop, r.text}
		m.mu.Lock()
		defer m.mu.Unlock()
		if err := m.answers.add(a); err != nil {
			return err
		}
		m.answered[k] = a
		m.tokens += a.Tokens
		m.progress()
		queue <- k
		return nil
	})
	if err != nil {
		cancel(err)
	}
	close(queue)
	raters.Wait()
	return context.Cause(ctx)
}

// progress tells how far the run is. The lock is held.
func (m *maker) progress() {
	if m.Progress != nil {
		m.Progress(len(m.answered), len(m.rated), m.tokens)
	}
}

// rate asks for the scores of an answer that have to be asked for.
func (m *maker) rate(ctx context.Context, k key) error {
	m.mu.Lock()
	s := m.sample(k)
	m.mu.Unlock()
	messages := m.Prompts[k.prompt].Messages
	r := rated{Prompt: k.prompt, Sample: k.sample}
	if m.judge != nil {
		ratings, ok, err := judge(ctx, m.judge, messages, s.Answer, m.seedOf("judge", k))
		if err != nil {
			return fmt.Errorf("the judge: %w", err)
		}
		if ok {
			r.Ratings = ratings
		}
	}
	if len(m.Command) > 0 {
		score, err := m.runCommand(ctx, messages, s)
		if err != nil {
			return err
		}
		r.Command = &score
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.judge != nil || len(m.Command) > 0 { // else there is nothing to keep
		if err := m.scores.add(r); err != nil {
			return err
		}
	}
	m.rated[k] = r
	m.progress()
	return nil
}

func (m *maker) seedOf(what string, k key) uint64 {
	return rng.New(m.Seed, "pairs/"+what, uint64(k.prompt), uint64(k.sample)).Uint64()
}

// sample puts together what is known of an answer.
func (m *maker) sample(k key) Sample {
	a, r, p := m.answered[k], m.rated[k], m.Prompts[k.prompt]
	s := Sample{
		Prompt: k.prompt, Sample: k.sample, Origin: p.Origin, Required: p.Required, Words: prose.Words(a.Answer),
		Tokens: a.Tokens, Stop: a.Stop, Answer: a.Answer,
	}
	s.Length = lengthScore(p.Required, s.Words)
	if s.Ratings, s.Command = r.Ratings, r.Command; r.Ratings != nil {
		q := quality(r.Ratings)
		s.Judge = &q
	}
	s.Total = m.total(s.Scores, p.Required)
	return s
}

// write chooses the pairs and writes what came of the run.
func (m *maker) write() (Summary, error) {
	sum := newSummary(len(m.Prompts))
	type pair struct {
		Prompt        []message `json:"prompt"`
		Chosen        []message `json:"chosen"`
		Rejected      []message `json:"rejected"`
		ChosenScore   float64   `json:"chosen_score"`
		RejectedScore float64   `json:"rejected_score"`
		ChosenWords   int       `json:"chosen_words"`
		RejectedWords int       `json:"rejected_words"`
		Required      int       `json:"required_words,omitempty"`
		Origin        string    `json:"origin"`
	}
	var pairs []any
	var samples []any
	for p, prompt := range m.Prompts {
		if !m.ratable(prompt.Required) {
			sum.drop("no_stated_length")
			continue
		}
		var all []Sample
		for s := range m.Samples {
			all = append(all, m.sample(key{p, s}))
			samples = append(samples, all[s])
			sum.add(all[s])
		}
		chosen, rejected, reason := m.choose(all, rng.New(m.Seed, "pairs/rejected", uint64(p)))
		if reason != "" {
			sum.drop(reason)
			continue
		}
		pairs = append(pairs, pair{
			Prompt: messagesOf(prompt.Messages), Chosen: []message{{"assistant", chosen.Answer}}, Rejected: []message{{"assistant", rejected.Answer}},
			ChosenScore: *chosen.Total, RejectedScore: *rejected.Total, ChosenWords: chosen.Words, RejectedWords: rejected.Words,
			Required: prompt.Required, Origin: prompt.Origin,
		})
		sum.addPair(chosen, rejected)
	}
	sum.finish()
	if err := writeLines(filepath.Join(m.Dir, SamplesFile), samples); err != nil {
		return *sum, err
	}
	if err := writeLines(filepath.Join(m.Dir, PairsFile), pairs); err != nil {
		return *sum, err
	}
	return *sum, rundir.WriteJSON(filepath.Join(m.Dir, SummaryFile), sum)
}

func writeLines(path string, lines []any) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, x := range lines {
			if err := enc.Encode(x); err != nil {
				return err
			}
		}
		return nil
	})
}
