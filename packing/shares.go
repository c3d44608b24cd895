package packing

// Carrier is what shares of the loss need to know of a document: its target tokens, the
// factor of its source, and how many answers with targets are in it.
type Carrier struct {
	Targets int
	Factor  float64
	Answers int
}

// units are what a weighting weighs of the document: of its answers only their number counts.
func (c Carrier) units(byMessage bool) []unit {
	n := 1
	if byMessage && c.Targets > 0 {
		n = max(c.Answers, 1)
	}
	out := make([]unit, n)
	for i := range out {
		out[i] = unit{float64(c.Targets) / float64(n), c.Factor}
	}
	return out
}

// NeedsAnswers reports whether [Options.Shares] looks at the number of answers.
func (o Options) NeedsAnswers() bool {
	w, _ := weightingOf(o.Weighting)
	return w.byMessage
}

// Shares returns how much of an epoch's loss each document carries, if all
// target tokens had the same cross-entropy: the document's part of its step's
// loss, as a mean over the steps. packs are the documents of each pack in the
// order of training, perStep the packs of an optimiser step. The shares add up to 1: where
// steps do not weigh the same, as with weighting longwriter, they are divided by
// their sum.
func (o Options) Shares(packs [][]int, perStep int, docs []Carrier) ([]float64, error) {
	w, err := weightingOf(o.Weighting)
	if err != nil {
		return nil, err
	}
	shares := make([]float64, len(docs))
	next := o.Divisors()
	var sum float64
	for first := 0; first < len(packs); first += perStep {
		step := packs[first:min(first+perStep, len(packs))]
		carried := make([][]float64, len(step))
		var divisor float64
		for k, in := range step {
			var units []unit
			var of []int // the place in the pack of each unit's document
			for i, d := range in {
				each := docs[d].units(w.byMessage)
				units = append(units, each...)
				for range each {
					of = append(of, i)
				}
			}
			weights, part := w.weigh(o, units)
			carried[k], divisor = make([]float64, len(in)), divisor+part
			for i, u := range units {
				carried[k][of[i]] += weights[i] * u.targets
			}
		}
		divisor = next(divisor)
		if divisor == 0 {
			continue
		}
		for k, in := range step {
			for i, d := range in {
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
