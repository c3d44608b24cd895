package experiment

import (
	"math"
	"slices"

	"lwtrain/eval"
	"lwtrain/internal/stats"
)

// Outcome is what came of a model.
type Outcome struct {
	Arm
	N        int             `json:"n"` // answers
	Prompts  int             `json:"prompts"`
	Ended    float64         `json:"ended"` // share
	Loops    int             `json:"loops"` // answers caught in a loop, by token ids
	Median   *float64        `json:"median"`
	MedianCI *stats.Interval `json:"median_ci95"`
	P90      *float64        `json:"p90"`
	Max      *int            `json:"max"`
	// KMedian is the median of Kaplan and Meier, for which answers that were cut off would have been longer.
	KMedian   *float64        `json:"km_median"`
	KMedianCI *stats.Interval `json:"km_median_ci95"` // an end of -1: not reached

	Length   *float64       `json:"s_l"`
	ByAsked  []eval.InRange `json:"s_l_by_length"`
	Survival *eval.Survival `json:"survival"`
	Curve    stats.Curve    `json:"km"`
}

// Answers are what a model answered, as scored.
type Answers struct {
	Arm      Arm
	Scores   []eval.Score
	Looped   int
	Summary  eval.Summary
	Survival *eval.Survival
}

// permutations of the ordered test.
const permutations = 10000

// Measure is what came of a model's answers; those that ended are measured by median, P90 and
// maximum.
func Measure(a Answers) Outcome {
	o := Outcome{Arm: a.Arm, Loops: a.Looped, Length: a.Summary.Length, ByAsked: a.Summary.ByLength, Survival: a.Survival}
	var byPrompt stats.Groups[stats.Length]
	for _, x := range a.Scores {
		byPrompt.Add(x.Prompt, stats.Length{Words: x.Words, Ended: x.Ended != nil && *x.Ended})
	}
	o.N, o.Prompts = len(a.Scores), len(byPrompt.Of)
	all := slices.Concat(byPrompt.Of...)
	ended := endedOf(all)
	o.Ended = float64(len(ended)) / float64(max(1, len(all)))
	if n := len(ended); n > 0 {
		m, p90 := stats.Quantile(ended, 0.5), stats.Quantile(ended, 0.9)
		longest := int(ended[n-1])
		o.Median, o.P90, o.Max = &m, &p90, &longest
	}
	o.Curve = stats.KaplanMeier(all)
	if m, ok := o.Curve.Median(); ok {
		o.KMedian = &m
	}
	o.MedianCI = interval(byPrompt.Of, func(x []stats.Length) float64 {
		if e := endedOf(x); len(e) > 0 {
			return stats.Quantile(e, 0.5)
		}
		return math.NaN()
	})
	o.KMedianCI = interval(byPrompt.Of, func(x []stats.Length) float64 {
		if m, ok := stats.KaplanMeier(x).Median(); ok {
			return m
		}
		return math.Inf(1)
	})
	return o
}

// endedOf are the lengths of the answers that ended, sorted.
func endedOf(all []stats.Length) (out []float64) {
	for _, x := range all {
		if x.Ended {
			out = append(out, float64(x.Words))
		}
	}
	slices.Sort(out)
	return out
}

// interval is that of a figure of prompts; an end without bound is -1.
func interval(byPrompt [][]stats.Length, figure func([]stats.Length) float64) *stats.Interval {
	var drawn []stats.Length
	ci := stats.Bootstrap("experiment/bootstrap", len(byPrompt), func(draw func() int) float64 {
		drawn = drawn[:0]
		for range byPrompt {
			drawn = append(drawn, byPrompt[draw()]...)
		}
		return figure(drawn)
	})
	if ci != nil {
		for i, v := range ci {
			if math.IsInf(v, 1) {
				ci[i] = -1
			}
		}
	}
	return ci
}
