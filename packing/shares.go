package packing

// Shares returns how much of an epoch's loss each document carries, if all
// target tokens had the same cross-entropy: the document's part of its step's
// loss, as a mean over the steps. packs are the documents of each pack in the
// order of training, perStep the packs of an optimiser step, targets and
// factors belong to the documents. The shares add up to 1, except with
// weighting longwriter, whose steps do not weigh the same: there they are
// divided by their sum.
func Shares(packs [][]int, perStep int, targets []int, factors []float64, weighting string) ([]float64, error) {
	w, err := weightingOf(weighting)
	if err != nil {
		return nil, err
	}
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
			weights, part := w.weigh(n, f)
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
