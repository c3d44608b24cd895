package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/pairs"
)

// PairsRun makes preference pairs of the prompts of a config.
type PairsRun struct {
	Prompts []record.Prompt
	Dropped map[string]int // records that are no prompts, by reason
	Model   *Model         // that answers; nil: a server does

	session *Session
	job     pairs.Job
	needs   AnswerNeeds
	weights *model.Model
}

// Pairs opens the prompts of the config and, where no server answers them, the model.
func (s *Session) Pairs(ctx context.Context) (*PairsRun, error) {
	c := s.Config
	s.warnKey("pairs.server", c.Pairs.Server)
	s.warnKey("pairs.judge", c.Pairs.Judge)
	if err := s.Fetch(ctx); err != nil {
		return nil, err
	}
	r := &PairsRun{session: s}
	var err error
	if r.Prompts, r.Dropped, err = s.prompts(ctx, c.Data.Sources, c.Pairs.LengthColumn); err != nil {
		return nil, err
	}
	if len(r.Prompts) == 0 {
		return nil, fault.Usage(errors.New("data.sources hold no prompts, want at least one"))
	}
	r.job = pairs.Job{Options: c.Pairs, Seed: c.Seed, Dir: c.Output.Dir, Prompts: r.Prompts, Config: c.Resolved()}
	if r.job.Identity, err = pairsIdentity(c, r.Prompts); err != nil {
		return nil, err
	}
	if c.Pairs.Server.URL == "" {
		if r.Model, err = s.Model(ctx); err != nil {
			return nil, err
		}
		r.Model.warnFresh()
		r.job.Identity.Contents["tokenizer and template"] = r.Model.Template.Fingerprint()
		if err := r.plan(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// plan finds what answers need, and refuses prompts that the model cannot be asked.
func (r *PairsRun) plan() (err error) {
	o := r.job.Options
	var asked []llm.Request
	for _, p := range r.Prompts {
		if o.Rates(p) {
			asked = append(asked, llm.Request{Messages: p.Messages, Origin: p.Origin, MaxTokens: o.MaxNewTokens})
		}
	}
	r.needs, err = r.Model.needsToAsk(asked, o.Precision, min(o.Batch, max(1, r.Answers())), "pairs",
		"lower pairs.max_new_tokens, or let a server with more of it answer (pairs.server)")
	r.job.Batch = r.needs.Batch
	return err
}

// Needs is the memory that answers take.
func (r *PairsRun) Needs() AnswerNeeds { return r.needs }

// prompts reads the prompts of sources, and counts the records that are none by reason.
func (s *Session) prompts(ctx context.Context, sources []data.Source, lengthColumn string) (
	prompts []record.Prompt, dropped map[string]int, err error,
) {
	dropped = map[string]int{}
	for _, src := range sources {
		if err := data.SuitsPrompts(src); err != nil {
			return nil, nil, err
		}
		found, bad, err := data.Prompts(ctx, src, s.files, lengthColumn, s.Config.Data.OnBadRecord == "skip")
		if err != nil {
			return nil, nil, err
		}
		prompts = append(prompts, found...)
		for reason, n := range bad {
			dropped[reason] += n
		}
	}
	return prompts, dropped, nil
}

// Check refuses an output folder that holds another run or foreign files, and reports
// whether it holds this one, if the weights are the same.
func (r *PairsRun) Check() (known bool, err error) {
	return pairs.CheckFolder(r.job.Dir, r.job.Identity)
}

// Answers is how many answers are asked for: none to a prompt that could not be rated.
func (r *PairsRun) Answers() int { return r.job.Answers() }

// Load fetches and reads the weights of the model that answers, if one does.
func (r *PairsRun) Load(ctx context.Context) (err error) {
	m := r.Model
	if m == nil {
		return nil
	}
	if err := m.fetchWeights(ctx); err != nil {
		return err
	}
	if r.weights, err = m.LoadToAnswer(r.job.Precision); err != nil {
		return err
	}
	r.job.Decoder = &llm.Decoder{Model: r.weights, Tokenizer: m.Tokenizer, Template: m.Template, Batch: r.job.Batch, Apart: true}
	r.job.Identity.Contents["model"], err = m.Fingerprint()
	return err
}

// Close frees the weights.
func (r *PairsRun) Close() {
	if r.weights != nil {
		r.weights.Free()
	}
}

// Do makes the pairs, with the weights that Load read. A run that was interrupted goes
// on with what is there.
func (r *PairsRun) Do(ctx context.Context, e pairs.Events) (pairs.Summary, error) {
	job := r.job
	job.Events = e
	return pairs.Make(ctx, job)
}

// pairsIdentity is what two runs that make pairs must have in common to be one, but for
// what answers.
func pairsIdentity(c *configs.Config, prompts []record.Prompt) (rundir.Identity, error) {
	content, err := contentOf(prompts)
	return rundir.Identity{Contents: map[string]string{"prompts": content}, Settings: c.Settings("pairs")}, err
}

// contentOf is a hash of what prompts ask.
func contentOf(prompts []record.Prompt) (string, error) {
	type asked struct {
		Messages []map[string]string
		Required int
		Least    int `json:",omitempty"`
		Most     int `json:",omitempty"`
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range prompts {
		a := asked{Required: p.Required, Least: p.Least, Most: p.Most}
		for _, m := range p.Messages {
			a.Messages = append(a.Messages, map[string]string{"role": m.Role, "content": m.Content})
		}
		if err := enc.Encode(a); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
