package dpo

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The weights of tokens make sum w*nll a function whose gradient with regard to
// each token's nll is the mean loss's: across packs, pairs and padding.
func TestWeightsHaveTheGradientOfTheMeanLoss(t *testing.T) {
	for name, o := range all {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				pairs := rapid.IntRange(1, 3).Draw(t, "pairs")
				type document struct {
					targets []int32
					nll     []float64
					ref     []float64
				}
				docs := make([]document, 2*pairs) // chosen, rejected, chosen, ...
				for i := range docs {
					n := rapid.IntRange(1, 9).Draw(t, "positions")
					each := rapid.SliceOfN(rapid.Float64Range(0.05, 4), n, n)
					docs[i] = document{
						targets: rapid.SliceOfN(rapid.Int32Range(-1, 5), n, n).Draw(t, "targets"),
						nll:     each.Draw(t, "nll"), ref: each.Draw(t, "reference"),
					}
					docs[i].targets[n/2] = 7 // one target at least
				}
				step := func() (mean float64, results []Result, shared []int) {
					for i := 0; i < len(docs); i += 2 {
						var s [2]Side
						k := math.MaxInt
						for j := range s {
							_, _, n := LogProbs(docs[i+j].nll, docs[i+j].targets, 0)
							k = min(k, n)
						}
						for j := range s {
							d := docs[i+j]
							s[j].LogP, s[j].Prefix, s[j].Tokens = LogProbs(d.nll, d.targets, k)
							s[j].RefLogP, s[j].RefPrefix, _ = LogProbs(d.ref, d.targets, k)
						}
						r := o.Loss(Pair{s[0], s[1]})
						mean += r.Loss / float64(pairs)
						results, shared = append(results, r), append(shared, k)
					}
					return mean, results, shared
				}
				mean, results, shared := step()
				for i, d := range docs {
					g := results[i/2].Chosen
					if i%2 == 1 {
						g = results[i/2].Rejected
					}
					weights := make([]float32, len(d.targets))
					for k := range weights {
						weights[k] = 99 // of an earlier step
					}
					g.Weigh(weights, d.targets, shared[i/2], pairs)
					for k := range d.nll {
						was := d.nll[k]
						want := difference(func(x float64) float64 {
							d.nll[k] = x
							m, _, _ := step()
							return m
						}, was)
						forward := func(h float64) float64 { d.nll[k] = was + h; m, _, _ := step(); return (m - mean) / h }
						if kink := math.Abs(forward(1e-5) - forward(-1e-5)); kink > 1e-2*(1+math.Abs(want)) {
							want = float64(weights[k]) // a kink within reach of the difference
						}
						d.nll[k] = was
						if got := float64(weights[k]); math.Abs(got-want) > 2e-6*(1+math.Abs(mean)+math.Abs(want)) {
							t.Errorf("document %d, position %d: weight %v, differences give %v", i, k, got, want)
						}
					}
				}
			})
		})
	}
}

func TestMetricsTellTiesFromErrors(t *testing.T) {
	o := all["sigmoid"]
	var m Metrics
	if got := m.Values(); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for _, ratio := range []float64{3, -1, 0, 0} {
		p := Pair{Side{LogP: -10 + ratio, RefLogP: -10, Tokens: 5}, Side{LogP: -8, RefLogP: -8, Tokens: 4}}
		m.AddPair(p, o.Loss(p))
	}
	got := m.Values()
	want := map[string]float64{
		"rewards/accuracies": 0.25, "rewards/ties": 0.5, "rewards/chosen": 0.05, "rewards/rejected": 0, "rewards/margins": 0.05,
		"logps/chosen": -9.5, "logps/rejected": -8, "nll_loss": 1.9,
		"loss": (math.Log1p(math.Exp(-0.3)) + math.Log1p(math.Exp(0.1)) + 2*math.Ln2) / 4,
	}
	for name := range want {
		if math.Abs(got[name]-want[name]) > 1e-14 {
			t.Errorf("%s is %v, want %v", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", slices.Sorted(maps.Keys(got)))
	}
	var kto Metrics
	kto.AddAnswer(Side{LogP: -4, RefLogP: -6, Tokens: 2}, true, with(nil, "kto").KTO(Side{LogP: -4, RefLogP: -6, Tokens: 2}, true, 0))
	if got := fmt.Sprint(slices.Sorted(maps.Keys(kto.Values()))); got != "[logps/chosen loss nll_loss rewards/chosen]" {
		t.Errorf("one desirable answer has %s", got)
	}
}
