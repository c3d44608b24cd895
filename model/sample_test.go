package model

import (
	"math"
	"testing"

	"lwtrain/internal/rng"
)

func TestTokensAreDrawnFromTheNucleus(t *testing.T) {
	// Probabilities 0.5, 0.25, 0.125, 0.125 at temperature 1.
	logits := []float32{float32(math.Log(0.25)), float32(math.Log(0.5)), float32(math.Log(0.125)), float32(math.Log(0.125))}
	for _, c := range []struct {
		name string
		how  Sampling
		want []float64 // frequencies
	}{
		{"temperature 0 takes the most probable", Sampling{}, []float64{0, 1, 0, 0}},
		{"top-p 1 draws from all", Sampling{Temperature: 1}, []float64{0.25, 0.5, 0.125, 0.125}},
		{"top-p 0.7 keeps the two that reach it", Sampling{Temperature: 1, TopP: 0.7}, []float64{1. / 3, 2. / 3, 0, 0}},
		{"a tiny top-p keeps one", Sampling{Temperature: 1, TopP: 1e-9}, []float64{0, 1, 0, 0}},
		{"top-k 2 keeps two", Sampling{Temperature: 1, TopK: 2}, []float64{1. / 3, 2. / 3, 0, 0}},
		{"top-k 1 keeps one", Sampling{Temperature: 1, TopK: 1, TopP: 0.5}, []float64{0, 1, 0, 0}},
		{"top-p counts within top-k", Sampling{Temperature: 1, TopK: 2, TopP: 0.6}, []float64{0, 1, 0, 0}},
		{"a top-k of more tokens than there are keeps all", Sampling{Temperature: 1, TopK: 9}, []float64{0.25, 0.5, 0.125, 0.125}},
		{"temperature 0.5 squares the odds", Sampling{Temperature: 0.5}, []float64{4. / 22, 16. / 22, 1. / 22, 1. / 22}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 20000
			s := sampler{Sampling: c.how, rand: rng.New(1, c.name)}
			got := make([]float64, len(logits))
			for range n {
				got[s.next(logits, 1)] += 1. / n
			}
			for i := range got {
				if math.Abs(got[i]-c.want[i]) > 0.015 {
					t.Errorf("frequencies = %.3f, want %.3f", got, c.want)
					break
				}
			}
		})
	}
}
