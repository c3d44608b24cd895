package experiment

import (
	"math"
	"slices"

	"lwtrain/eval"
	"lwtrain/internal/rng"
)

// Outcome is what came of a model.
type Outcome struct {
	Arm
	N        int            `json:"n"` // answers
	Prompts  int            `json:"prompts"`
	Ended    float64        `json:"ended"` // share
	Loops    int            `json:"loops"` // answers caught in a loop, by token ids
	Median   *float64       `json:"median"`
	MedianCI *eval.Interval `json:"median_ci95"`
	P90      *float64       `json:"p90"`
	Max      *int           `json:"max"`
	// KMedian is the median of Kaplan and Meier, for which answers that were cut off would have been longer.
	KMedian   *float64       `json:"km_median"`
	KMedianCI *eval.Interval `json:"km_median_ci95"` // an end of -1: not reached

	Length   *float64       `json:"s_l"`
	ByAsked  []eval.InRange `json:"s_l_by_length"`
	Survival *eval.Survival `json:"survival"`
	Curve    eval.Curve     `json:"km"`
}

// Answers are what a model answered, as scored.
type Answers struct {
	Arm      Arm
	Scores   []eval.Score
	Looped   int
	Summary  eval.Summary
	Survival *eval.Survival
}

// draws of the bootstrap and of permutations, and the seed of both.
const (
	draws        = 2000
	permutations = 10000
	seed         = 42
)

// Measure is what came of a model's answers; those that ended are measured by median, P90 and
// maximum.
func Measure(a Answers) Outcome {
	o := Outcome{Arm: a.Arm, Loops: a.Looped, Length: a.Summary.Length, ByAsked: a.Summary.ByLength, Survival: a.Survival}
	byPrompt := clusters(a.Scores)
	o.N, o.Prompts = len(a.Scores), len(byPrompt)
	all := slices.Concat(byPrompt...)
	ended := endedOf(all)
	o.Ended = float64(len(ended)) / float64(max(1, len(all)))
	if n := len(ended); n > 0 {
		m, p90 := quantile(ended, 0.5), quantile(ended, 0.9)
		longest := int(ended[n-1])
		o.Median, o.P90, o.Max = &m, &p90, &longest
	}
	o.Curve = eval.KaplanMeier(all)
	if m, ok := o.Curve.Median(); ok {
		o.KMedian = &m
	}
	o.MedianCI = interval(byPrompt, func(x []eval.Length) float64 {
		if e := endedOf(x); len(e) > 0 {
			return quantile(e, 0.5)
		}
		return math.NaN()
	})
	o.KMedianCI = interval(byPrompt, func(x []eval.Length) float64 {
		if m, ok := eval.KaplanMeier(x).Median(); ok {
			return m
		}
		return math.Inf(1)
	})
	return o
}

// clusters are the lengths of the answers to each prompt, in the order of the prompts.
func clusters(scores []eval.Score) [][]eval.Length {
	at := map[string]int{}
	var out [][]eval.Length
	for _, x := range scores {
		k, ok := at[x.Prompt]
		if !ok {
			k = len(out)
			at[x.Prompt] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], eval.Length{Words: x.Words, Ended: x.Ended != nil && *x.Ended})
	}
	return out
}

// endedOf are the lengths of the answers that ended, sorted.
func endedOf(all []eval.Length) (out []float64) {
	for _, x := range all {
		if x.Ended {
			out = append(out, float64(x.Words))
		}
	}
	slices.Sort(out)
	return out
}

func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// interval is the middle 95 % of a figure of prompts that are drawn anew; an end without bound
// is -1.
func interval(byPrompt [][]eval.Length, figure func([]eval.Length) float64) *eval.Interval {
	n := len(byPrompt)
	if n < 2 {
		return nil
	}
	r := rng.New(seed, "experiment/bootstrap")
	var found []float64
	var drawn []eval.Length
	for range draws {
		drawn = drawn[:0]
		for range n {
			drawn = append(drawn, byPrompt[r.IntN(n)]...)
		}
		if v := figure(drawn); !math.IsNaN(v) {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	ci := &eval.Interval{found[int(0.025*float64(len(found)))], found[min(len(found)-1, int(0.975*float64(len(found))))]}
	for i, v := range ci {
		if math.IsInf(v, 1) {
			ci[i] = -1
		}
	}
	return ci
}
