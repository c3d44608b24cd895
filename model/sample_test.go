package model

import (
	"cmp"
	"math"
	"slices"
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

func TestANucleusIsWhatSortingAllTokensGives(t *testing.T) {
	const vocab = 5000
	r := rng.New(1, "logits")
	logits, best := make([]float32, vocab), int32(0)
	for i := range logits {
		if logits[i] = float32(3 * r.NormFloat64()); logits[i] > logits[best] {
			best = int32(i)
		}
	}
	for _, how := range []Sampling{
		{Temperature: 1, TopP: 0.9}, {Temperature: 0.7, TopP: 0.5}, {Temperature: 1.5, TopP: 0.9999}, {Temperature: 1, TopK: 40},
		{Temperature: 0.01, TopP: 0.99}, {Temperature: 1, TopP: 0.8, TopK: 1000},
	} {
		sum, all := 0., make([]candidate, vocab)
		for i, v := range logits {
			all[i] = candidate{int32(i), math.Exp((float64(v) - float64(logits[best])) / how.Temperature)}
			sum += all[i].p
		}
		for i := range all {
			all[i].p /= sum
		}
		slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.p, a.p) })
		reach := how.TopP
		if reach == 0 {
			reach = 1
		}
		if how.TopK > 0 {
			all = all[:how.TopK]
			whole := 0.
			for _, c := range all {
				whole += c.p
			}
			reach *= whole
		}
		mass, n := 0., 0
		for n < len(all) && mass < reach {
			mass += all[n].p
			n++
		}
		s, plain := sampler{Sampling: how, rand: rng.New(2, "draws")}, sampler{rand: rng.New(2, "draws")}
		for range 100 {
			if got, want := s.next(logits, best), plain.draw(all[:n], mass); got != want {
				t.Fatalf("%+v: token %d, want %d", how, got, want)
			}
		}
	}
}
