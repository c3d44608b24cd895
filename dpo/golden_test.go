package dpo

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"
)

// golden is what TRL computed: testdata/golden.py.
type golden struct {
	Name                    string
	Options                 map[string]json.RawMessage // by key, over the defaults
	Policy, Reference, Grad [][]float64                // of each answer's target tokens; all chosen ones, then all rejected
	Desirable               []bool                     // KTO: the label of each answer
	Mismatched              [][]float64
	MismatchedReference     [][]float64 `json:"mismatched_reference"`
	Loss                    float64
	Metrics                 map[string]float64
}

func (g golden) options(t *testing.T) Options {
	o := Default()
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if raw, ok := g.Options[key]; ok {
			if err := json.Unmarshal(raw, v.Field(i).Addr().Interface()); err != nil {
				t.Fatal(err)
			}
			delete(g.Options, key)
		}
	}
	if bad := o.Validate(); bad != nil || len(g.Options) > 0 {
		t.Fatal(bad, g.Options)
	}
	return o
}

// side scores an answer whose positions are all targets.
func side(policy, reference []float64, shared int) Side {
	targets := make([]int32, len(policy))
	var s Side
	s.LogP, s.Prefix, s.Tokens = LogProbs(negated(policy), targets, shared)
	s.RefLogP, s.RefPrefix, _ = LogProbs(negated(reference), targets, shared)
	return s
}

func negated(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = -v
	}
	return out
}

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(math.Abs(want), 1e-3)
}

func TestLossesGradientsAndMetricsEqualTRLs(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for i, g := range cases {
		t.Run(fmt.Sprintf("%d %s", i, g.Name), func(t *testing.T) {
			o := g.options(t)
			tolerance := 1e-12
			if g.Name == "orpo" {
				tolerance = 1e-6 // TRL's is float32
			}
			var m Metrics
			grads := make([]Grad, len(g.Policy))
			shared := make([]int, len(g.Policy))
			n := len(g.Policy) / 2 // losses that the mean is over
			if g.Desirable != nil {
				n = len(g.Policy)
				var mismatched []Side
				for i := range g.Mismatched {
					mismatched = append(mismatched, side(g.Mismatched[i], g.MismatchedReference[i], 0))
				}
				kl := KL(mismatched)
				if !near(kl, g.Metrics["kl"], tolerance) {
					t.Errorf("KL %v, want %v", kl, g.Metrics["kl"])
				}
				delete(g.Metrics, "kl")
				for i, desirable := range g.Desirable {
					s := side(g.Policy[i], g.Reference[i], 0)
					r := o.KTO(s, desirable, kl)
					m.AddAnswer(s, desirable, r)
					if grads[i] = r.Rejected; desirable {
						grads[i] = r.Chosen
					}
				}
			} else {
				for i := range n {
					k := min(len(g.Policy[i]), len(g.Policy[i+n]))
					p := Pair{side(g.Policy[i], g.Reference[i], k), side(g.Policy[i+n], g.Reference[i+n], k)}
					r := o.Loss(p)
					m.AddPair(p, r)
					grads[i], grads[i+n], shared[i], shared[i+n] = r.Chosen, r.Rejected, k, k
				}
			}
			got := m.Values()
			g.Metrics["loss"] = g.Loss
			for name, want := range g.Metrics {
				if o.LDAlpha < 1 && (name == "logps/chosen" || name == "logps/rejected") {
					continue // TRL's are damped, ours are the answers'
				}
				if !near(got[name], want, tolerance) {
					t.Errorf("%s is %v, TRL has %v", name, got[name], want)
				}
			}
			for i, want := range g.Grad {
				for k, w := range want {
					d := grads[i].LogP
					if k < shared[i] {
						d += grads[i].Prefix
					}
					if !near(d/float64(n), w, tolerance) {
						t.Errorf("answer %d, token %d: gradient %v, TRL has %v", i, k, d/float64(n), w)
					}
				}
			}
		})
	}
}
