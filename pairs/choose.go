package pairs

import (
	"math/rand/v2"

	"lwtrain/internal/llm"
)

// choose takes the best of the answers to a prompt, and another one: any, or the
// worst. reason says why there is no pair. An answer that was cut off is not
// chosen: a model that learns from it would learn to stop anywhere.
func (o Options) choose(all []Candidate, r *rand.Rand) (chosen, rejected Candidate, reason string) {
	var rated []Candidate
	unrated := false
	for _, c := range all {
		switch {
		case c.Total == nil:
			unrated = true
		case c.Words > 0:
			rated = append(rated, c)
		}
	}
	best := -1
	for i, c := range rated {
		if c.Stop != llm.StopLength && (best < 0 || *c.Total > *rated[best].Total) {
			best = i
		}
	}
	switch {
	case len(rated) < 2 && unrated:
		return chosen, rejected, "not_rated"
	case len(rated) < 2:
		return chosen, rejected, "empty_answers"
	case best < 0:
		return chosen, rejected, "cut_off"
	}
	chosen = rated[best]
	rest := append(rated[:best:best], rated[best+1:]...)
	rejected = rest[r.IntN(len(rest))]
	if o.Rejected == "worst" {
		for _, c := range rest {
			if *c.Total < *rejected.Total {
				rejected = c
			}
		}
	}
	if chosen.Answer == rejected.Answer || !(*chosen.Total-*rejected.Total > o.MinMargin) {
		return chosen, rejected, "tie"
	}
	return chosen, rejected, ""
}
