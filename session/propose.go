package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
)

// Proposal says what a first run of a config is, once its values were chosen.
type Proposal struct {
	Why      map[string]string // of the values that were chosen, by key
	Unread   error             // why model or data could not be looked at: their values are defaults; nil: they were
	Bad      error             // records that a run will refuse; nil: there are none
	Unit     string            // what a sample is called
	Samples  int
	Steps    int // of the run
	AllSteps int // without train.max_steps
	Outlook
}

// Propose sets the values of the config that depend on its model and data, for fine-tuning or
// for preference training, so that a first run learns something and ends in reasonable time.
// capacity is that of the packs, 0: it is chosen, too. It tokenises the data into the cache,
// where the run finds it.
func (s *Session) Propose(ctx context.Context, preferences bool, capacity int) (Proposal, error) {
	c := s.Config
	path, sources := c.Model.Path, slices.Clone(c.Data.Sources)
	defer func() { c.Model.Path, c.Data.Sources = path, sources }() // without the commits of the hub
	var p Proposal
	if p.Unread = s.Fetch(ctx); p.Unread != nil {
		return p, ctx.Err()
	}
	var m *Model
	whole := c.Packing.Capacity
	c.Packing.Capacity = 0 // it is not known yet, so there is nothing to say of it
	m, p.Unread = s.Model(ctx)
	if c.Packing.Capacity = whole; p.Unread != nil {
		return p, ctx.Err()
	}
	f := facts{parameters: m.Config.Parameters(), positions: m.Config.MaxTokens, capacity: capacity}
	how, err := s.lengths(ctx, m, preferences, &f, &p)
	if err != nil || p.Unread != nil {
		return p, err
	}
	p.Unit, p.Samples = f.unit, len(f.lengths)
	p.Why = f.sizes(c)
	if capacity == 0 {
		if f.fits = s.fits(m); f.fits < c.Packing.Capacity {
			p.Why = f.sizes(c)
		}
	}
	if f.longest > c.Data.MaxLength && preferences {
		return p, nil // the run refuses them
	}
	defer func(bad string) { c.Data.OnBadRecord = bad }(c.Data.OnBadRecord)
	if s.DryRun = true; p.Bad != nil {
		c.Data.OnBadRecord = "skip"
	}
	return p, s.schedule(ctx, how, &p)
}

// fits is the largest pack, of the capacity or a half, a quarter ... of it, that there is
// memory for.
func (s *Session) fits(m *Model) int {
	capacity := &s.Config.Packing.Capacity
	defer func(whole int) { *capacity = whole }(*capacity)
	for *capacity > leastCapacity/2 {
		needs, err := s.Needs(m, nil, 0)
		if err != nil || needs.Total() <= needs.Limit {
			break
		}
		*capacity /= 2
	}
	return *capacity
}

// lengths reads the data, whatever its length, and says how it is trained on.
func (s *Session) lengths(ctx context.Context, m *Model, preferences bool, f *facts, p *Proposal) (how Method, err error) {
	o := &s.Config.Data
	defer func(whole data.Options) { *o = whole }(*o)
	o.MaxLength, o.TooLong, o.HeldOut = 1<<22, "skip", data.HeldOut{}
	both := data.Run{Any: true, Labels: true}
	set, err := s.Data(ctx, m.Template, both)
	if err != nil && ctx.Err() == nil {
		p.Bad, o.OnBadRecord = err, "skip"
		set, err = s.Data(ctx, m.Template, both)
	}
	if err != nil {
		if p.Unread = err; ctx.Err() != nil {
			return how, ctx.Err()
		}
		return how, nil
	}
	labels := preferences
	for _, src := range set.Sources() {
		if labels = labels && src.Format == record.Labels; record.IsPreference(src.Format) && !preferences {
			err = fault.Usage(fault.Hint(
				fmt.Errorf("%s: source %s holds preferences, and this is a config of `lwtrain sft`", src.Path, src.Name),
				"--dpo makes one of `lwtrain dpo`, which trains on them"))
		}
	}
	set.Close()
	if err != nil {
		return how, err
	}
	f.unit, how = conversation, SFT
	if preferences {
		f.unit, how = pair, DPO
	}
	if labels {
		f.unit = labelledAnswer
		s.Config.DPO.LossType = []string{"kto"}
	}
	set, err = s.Data(ctx, m.Template, data.Run{Pairs: f.unit == pair, Labels: labels})
	if err != nil {
		return how, err
	}
	defer set.Close()
	f.take(set)
	if len(f.lengths) == 0 {
		p.Unread = set.NothingLeft(f.unit)
	}
	return how, nil
}

// take takes the lengths of a set's samples.
func (f *facts) take(set *data.Set) {
	for _, at := range set.Train() {
		i := int(at)
		f.longest = max(f.longest, set.Tokens(i))
		f.answers = append(f.answers, set.Targets(i))
		if f.unit == conversation {
			f.lengths = append(f.lengths, set.Tokens(i))
		}
	}
	for _, p := range set.Pairs() {
		n := 0
		for _, i := range p.Answers() {
			n += set.Tokens(i)
		}
		f.lengths = append(f.lengths, n)
	}
}

// How long a first run takes, if less is enough to learn from.
const (
	longestFirst = 20 * time.Minute
	aimedFirst   = 15 * time.Minute
	leastSteps   = 30
)

// smallerSteps makes more steps of few, each of which takes less.
func smallerSteps(c *configs.Config, steps int) int {
	for accumulated := &c.Train.GradientAccumulationSteps; *accumulated > 1 && steps < fewSteps; *accumulated /= 2 {
		steps *= 2
	}
	for pairs := &c.Train.PerDeviceTrainBatchSize; *pairs > 2 && steps < fewSteps; *pairs /= 2 {
		steps *= 2
	}
	return steps
}

// schedule counts the steps of the run, and takes fewer where they would take long on this
// machine.
func (s *Session) schedule(ctx context.Context, how Method, p *Proposal) error {
	c := s.Config
	r, err := s.Run(ctx, how)
	if err != nil {
		return err
	}
	defer r.Close()
	plan, err := r.Plan()
	if err != nil {
		return err
	}
	needs, err := r.Needs()
	if err != nil {
		return err
	}
	total := plan.Schedule.Total
	p.Steps, p.AllSteps = total, total
	everySteps(c, total)
	at, remembered, err := r.pace(ctx, plan, needs)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.Unknown = err.Error()
		return nil
	}
	if p.Outlook, err = r.outlook(at, remembered, 0); err != nil {
		return err
	}
	whole := p.Left
	for range 3 { // what does not depend on the steps is not known alone
		if p.Left <= longestFirst || p.Steps <= leastSteps {
			break
		}
		p.Steps = int(float64(p.Steps) * float64(aimedFirst) / float64(p.Left))
		p.Steps = max(leastSteps, smallerSteps(c, p.Steps))
		c.Train.MaxSteps = p.Steps
		everySteps(c, p.Steps)
		c.Train.EvalSteps *= 2
		c.Sample.MaxNewTokens = min(c.Sample.MaxNewTokens, mostAnswer/2)
		if p.Outlook, err = r.outlook(at, remembered, 0); err != nil {
			return err
		}
	}
	if c.Train.MaxSteps > 0 {
		p.Why["train.max_steps"] = fmt.Sprintf("a first run of about %s on this machine; 0: num_train_epochs, %s, about %s",
			human.Span(p.Left), human.Count(total, "step"), human.Span(whole))
	}
	plan.Schedule.Total = p.Steps
	if r.Room(plan, needs).Check() != nil {
		c.Train.SaveSteps = 0
		p.Why["train.save_steps"] = "there is no room for more checkpoints than the last"
	}
	return nil
}
