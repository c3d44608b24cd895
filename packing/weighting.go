package packing

import (
	"cmp"
	"math"
)

// weighting is what the loss of a step is averaged over. The loss is the sum over the
// step's packs of target * cross-entropy, divided by the sum of their divisors.
type weighting struct {
	name string
	// target is the weight of each target token of a document with factor f and n
	// target tokens, in pack p.
	target func(o Options, p packSums, f, n float64) float64
	// divisor is what a pack adds to the divisor of the step.
	divisor func(p packSums) float64

	told      bool // beside the config's own, where shares of the loss are told
	byMessage bool // what is said of documents holds for each answer in them
	smoothed  bool // the divisor is a mean over the steps so far: [Options.Divisors]
	byLoss    bool // the weights are multiplied once the losses are known: [Options.Weigh]
	byPower   bool // the divisor is of powers of target tokens, which cost more than all else here
}

// packSums are those of a pack: of f N over its documents (N target tokens, factor f), of
// f over its documents with targets, their number, and of f N^(1-power).
type packSums struct{ tokens, factors, documents, powers float64 }

// longWriterSequences is the constant by which LongWriter's collator divides
// the number of sequences in a pack (train/main.py: weights.sum()/30): about
// the mean number of sequences in its packs of 32,768 tokens.
const longWriterSequences = 30

// ByToken weighs every target token of a step the same.
const ByToken = "token"

// weightings are the values of [Options].Weighting, with what they make of documents'
// summed cross-entropies l.
var weightings = []weighting{
	// sum f l / sum f N over the step: LongWriter's paper, section 3.2.
	{name: ByToken, target: same, divisor: tokens, told: true},
	// sum f l/N / sum f over the step: LongAlign (arXiv:2401.18058), eq. 2.
	{name: "sequence", target: mean, divisor: factors, told: true},
	// The mean over the step's packs of n/c (sum f l / sum f N), n a pack's documents with
	// targets, c = 30: LongWriter's released code.
	{name: "longwriter", target: func(o Options, p packSums, f, _ float64) float64 {
		return p.documents / cmp.Or(o.LongWriterSequences, longWriterSequences) * (f / p.tokens)
	}, divisor: one, told: true},
	// The mean over the step's packs of (sum f l / sum f N): LongAlign, eq. 3.
	{name: "pack", target: func(_ Options, p packSums, f, _ float64) float64 { return f / p.tokens }, divisor: one, told: true},
	// The mean over the step's K packs of (sum f l / T), where T = sum f N / K is their mean
	// of target tokens: HBP (arXiv:2503.07680), section 3.3. Each device divides by
	// what all have, so over the step it is token's.
	{name: "ave_token", target: same, divisor: tokens},
	// sum f l / (S/Z), where S = 0.9 S + sum f N and Z = 0.9 Z + 1 over the steps so far:
	// ms-swift's long-ce.
	{name: "long_ce", target: same, divisor: tokens, smoothed: true},
	// sum f l/N / sum f over the step, l and N those of an answer in a conversation instead of
	// all of it.
	{name: "message", target: mean, divisor: factors, byMessage: true},
	// sum f l N^-p / sum f N^(1-p) over the step: between token (p = 0) and sequence (p = 1).
	{name: "length", target: func(o Options, _ packSums, f, n float64) float64 {
		return f * math.Pow(n, -o.LengthPower)
	}, divisor: func(p packSums) float64 { return p.powers }, byPower: true},
	// sum f e^-c c over the tokens' cross-entropies c / sum f N over the step; e^-c, the
	// probability of the token, is a constant to the gradient: DFT (arXiv:2508.05629), eq. 9.
	{name: "dft", target: same, divisor: tokens, byLoss: true},
}

func same(_ Options, _ packSums, f, _ float64) float64 { return f }
func mean(_ Options, _ packSums, f, n float64) float64 { return f / n }
func tokens(p packSums) float64                        { return p.tokens }
func factors(p packSums) float64                       { return p.factors }
func one(packSums) float64                             { return 1 }

// Weightings are the names of the weightings.
func Weightings() []string { return names(weightings, func(w weighting) string { return w.name }) }

// Told are the weightings that shares of the loss are told of, beside the config's own: those
// that people take for one another.
func Told(own string) (out []string) {
	for _, w := range weightings {
		if w.told || w.name == own {
			out = append(out, w.name)
		}
	}
	return out
}

func weightingOf(name string) (weighting, error) {
	return find(weightings, "weighting", name, func(w weighting) string { return w.name })
}

// unit is what a weighting weighs: a document, or an answer in it, and how often it is there.
type unit struct{ targets, factor, times float64 }

// weigh returns, for the units of one pack, the weight of each unit's target tokens and what
// the pack adds to the divisor of the step: nothing where none carries loss.
func (w weighting) weigh(o Options, units []unit) (weights []float64, divisor float64) {
	var p packSums
	for _, u := range units {
		p.tokens += u.times * u.factor * u.targets
		if u.targets > 0 {
			p.factors += u.times * u.factor
			p.documents += u.times
		}
		if w.byPower && u.targets > 0 {
			p.powers += u.times * u.factor * math.Pow(u.targets, 1-o.LengthPower)
		}
	}
	weights = make([]float64, len(units))
	if p.tokens == 0 {
		return weights, 0
	}
	for i, u := range units {
		if u.targets > 0 {
			weights[i] = w.target(o, p, u.factor, u.targets)
		}
	}
	return weights, w.divisor(p)
}

// decay is by how much a step counts less in the next one's divisor.
const decay = 0.9

// Divisors returns what turns the divisors of the packs of a step, added up, into the divisor
// of the step's loss. It is to be called for one step after the other, from a run's first.
func (o Options) Divisors() func(sum float64) float64 {
	if !o.Smoothed() {
		return func(sum float64) float64 { return sum }
	}
	var sums, steps float64
	return func(sum float64) float64 {
		sums, steps = decay*sums+sum, decay*steps+1
		return sums / steps
	}
}

// Smoothed reports whether the divisor of a step depends on the steps before it.
func (o Options) Smoothed() bool {
	w, _ := weightingOf(o.Weighting)
	return w.smoothed
}

// Weigh is what sets the weights of a pack once the losses of its positions are known; nil
// where they do not depend on them.
func (o Options) Weigh() func(pack int, nll []float64, weights []float32) {
	if w, _ := weightingOf(o.Weighting); !w.byLoss {
		return nil
	}
	return func(_ int, nll []float64, weights []float32) {
		for t, c := range nll {
			weights[t] *= float32(math.Exp(-c))
		}
	}
}
