package packing

// weighting is what the loss of a step is averaged over. The loss is the sum over the
// step's packs of target * cross-entropy, divided by the sum of their divisors.
type weighting struct {
	name string
	// target is the weight of each target token of a document with factor f and n
	// target tokens, in pack p.
	target func(p packSums, f, n float64) float64
	// divisor is what a pack adds to the divisor of the step.
	divisor func(p packSums) float64
}

// packSums are those of a pack: of f N over its documents (N target tokens, factor f),
// of f over its documents with targets, and their number.
type packSums struct{ tokens, factors, documents float64 }

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
	{ByToken, func(_ packSums, f, _ float64) float64 { return f }, func(p packSums) float64 { return p.tokens }},
	// sum f l/N / sum f over the step: LongAlign (arXiv:2401.18058), eq. 2.
	{"sequence", func(_ packSums, f, n float64) float64 { return f / n }, func(p packSums) float64 { return p.factors }},
	// The mean over the step's packs of n/30 (sum f l / sum f N), n a pack's documents
	// with targets: LongWriter's released code.
	{"longwriter", func(p packSums, f, _ float64) float64 { return p.documents / longWriterSequences * (f / p.tokens) }, one},
	// The mean over the step's packs of (sum f l / sum f N): LongAlign, eq. 3.
	{"pack", func(p packSums, f, _ float64) float64 { return f / p.tokens }, one},
}

func one(packSums) float64 { return 1 }

// Weightings are the names of the weightings.
func Weightings() []string { return names(weightings, func(w weighting) string { return w.name }) }

func weightingOf(name string) (weighting, error) {
	return find(weightings, "weighting", name, func(w weighting) string { return w.name })
}

// weigh returns, for the documents of one pack, the weight of each document's target
// tokens and what the pack adds to the divisor of the step: nothing where no document
// carries loss.
func (w weighting) weigh(targets []int, factors []float64) (weights []float64, divisor float64) {
	var p packSums
	for i, n := range targets {
		p.tokens += factors[i] * float64(n)
		if n > 0 {
			p.factors += factors[i]
			p.documents++
		}
	}
	weights = make([]float64, len(targets))
	if p.tokens == 0 {
		return weights, 0
	}
	for i, n := range targets {
		if n > 0 {
			weights[i] = w.target(p, factors[i], float64(n))
		}
	}
	return weights, w.divisor(p)
}
