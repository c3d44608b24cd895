package train

import "math"

// Schedule is the learning rate over a run: a linear warm-up, then a decay.
// The shapes and the counting are those of Hugging Face's
// get_{cosine,linear,constant}_schedule_with_warmup.
type Schedule struct {
	Type   string  // cosine | linear | constant
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
	switch s.Type {
	case "linear":
		return s.Peak * max(0, (float64(s.Total)-done)/left)
	case "cosine":
		progress := (done - float64(s.Warmup)) / left
		return s.Peak * max(0, 0.5*(1+math.Cos(math.Pi*progress)))
	default:
		return s.Peak
	}
}
