package pairs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
	"lwtrain/internal/rundir"
	"lwtrain/judge"
	"lwtrain/model"
)

// maker is a run of [Make].
type maker struct {
	Job
	ledger *ledger
	writer llm.Answerer
	judge  *llm.Client // nil: none

	mu     sync.Mutex
	failed map[string]int  // answers that there are not, by the kind of the failure
	told   map[string]bool // kinds of failures
}

// Make answers the prompts, rates the answers, and writes the pairs. When it is
// called again for the same folder it goes on with what is there; the error of a
// cancelled ctx is context.Canceled.
func Make(ctx context.Context, job Job) (Summary, error) {
	m := &maker{Job: job, writer: job.Decoder, failed: map[string]int{}, told: map[string]bool{}}
	if job.Decoder != nil && job.Events.Token != nil {
		job.Decoder.Token = func(int, int32) { job.Events.Token() }
	}
	if job.Server.URL != "" {
		m.writer = m.client(job.Server)
	}
	if job.Judge.URL != "" {
		m.judge = m.client(job.Judge)
	}
	folder, err := rundir.Enter(job.Dir)
	if err != nil {
		return Summary{}, err
	}
	defer folder.Close()
	s, err := m.run(ctx, folder)
	var moved rundir.MovedError
	if errors.As(err, &moved) && moved.Now != "" {
		err = fault.Hint(fmt.Errorf("%w; what is answered is kept there", err), "with output.dir="+moved.Now+" it goes on from there")
	}
	return s, fault.Disk(err)
}

func (m *maker) client(s llm.Server) *llm.Client {
	c := llm.NewClient(s)
	c.Waiting = m.Events.Pausing
	return c
}

func (m *maker) run(ctx context.Context, folder *rundir.Folder) (Summary, error) {
	if err := m.prepare(); err != nil {
		return Summary{}, err
	}
	var err error
	if m.ledger, err = openLedger(m.Dir, folder, len(m.Prompts), m.Samples); err != nil {
		return Summary{}, err
	}
	m.ledger.progress = m.Events.Progress
	m.sayLost()
	if err := errors.Join(m.fill(ctx), m.ledger.close()); err != nil {
		return Summary{}, err
	}
	if err := folder.Check(); err != nil {
		return Summary{}, err
	}
	return m.results(m.candidate, m.failed)
}

// sayLost tells of answers that a finished run had, by its summary, and that are gone.
func (m *maker) sayLost() {
	var before Summary
	_, err := rundir.ReadJSON(filepath.Join(m.Dir, SummaryFile), &before) // none, or a damaged one, says nothing
	if n := before.Samples - m.ledger.size(); err == nil && n > 0 && m.Events.Lost != nil {
		m.Events.Lost(filepath.Join(m.Dir, answersFile), n)
	}
}

// fill answers what has no answer, and rates what has no rating as soon as it is
// there.
func (m *maker) fill(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo, waiting := m.missing()
	if n := m.ledger.size(); m.Events.Resumed != nil && n > 0 {
		m.Events.Resumed(n, m.ledger.tokens)
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
	requests := make([]llm.Request, len(todo))
	for i, k := range todo {
		requests[i] = llm.Request{
			Messages: m.Prompts[k.prompt].Messages, Origin: m.Prompts[k.prompt].Origin, MaxTokens: m.MaxNewTokens,
			Sampling: model.Sampling{Temperature: m.Temperature, TopP: m.TopP, Seed: m.seedOf("answer", k)},
		}
	}
	err := llm.Answer(ctx, m.writer, requests, func(i int, r llm.Reply) error {
		k := todo[i]
		if r.Failed != "" { // asked for again when the command is given again
			m.fails(k, "", r.Failed)
			return nil
		}
		a := answered{Prompt: k.prompt, Number: k.number, Tokens: r.Tokens, Stop: r.Stop, Answer: r.Text}
		if err := m.ledger.addAnswer(a); err != nil {
			return err
		}
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

// fails counts an answer that there is not, and tells of the first failure of each kind, by the server that answers (who is "") or
// another one.
func (m *maker) fails(k key, who, why string) {
	kind := llm.FailureKind(why)
	m.mu.Lock()
	defer m.mu.Unlock()
	if who == "" {
		m.failed[kind]++
	}
	if !m.told[who+kind] && m.Events.Failed != nil {
		m.told[who+kind] = true
		m.Events.Failed(m.Prompts[k.prompt].Origin, who+why)
	}
}

// missing lists what has to be answered, and what is answered and has to be rated.
func (m *maker) missing() (todo, waiting []key) {
	for p, prompt := range m.Prompts {
		if !m.Rates(prompt) {
			continue
		}
		for n := range m.Samples {
			k := key{p, n}
			_, isAnswered, _, isRated := m.ledger.get(k)
			if !isAnswered {
				todo = append(todo, k)
			} else if !isRated {
				waiting = append(waiting, k)
			}
		}
	}
	return todo, waiting
}

// rate asks for the parts of an answer's rating that have to be asked for.
func (m *maker) rate(ctx context.Context, k key) error {
	c, _ := m.candidate(k)
	messages := m.Prompts[k.prompt].Messages
	r := rated{Prompt: k.prompt, Number: k.number}
	keep := m.judge != nil || len(m.Command) > 0
	if m.judge != nil {
		marks, refused, err := judge.Marks(ctx, m.judge, messages, c.Answer, m.seedOf("judge", k))
		if err != nil {
			return fmt.Errorf("the judge: %w", err)
		}
		if r.Marks = marks; refused != "" {
			m.fails(k, "the judge: ", refused)
			keep = false // it is asked again, too
		}
	}
	if len(m.Command) > 0 {
		value, err := m.runCommand(ctx, llm.Messages(messages), c)
		if err != nil {
			return err
		}
		r.Command = &value
	}
	return m.ledger.addRating(r, keep)
}

func (m *maker) seedOf(what string, k key) uint64 {
	return rng.New(m.Seed, "pairs/"+what, uint64(k.prompt), uint64(k.number)).Uint64()
}

// candidate puts together what is known of an answer; false: there is none.
func (m *maker) candidate(k key) (Candidate, bool) {
	a, there, r, _ := m.ledger.get(k)
	p := m.Prompts[k.prompt]
	c := Candidate{
		Prompt: k.prompt, Number: k.number, Origin: p.Origin, Required: p.Required, Least: p.Least, Most: p.Most,
		Words: prose.Words(a.Answer), Tokens: a.Tokens, Stop: a.Stop, Answer: a.Answer,
	}
	m.Options.rate(&c)
	if c.Marks, c.Rating.Command = r.Marks, r.Command; r.Marks != nil {
		c.Quality = judge.Quality(r.Marks)
	}
	c.Total = m.total(c.Rating, p)
	return c, there
}
