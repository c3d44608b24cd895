package packing

import "fmt"

// longWriterSequences is the constant by which LongWriter's collator divides
// the number of sequences in a pack (train/main.py: weights.sum()/30): about
// the mean number of sequences in its packs of 32,768 tokens.
const longWriterSequences = 30

// weigh returns, for the documents of one pack, the weight of each document's
// target tokens and what the pack adds to the divisor of the step. N is a
// document's number of targets, f its factor, n the number of the pack's
// documents with targets, and l a document's summed cross-entropy.
//
//	token       sum f l / sum f N            over the step: LongWriter's paper, section 3.2
//	sequence    sum f l/N / sum f            over the step: LongAlign (arXiv:2401.18058), eq. 2
//	pack        mean over the step's packs of (sum f l / sum f N): LongAlign, eq. 3
//	longwriter  the same, each pack times n/30: LongWriter's released code
func weigh(weighting string, targets []int, factors []float64) (weights []float64, divisor float64, err error) {
	var tokens, docs, n float64
	for i, count := range targets {
		tokens += factors[i] * float64(count)
		if count > 0 {
			docs += factors[i]
			n++
		}
	}
	per := func(i int) float64 { return factors[i] / tokens } // a share of the pack's mean
	switch weighting {
	case "token":
		divisor = tokens
		per = func(i int) float64 { return factors[i] }
	case "sequence":
		divisor = docs
		per = func(i int) float64 { return factors[i] / float64(targets[i]) }
	case "pack":
		divisor = 1
	case "longwriter":
		divisor = 1
		mean := per
		per = func(i int) float64 { return n / longWriterSequences * mean(i) }
	default:
		return nil, 0, fmt.Errorf("weighting %q, want token, sequence, longwriter or pack", weighting)
	}
	weights = make([]float64, len(targets))
	if tokens == 0 { // nothing in the pack carries loss
		return weights, 0, nil
	}
	for i, count := range targets {
		if count > 0 {
			weights[i] = per(i)
		}
	}
	return weights, divisor, nil
}

// Shares returns how much of an epoch's loss each document carries, if all
// target tokens had the same cross-entropy: the document's part of its step's
// loss, as a mean over the steps. packs are the documents of each pack in the
// order of training, perStep the packs of an optimiser step, targets and
// factors belong to the documents. The shares add up to 1, except with
// weighting longwriter, whose steps do not weigh the same: there they are
// divided by their sum.
func Shares(packs [][]int, perStep int, targets []int, factors []float64, weighting string) ([]float64, error) {
	shares := make([]float64, len(targets))
	var sum float64
	for first := 0; first < len(packs); first += perStep {
		step := packs[first:min(first+perStep, len(packs))]
		carried := make([][]float64, len(step))
		var divisor float64
		for k, docs := range step {
			n := make([]int, len(docs))
			f := make([]float64, len(docs))
			for i, d := range docs {
				n[i], f[i] = targets[d], factors[d]
			}
			weights, part, err := weigh(weighting, n, f)
			if err != nil {
				return nil, err
			}
			for i := range weights {
				weights[i] *= float64(n[i])
			}
			carried[k], divisor = weights, divisor+part
		}
		if divisor == 0 {
			continue
		}
		for k, docs := range step {
			for i, d := range docs {
				shares[d] += carried[k][i] / divisor
				sum += carried[k][i] / divisor
			}
		}
	}
	if sum > 0 {
		for i := range shares {
			shares[i] /= sum
		}
	}
	return shares, nil
}
