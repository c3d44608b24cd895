package train

import "math"

// Schedule is the learning rate over a run: a linear warm-up, then a decay.
// The shapes and the counting are those of Hugging Face's
// get_{cosine,linear,constant}_schedule_with_warmup, get_cosine_with_min_lr_schedule_with_warmup
// and get_wsd_schedule with decay_type 1-sqrt.
type Schedule struct {
	Type   string  // one of decays
	Peak   float64 // learning rate after the warm-up
	Warmup int     // steps
	Total  int     // steps of the whole run
	Least  float64 // of cosine_with_min_lr: share of the peak that the rate falls to
	Decay  int     // of warmup_stable_decay: the last steps, in which the rate falls
}

// At returns the learning rate of update step, counted from 1. As in
// transformers the first update of a warm-up has rate 0, and the last update
// of a decay is one step short of 0.
func (s Schedule) At(step int) float64 {
	done := float64(step - 1)
	if step-1 < s.Warmup {
		return s.Peak * done / float64(max(1, s.Warmup))
	}
	left := float64(max(1, s.Total-s.Warmup))
	for _, d := range decays {
		if d.name == s.Type {
			return s.Peak * max(0, d.share(s, (done-float64(s.Warmup))/left, (float64(s.Total)-done)/left))
		}
	}
	return s.Peak
}

// The schedulers that read a key of their own.
const (
	cosineWithMinLR   = "cosine_with_min_lr"
	warmupStableDecay = "warmup_stable_decay"
)

// decays are the rows of lr_scheduler_type, in the order in which users see their names: the share of
// the peak that holds after the part done of the steps after the warm-up, with the part left.
var decays = []struct {
	name  string
	share func(s Schedule, done, left float64) float64
}{
	{"cosine", func(_ Schedule, done, _ float64) float64 { return cosine(done) }},
	{"linear", func(_ Schedule, _, left float64) float64 { return left }},
	{"constant", func(Schedule, float64, float64) float64 { return 1 }},
	{cosineWithMinLR, func(s Schedule, done, _ float64) float64 { return cosine(done)*(1-s.Least) + s.Least }},
	{warmupStableDecay, stableDecay},
}

// cosine is half a cosine, from 1 to 0.
func cosine(done float64) float64 { return 0.5 * (1 + math.Cos(math.Pi*done)) }

// stableDecay holds the peak and falls in the last steps by 1 less the root of the part of them that is
// done, which of the shapes that Hägele et al. 2024 (arXiv:2405.18392, section 3) compared ended lowest.
func stableDecay(s Schedule, done, _ float64) float64 {
	at := done*float64(max(1, s.Total-s.Warmup)) - float64(s.Total-s.Warmup-s.Decay) // steps of the decay
	return 1 - math.Sqrt(max(0, at)/float64(max(1, s.Decay)))
}

// calendar says in which epoch each step of a run lies.
type calendar struct {
	ends  []int // step at which each epoch ends
	total int   // steps of the run
}

// newCalendar plans a run of maxSteps steps (0: of a number of epochs) in epochs that have
// the given steps.
func newCalendar(epochs float64, maxSteps int, steps func(epoch int) (int, error)) (calendar, error) {
	var c calendar
	if maxSteps > 0 {
		epochs = math.Inf(1)
	}
	for e := 0; float64(e) < epochs && (maxSteps == 0 || c.total < maxSteps); e++ {
		n, err := steps(e)
		if err != nil {
			return c, err
		}
		c.ends = append(c.ends, c.total+n)
		c.total += int(math.Ceil(float64(n) * min(1, epochs-float64(e))))
	}
	if maxSteps > 0 {
		c.total = maxSteps
	}
	return c, nil
}

// epochOf returns the epoch (from 0) that step lies in and the epoch's first step.
func (c *calendar) epochOf(step int) (epoch, start int) {
	for e, end := range c.ends {
		if step < end {
			return e, start
		}
		start = end
	}
	return len(c.ends) - 1, start
}

// epoch is the share of the data seen after step updates: 1.5 is one and a half
// times.
func (c *calendar) epoch(step int) float64 {
	e, start := c.epochOf(step - 1)
	return float64(e) + float64(step-start)/float64(c.ends[e]-start)
}

// Work is what a run still computes, in what a speed can be measured of. Answers and
// checkpoints are not in it.
type Work struct {
	Learned int64 // tokens of packs, forward and backward, padding among them
	Scored  int64 // the same, forward alone
	Asked   int64 // of these, what the reference is asked before the first step
	HeldOut int64 // of these, what is held out
	Updates int
	Saves   int
}
