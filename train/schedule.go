package train

import "math"

// Schedule is the learning rate over a run: a linear warm-up, then a decay.
// The shapes and the counting are those of Hugging Face's
// get_{cosine,linear,constant}_schedule_with_warmup.
type Schedule struct {
	Type   string  // one of decays
	Peak   float64 // learning rate after the warm-up
	Warmup int     // steps
	Total  int     // steps of the whole run
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
			return s.Peak * max(0, d.share((done-float64(s.Warmup))/left, (float64(s.Total)-done)/left))
		}
	}
	return s.Peak
}

// decays are the rows of lr_scheduler_type, in the order in which users see their names: the share of
// the peak that holds after the part done of the steps after the warm-up, with the part left.
var decays = []struct {
	name  string
	share func(done, left float64) float64
}{
	{"cosine", func(done, _ float64) float64 { return 0.5 * (1 + math.Cos(math.Pi*done)) }},
	{"linear", func(_, left float64) float64 { return left }},
	{"constant", func(_, _ float64) float64 { return 1 }},
}
