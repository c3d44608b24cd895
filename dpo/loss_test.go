package dpo

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// with changes the defaults.
func with(change func(*Options), lossType ...string) Options {
	o := Default()
	o.LossType = lossType
	if change != nil {
		change(&o)
	}
	return o
}

// all holds options for every pairwise loss, with what sets it apart.
var all = map[string]Options{
	"sigmoid":          with(nil, "sigmoid"),
	"cDPO":             with(func(o *Options) { o.LabelSmoothing = 0.1 }, "sigmoid"),
	"robust":           with(func(o *Options) { o.LabelSmoothing = 0.3 }, "robust"),
	"hinge":            with(nil, "hinge"),
	"ipo":              with(nil, "ipo"),
	"sigmoid_norm":     with(func(o *Options) { o.Beta, o.LabelSmoothing = 5, 0.05 }, "sigmoid_norm"),
	"rdpo":             with(func(o *Options) { o.RDPOAlpha, o.LabelSmoothing = 0.02, 0.05 }, "rdpo"),
	"dpop":             with(func(o *Options) { o.DPOPLambda = 7 }, "dpop"),
	"apo_zero":         with(nil, "apo_zero"),
	"apo_down":         with(nil, "apo_down"),
	"simpo":            with(func(o *Options) { o.Beta, o.SimPOGamma = 2.5, 1.4 }, "simpo"),
	"orpo":             with(nil, "orpo"),
	"LD-DPO":           with(func(o *Options) { o.LDAlpha = 0.4 }, "sigmoid"),
	"LD-DPO with NLL":  with(func(o *Options) { o.LDAlpha, o.SFTWeight = 0.4, 0.7 }, "sigmoid"),
	"LD-DPO with DPOP": with(func(o *Options) { o.LDAlpha = 0.4 }, "dpop"),
	"a mix":            with(func(o *Options) { o.LossWeights, o.SFTWeight = []float64{0.8, 0.3, 1.5}, 0.2 }, "sigmoid", "ipo", "simpo"),
}

func TestEveryLossIsTested(t *testing.T) {
	tested := map[string]bool{"kto": true}
	for name, o := range all {
		if bad := o.Validate(); bad != nil {
			t.Errorf("%s: %v", name, bad)
		}
		for _, l := range o.LossType {
			tested[l] = true
		}
	}
	if len(tested) != len(losses) {
		t.Errorf("tested are %v", tested)
	}
}

func drawSide(t *rapid.T, name string) Side {
	n := rapid.IntRange(1, 60).Draw(t, name+" tokens")
	each := rapid.Float64Range(-4, -0.05)
	s := Side{Tokens: n, LogP: float64(n) * each.Draw(t, name), RefLogP: float64(n) * each.Draw(t, name+" reference")}
	share := rapid.Float64Range(0, 1)
	s.Prefix, s.RefPrefix = s.LogP*share.Draw(t, name+" prefix"), s.RefLogP*share.Draw(t, name+" reference prefix")
	return s
}

func drawPair(t *rapid.T) Pair { return Pair{drawSide(t, "chosen"), drawSide(t, "rejected")} }

// The papers' formulas in the symbols of docs/dpo.md, in the plainest
// arithmetic: pw and pl are log pi(y|x), rw and rl log pi_ref(y|x), nw and nl
// lengths.
func TestLossesEqualThePapersFormulas(t *testing.T) {
	σ := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	ln, pow := math.Log, math.Pow
	const β = 0.1
	type formula func(pw, pl, rw, rl, nw, nl float64) float64
	dpo := func(pw, pl, rw, rl float64) float64 { return β*(pw-rw) - β*(pl-rl) }
	for name, c := range map[string]struct {
		o Options
		f formula
	}{
		"sigmoid": {all["sigmoid"], func(pw, pl, rw, rl, _, _ float64) float64 { return -ln(σ(dpo(pw, pl, rw, rl))) }},
		"sigmoid with smoothing is cDPO": {all["cDPO"], func(pw, pl, rw, rl, _, _ float64) float64 {
			return -0.9*ln(σ(dpo(pw, pl, rw, rl))) - 0.1*ln(σ(-dpo(pw, pl, rw, rl)))
		}},
		"robust": {all["robust"], func(pw, pl, rw, rl, _, _ float64) float64 {
			return (-0.7*ln(σ(dpo(pw, pl, rw, rl))) + 0.3*ln(σ(-dpo(pw, pl, rw, rl)))) / 0.4
		}},
		"hinge": {all["hinge"], func(pw, pl, rw, rl, _, _ float64) float64 { return math.Max(0, 1-dpo(pw, pl, rw, rl)) }},
		"ipo": {all["ipo"], func(pw, pl, rw, rl, nw, nl float64) float64 {
			return pow((pw-rw)/nw-(pl-rl)/nl-1/(2*β), 2)
		}},
		"sigmoid_norm": {with(nil, "sigmoid_norm"), func(pw, pl, rw, rl, nw, nl float64) float64 {
			return -ln(σ(β*(pw-rw)/nw - β*(pl-rl)/nl))
		}},
		"rdpo": {with(func(o *Options) { o.RDPOAlpha = 0.02 }, "rdpo"), func(pw, pl, rw, rl, nw, nl float64) float64 {
			return -ln(σ(dpo(pw, pl, rw, rl) + 0.02*nw - 0.02*nl))
		}},
		"dpop": {all["dpop"], func(pw, pl, rw, rl, _, _ float64) float64 {
			// -ln σ(u) = ln(1 + e^-u): u is far below 0 here, where σ(u) has few digits left
			return math.Log1p(math.Exp(-β * (pw - rw - (pl - rl) - 7*math.Max(0, rw-pw))))
		}},
		"apo_zero": {all["apo_zero"], func(pw, pl, rw, rl, _, _ float64) float64 { return -σ(β*(pw-rw)) + σ(β*(pl-rl)) + 1 }},
		"apo_down": {all["apo_down"], func(pw, pl, rw, rl, _, _ float64) float64 {
			return σ(β*(pw-rw)) - σ(β*(pw-rw)-β*(pl-rl)) + 1
		}},
		"simpo": {all["simpo"], func(pw, pl, _, _, nw, nl float64) float64 { return -ln(σ(2.5/nw*pw - 2.5/nl*pl - 1.4)) }},
		"orpo": {all["orpo"], func(pw, pl, _, _, nw, nl float64) float64 {
			w, l := math.Exp(pw/nw), math.Exp(pl/nl)
			return -pw/nw - β*ln(σ(ln(w/(1-w)/(l/(1-l)))))
		}},
		"sft_weight adds the mean NLL of the chosen answer": {
			with(func(o *Options) { o.SFTWeight = 0.7 }, "sigmoid"), func(pw, pl, rw, rl, nw, _ float64) float64 {
				return -ln(σ(dpo(pw, pl, rw, rl))) - 0.7*pw/nw
			},
		},
		"a mix is the weighted sum": {
			with(func(o *Options) { o.LossWeights = []float64{0.5, 3} }, "sigmoid", "hinge"), func(pw, pl, rw, rl, _, _ float64) float64 {
				return -0.5*ln(σ(dpo(pw, pl, rw, rl))) + 3*math.Max(0, 1-dpo(pw, pl, rw, rl))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := drawPair(t)
				w, l := p.Chosen, p.Rejected
				want := c.f(w.LogP, l.LogP, w.RefLogP, l.RefLogP, float64(w.Tokens), float64(l.Tokens))
				if got := c.o.Loss(p).Loss; math.Abs(got-want) > 1e-8*(1+math.Abs(want)) {
					t.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
}

// LD-DPO by its words: tokens beyond the shorter answer's length count ld_alpha.
func TestLDDPOIsDPOOfDampedLogProbabilities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPair(t)
		o := all["LD-DPO"]
		damped := func(s Side) Side {
			if s.Tokens > min(p.Chosen.Tokens, p.Rejected.Tokens) {
				s.LogP = s.Prefix + 0.4*(s.LogP-s.Prefix)
				s.RefLogP = s.RefPrefix + 0.4*(s.RefLogP-s.RefPrefix)
			}
			return s
		}
		got, want := o.Loss(p), all["sigmoid"].Loss(Pair{damped(p.Chosen), damped(p.Rejected)})
		if math.Abs(got.Loss-want.Loss) > 1e-10 || math.Abs(got.ChosenReward-want.ChosenReward) > 1e-10 {
			t.Errorf("%+v, want %+v", got, want)
		}
		for _, g := range [][2]Grad{{got.Chosen, want.Chosen}, {got.Rejected, want.Rejected}} {
			if math.Abs(g[0].LogP+g[0].Prefix-g[1].LogP) > 1e-10 {
				t.Errorf("a shared token's gradient is %v, want plain DPO's %v", g[0].LogP+g[0].Prefix, g[1].LogP)
			}
		}
	})
}

// difference is the slope of f at x by central differences.
func difference(f func(x float64) float64, x float64) float64 {
	h := 1e-5 * math.Max(1, math.Abs(x))
	return (f(x+h) - f(x-h)) / (2 * h)
}

// checkGradient compares a result's gradients with finite differences.
func checkGradient(t interface{ Errorf(string, ...any) }, o Options, p Pair) {
	r := o.Loss(p)
	for name, c := range map[string]struct {
		at  func(*Pair) *float64
		got float64
	}{
		"chosen":          {func(p *Pair) *float64 { return &p.Chosen.LogP }, r.Chosen.LogP},
		"rejected":        {func(p *Pair) *float64 { return &p.Rejected.LogP }, r.Rejected.LogP},
		"chosen prefix":   {func(p *Pair) *float64 { return &p.Chosen.Prefix }, r.Chosen.Prefix},
		"rejected prefix": {func(p *Pair) *float64 { return &p.Rejected.Prefix }, r.Rejected.Prefix},
	} {
		want := difference(func(x float64) float64 {
			q := p
			*c.at(&q) = x
			return o.Loss(q).Loss
		}, *c.at(&p))
		if math.Abs(c.got-want) > 1e-6*(1+math.Abs(r.Loss)) {
			t.Errorf("%v of %+v: the gradient of %s is %v, differences give %v", o.LossType, p, name, c.got, want)
		}
	}
}

func TestGradientsAreThoseOfFiniteDifferences(t *testing.T) {
	for name, o := range all {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := drawPair(t)
				w := o.answer(p.Chosen, p.Shared())
				l := o.answer(p.Rejected, p.Shared())
				if math.Abs(w.ratio) < 0.01 || math.Abs(o.Beta*(w.ratio-l.ratio)-1) < 0.01 {
					t.Skip("at a kink, which has a test of its own")
				}
				checkGradient(t, o, p)
			})
		})
	}
}

func TestKinksHaveTheirSidesSlopesAndTheFlatOneAtThePoint(t *testing.T) {
	pair := func(ratio float64) Pair {
		return Pair{Side{LogP: -20 + ratio, RefLogP: -20, Tokens: 9}, Side{LogP: -30, RefLogP: -30, Tokens: 12}}
	}
	// hinge: u = 1 at a log-ratio of 1/beta = 2; dpop: its penalty begins below 0
	for _, c := range []struct {
		o                      Options
		kink, below, at, above float64 // the log-ratio, and the chosen answer's gradient around it
	}{
		{o: with(func(o *Options) { o.Beta = 0.5 }, "hinge"), kink: 2, below: -0.5, at: 0, above: 0},
		{o: with(func(o *Options) { o.Beta = 0.5 }, "dpop"), kink: 0, below: -0.5 * 51 / 2, at: -0.25, above: -0.25},
	} {
		for _, s := range []struct{ ratio, want float64 }{{c.kink - 1e-3, c.below}, {c.kink, c.at}, {c.kink + 1e-3, c.above}} {
			p := pair(s.ratio)
			if got := c.o.Loss(p).Chosen.LogP; math.Abs(got-s.want) > 0.02*math.Abs(c.below) {
				t.Errorf("%v at %v: gradient %v, want %v", c.o.LossType, s.ratio, got, s.want)
			}
			if s.ratio != c.kink {
				checkGradient(t, c.o, p)
			}
		}
	}
}

func TestKTOsLossAndGradientEqualThePapersFormulas(t *testing.T) {
	o := with(func(o *Options) { o.DesirableWeight, o.UndesirableWeight, o.SFTWeight = 1.3, 0.7, 0.2 }, "kto")
	if bad := o.Validate(); bad != nil {
		t.Fatal(bad)
	}
	rapid.Check(t, func(t *rapid.T) {
		s, kl := drawSide(t, "answer"), rapid.Float64Range(0, 20).Draw(t, "kl")
		r := s.LogP - s.RefLogP
		σ := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		for desirable, want := range map[bool]float64{
			true:  1.3*(1-σ(0.1*(r-kl))) - 0.2*s.LogP/float64(s.Tokens),
			false: 0.7 * (1 - σ(0.1*(kl-r))),
		} {
			got := o.KTO(s, desirable, kl)
			if math.Abs(got.Loss-want) > 1e-12 {
				t.Errorf("desirable %v: loss %v, want %v", desirable, got.Loss, want)
			}
			slope := difference(func(x float64) float64 {
				q := s
				q.LogP = x
				return o.KTO(q, desirable, kl).Loss
			}, s.LogP)
			grad, other := got.Chosen, got.Rejected
			if !desirable {
				grad, other = other, grad
			}
			if math.Abs(grad.LogP-slope) > 1e-7 || grad.Prefix != 0 || other != (Grad{}) {
				t.Errorf("desirable %v: gradients %+v and %+v, differences give %v", desirable, grad, other, slope)
			}
		}
	})
	if kl := KL([]Side{{LogP: -3, RefLogP: -5}, {LogP: -3, RefLogP: -4}}); kl != 1.5 {
		t.Errorf("KL %v, want the mean log-ratio 1.5", kl)
	}
	if kl := KL([]Side{{LogP: -5, RefLogP: -3}}); kl != 0 {
		t.Errorf("KL %v, want 0: it is never below", kl)
	}
}

func TestAtTheReferenceTheLossIsLn2AndTheMarginZero(t *testing.T) {
	s := Side{LogP: -12345.678, RefLogP: -12345.678, Tokens: 9000}
	p := Pair{s, Side{LogP: -3.21, RefLogP: -3.21, Tokens: 4}}
	for _, name := range []string{"sigmoid", "cDPO", "dpop"} {
		r := all[name].Loss(p)
		if math.Abs(r.Loss-math.Ln2) > 1e-15 || name != "cDPO" && r.Loss != math.Ln2 { // cDPO adds two parts up
			t.Errorf("%s: loss %v, want ln 2", name, r.Loss)
		}
		if r.ChosenReward != 0 || r.RejectedReward != 0 {
			t.Errorf("%s: rewards %v and %v, want 0", name, r.ChosenReward, r.RejectedReward)
		}
	}
}

// Robust DPO's loss is unbiased: with labels swapped at the rate it assumes,
// its mean is the loss of the true labels (Chowdhury et al. 2024,
// arXiv:2403.00409).
func TestRobustIsUnbiasedUnderSwappedLabels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPair(t)
		robust, clean := all["robust"].Loss(p), all["sigmoid"].Loss(p)
		swapped := all["robust"].Loss(Pair{p.Rejected, p.Chosen})
		if got := 0.7*robust.Loss + 0.3*swapped.Loss; math.Abs(got-clean.Loss) > 1e-10*(1+clean.Loss) {
			t.Errorf("loss %v, want %v", got, clean.Loss)
		}
		if got := 0.7*robust.Chosen.LogP + 0.3*swapped.Rejected.LogP; math.Abs(got-clean.Chosen.LogP) > 1e-12 {
			t.Errorf("gradient %v, want %v", got, clean.Chosen.LogP)
		}
	})
}

func TestNothingOverflows(t *testing.T) {
	for name, o := range all {
		for _, w := range []float64{-1e6, -1e5, -1e-3, -1e-9, 0} {
			for _, l := range []float64{-1e6, -1e5, -1e-3, -1e-9, 0} {
				for _, ref := range []float64{w, l, -5e4} {
					p := Pair{
						Chosen:   Side{LogP: w, RefLogP: ref, Tokens: 10},
						Rejected: Side{LogP: l, RefLogP: ref, Tokens: 30, Prefix: l / 3, RefPrefix: ref / 3},
					}
					r := o.Loss(p)
					for _, x := range []float64{r.Loss, r.Chosen.LogP, r.Chosen.Prefix, r.Rejected.LogP, r.Rejected.Prefix} {
						if math.IsNaN(x) || math.IsInf(x, 0) {
							t.Fatalf("%s of %+v: %+v", name, p, r)
						}
					}
				}
			}
		}
	}
	// |u| = 1e4: linear on one side, nothing left on the other
	if loss, d := logistic(-1e4, 0); loss != 1e4 || d != -1 {
		t.Errorf("logistic(-1e4) = %v, %v", loss, d)
	}
	if loss, d := logistic(1e4, 0); loss != 0 || d != 0 {
		t.Errorf("logistic(1e4) = %v, %v", loss, d)
	}
	if loss, d := logistic(40, 0); math.Abs(loss/math.Exp(-40)-1) > 1e-12 || math.Abs(d/-math.Exp(-40)-1) > 1e-12 {
		t.Errorf("logistic(40) = %v, %v, want the tail e^-40, not 0", loss, d)
	}
}

func TestWhatIsNotANumberStaysSo(t *testing.T) {
	for name, o := range all {
		p := Pair{Side{LogP: math.NaN(), RefLogP: -1, Tokens: 2}, Side{LogP: -1, RefLogP: -1, Tokens: 2}}
		if r := o.Loss(p); !math.IsNaN(r.Loss) {
			t.Errorf("%s: the loss is %v", name, r.Loss)
		}
	}
}

func TestLogOddsAreExactNearCertaintyAndFiniteAtIt(t *testing.T) {
	for _, p := range []float64{1e-300, 1e-12, 0.3, 0.5, 0.500001, 0.9, 0.999} {
		odds, d := logOdds(math.Log(p))
		if want := math.Log(p) - math.Log1p(-p); math.Abs(odds-want) > 1e-12*math.Abs(want)+1e-13 {
			t.Errorf("p %v: %v, want %v", p, odds, want)
		}
		if want := 1 / (1 - p); math.Abs(d-want) > 1e-12*want {
			t.Errorf("p %v: slope %v, want %v", p, d, want)
		}
	}
	// ln(1 - e^l) = ln(-l) + l/2 - ... for l near 0
	for _, l := range []float64{-1.234567e-6, -7.654321e-6, -3.333333e-5} {
		if odds, _ := logOdds(l); math.Abs(odds-(l-math.Log(-l)-l/2-l*l/24)) > 1e-14 {
			t.Errorf("near certainty: %v", odds)
		}
	}
	at, d := logOdds(-1e-6)
	if odds, d0 := logOdds(0); d0 != d || math.Abs(odds-(at+1e-6*d)) > 1e-9 {
		t.Errorf("at certainty: %v, %v, want the tangent of %v, %v", odds, d0, at, d)
	}
}
