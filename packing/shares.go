package packing

// Carrier is what shares of the loss need to know of a document: its target tokens, the
// factor of its source, and how many answers with targets are in it.
type Carrier struct {
	Targets int
	Factor  float64
	Answers int
}

// units is how many things a weighting weighs of the document: of its answers only their number counts.
func (c Carrier) units(byMessage bool) int {
	if byMessage && c.Targets > 0 {
		return max(c.Answers, 1)
	}
	return 1
}

// NeedsAnswers reports whether [Options.Shares] looks at the number of answers.
func (o Options) NeedsAnswers() bool {
	w, _ := weightingOf(o.Weighting)
	return w.byMessage
}

// Shares returns how much of an epoch's loss each document carries, if all
// target tokens had the same cross-entropy: the document's part of its step's
// loss, as a mean over the steps. packs are the documents of each pack in the
// order of training, of n in all, perStep the packs of an optimiser step. The shares add up to 1:
// where steps do not weigh the same, as with weighting longwriter, they are divided by
// their sum.
func (o Options) Shares(packs [][]int32, perStep, n int, carrier func(document int32) Carrier) ([]float64, error) {
	w, err := weightingOf(o.Weighting)
	if err != nil {
		return nil, err
	}
	shares := make([]float64, n)
	next := o.Divisors()
	var sum float64
	var units []unit
	var of []int // the place in the pack of each unit's document
	for first := 0; first < len(packs); first += perStep {
		step := packs[first:min(first+perStep, len(packs))]
		carried := make([][]float64, len(step))
		var divisor float64
		for k, in := range step {
			units, of = units[:0], of[:0]
			for i, d := range in {
				c := carrier(d)
				n := c.units(w.byMessage)
				for range n {
					units, of = append(units, unit{float64(c.Targets) / float64(n), c.Factor}), append(of, i)
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
