package session

import (
	"context"
	"fmt"
	"iter"
	"math/bits"
	"path/filepath"
	"time"

	"lwtrain/engine"
	"lwtrain/internal/machine"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/train"
)

// Busy is how much of the processors others may take without a word.
const Busy = 0.2

// pace is how long a run takes for what it does, in seconds; 0: not known.
type pace struct {
	Learn  float64 `json:"learn"`  // a token of a pack, forward and backward
	Score  float64 `json:"score"`  // a token of a pack, forward
	Update float64 `json:"update"` // an update
	Answer float64 `json:"answer"` // a token that an answer may have
	Save   float64 `json:"save"`   // a checkpoint, and its share of what else a run does
	Others float64 `json:"others"` // how much of the processors others took meanwhile, from 0 to 1
}

// takes is how long work takes, with answers of that many tokens at most.
func (p pace) takes(w train.Work, answers int) time.Duration {
	s := p.Learn*float64(w.Learned) + p.Score*float64(w.Scored) + p.Update*float64(w.Updates) + p.Save*float64(w.Saves) +
		p.Answer*float64(answers)
	return time.Duration(s * float64(time.Second))
}

// paceFile holds the paces of the last runs in data.cache_dir, by what they depend on.
const paceFile = "pace.json"

// mostPaces bounds the file.
const mostPaces = 256

// readPaces reads what is kept; what cannot be read is measured again.
func readPaces(cacheDir string) map[string]pace {
	paces := map[string]pace{}
	if _, err := rundir.ReadJSON(filepath.Join(cacheDir, paceFile), &paces); err != nil || len(paces) > mostPaces {
		return map[string]pace{}
	}
	return paces
}

// busy reports whether it is the pace beside much other work, which says little of the next run.
func (p pace) busy() bool { return p.Others >= Busy }

// keepPace keeps what a run measured, unless it ran beside much other work and an earlier one did not.
// What it did nothing of stays as it was.
func keepPace(cacheDir, key string, p pace) error {
	paces := readPaces(cacheDir)
	old := paces[key]
	if p.busy() && old.Learn > 0 && !old.busy() {
		return nil
	}
	for _, v := range []struct{ now, then *float64 }{
		{&p.Learn, &old.Learn}, {&p.Score, &old.Score}, {&p.Update, &old.Update}, {&p.Answer, &old.Answer}, {&p.Save, &old.Save},
	} {
		if *v.now == 0 {
			*v.now = *v.then
		}
	}
	if len(paces) >= mostPaces {
		clear(paces)
	}
	paces[key] = p
	return rundir.WriteJSON(filepath.Join(cacheDir, paceFile), paces)
}

// clock adds up how long something took, and how much of it there was.
type clock struct {
	took  time.Duration
	units int
}

func (c *clock) add(began time.Time, units int) {
	c.took += time.Since(began)
	c.units += units
}

// each is the seconds that a unit took.
func (c *clock) each() float64 {
	if c.units == 0 {
		return 0
	}
	return c.took.Seconds() / float64(c.units)
}

// timed is an engine that a run's pace is measured of.
type timed struct {
	engine.Engine
	learn, score, update, answer, save clock
}

// pace is what was measured in a run that took that long.
func (e *timed) pace(whole time.Duration) pace {
	p := pace{Learn: e.learn.each(), Score: e.score.each(), Update: e.update.each(), Answer: e.answer.each()}
	if n := e.save.units; n > 0 {
		rest := whole - e.learn.took - e.score.took - e.update.took - e.answer.took
		p.Save = max(0, rest.Seconds()) / float64(n)
	}
	return p
}

// computed is what a pack takes: the engine pads it to steps of 128 tokens.
func computed(p packing.Pack) int { return (len(p.IDs) + 127) / 128 * 128 }

// Learn implements [engine.Engine].
func (e *timed) Learn(ctx context.Context, step int, packs []packing.Pack, weigh engine.Weigh) ([]engine.Learned, error) {
	began, tokens := time.Now(), 0
	for _, p := range packs {
		tokens += computed(p)
	}
	out, err := e.Engine.Learn(ctx, step, packs, weigh)
	if err == nil {
		e.learn.add(began, tokens)
	}
	return out, err
}

// Score implements [engine.Scorer].
func (e *timed) Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], how engine.ScoreOptions,
	done func(int, []float64) error) error {
	return timedScorer{e.Engine, &e.score}.Score(ctx, packs, how, done)
}

// Reference implements [engine.Engine].
func (e *timed) Reference(dir string) (engine.Scorer, error) {
	s, err := e.Engine.Reference(dir)
	if err != nil {
		return nil, err
	}
	return timedScorer{s, &e.score}, nil
}

// Update implements [engine.Engine].
func (e *timed) Update(step int, rate, divisor, maxNorm float64) (float64, error) {
	defer e.update.add(time.Now(), 1)
	return e.Engine.Update(step, rate, divisor, maxNorm)
}

// Answer implements [engine.Engine].
func (e *timed) Answer(ctx context.Context, prompts []engine.Prompt, emit func()) ([]engine.Answer, error) {
	began, tokens := time.Now(), 0
	for _, p := range prompts {
		tokens += p.MaxNewTokens
	}
	out, err := e.Engine.Answer(ctx, prompts, emit)
	if err == nil {
		e.answer.add(began, tokens)
	}
	return out, err
}

// Save implements [engine.Engine].
func (e *timed) Save(dir string) (rest func() error, err error) {
	defer e.save.add(time.Now(), 1)
	return e.Engine.Save(dir)
}

// timedScorer is a model whose scoring a clock measures.
type timedScorer struct {
	engine.Scorer
	clock *clock
}

// Score implements [engine.Scorer].
func (s timedScorer) Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], how engine.ScoreOptions,
	done func(int, []float64) error) error {
	began, tokens := time.Now(), 0
	err := s.Scorer.Score(ctx, func(yield func(packing.Pack, error) bool) {
		for p, err := range packs {
			tokens += computed(p)
			if !yield(p, err) {
				return
			}
		}
	}, how, done)
	if err == nil {
		s.clock.add(began, tokens)
	}
	return err
}

// paceKey names what a pace depends on.
func paceKey(kind string, c model.Config, o train.Options, p *train.Plan, m engine.Needs) string {
	kind += adapterText(m)
	if o.Optim != train.AdamW {
		kind += ", " + o.Optim
	}
	return fmt.Sprintf("%s, %s of %d parameters in %d layers, packs of %d tokens, documents of %d or less, %s, %s, %s",
		kind, c.Type, c.Parameters(), c.Layers, packSize(p, o), 1<<bits.Len(uint(documentSize(p))),
		m.Recomputed, m.Machine, machine.ReadProcessor().Model)
}

// adapterText tells runs with adapters apart, by the bytes of their gradients.
func adapterText(m engine.Needs) string {
	if !m.Adapters {
		return ""
	}
	return fmt.Sprintf(", adapters of %d bytes", m.Gradients)
}

// documentSize is the mean length of the documents that a run trains on.
func documentSize(p *train.Plan) int { return max(1, int(p.Tokens/int64(max(1, p.Documents)))) }

// packSize is how many tokens a pack of the run has: those of a step of pairs are less than
// the capacity.
func packSize(p *train.Plan, o train.Options) int {
	if p.Pairs == 0 {
		return p.Capacity
	}
	perStep := min(p.Pairs, o.PacksPerStep())
	return min(p.Capacity, (int(p.Tokens)*perStep/p.Pairs+127)/128*128)
}
