package packing

import "slices"

// Carrier is what shares of the loss need to know of a document: its target tokens, the
// factor of its source, and how many answers with targets are in it.
type Carrier struct {
	Targets int
	Factor  float64
	Answers int
}

// unit is what a weighting weighs of so many documents: of their answers only the number counts.
func (c Carrier) unit(byMessage bool, documents int32) unit {
	each := 1.
	if byMessage && c.Targets > 0 {
		each = float64(max(c.Answers, 1))
	}
	return unit{float64(c.Targets) / each, c.Factor, each * float64(documents)}
}

// NeedsAnswers reports whether [Options.Shares] looks at the number of answers.
func NeedsAnswers(weighting string) bool {
	w, _ := weightingOf(weighting)
	return w.byMessage
}

// Group is documents of a pack that have the same carrier.
type Group struct{ Carrier, Documents int32 }

// Count counts the documents of each pack by their carriers, of which there are so many: of short documents there
// are few in a pack of thousands. of says which each has.
func Count(packs [][]int32, of []int32, carriers int) [][]Group {
	out := make([][]Group, len(packs))
	place := make([]int32, carriers) // in the pack's list, from 1
	for i, pack := range packs {
		for _, d := range pack {
			c := of[d]
			if place[c] == 0 {
				out[i] = append(out[i], Group{Carrier: c})
				place[c] = int32(len(out[i]))
			}
			out[i][place[c]-1].Documents++
		}
		for _, g := range out[i] {
			place[g.Carrier] = 0
		}
	}
	return out
}

// Shares returns how much of an epoch's loss the documents of each carrier carry, if all
// target tokens had the same cross-entropy: the documents' part of their step's
// loss, as a mean over the steps. packs are what [Count] counted in each pack, in the
// order of training, perStep the packs of an optimiser step. The shares add up to 1:
// where steps do not weigh the same, as with weighting longwriter, they are divided by
// their sum.
func (o Options) Shares(packs [][]Group, perStep int, carriers []Carrier) ([]float64, error) {
	w, err := weightingOf(o.Weighting)
	if err != nil {
		return nil, err
	}
	shares := make([]float64, len(carriers))
	next := o.Divisors()
	var sum float64
	var units []unit
	var carried []float64
	for step := range slices.Chunk(packs, perStep) {
		carried = carried[:0]
		var divisor float64
		for _, pack := range step {
			units = units[:0]
			for _, g := range pack {
				units = append(units, carriers[g.Carrier].unit(w.byMessage, g.Documents))
			}
			weights, part := w.weigh(o, units)
			for i, u := range units {
				carried = append(carried, weights[i]*u.targets*u.times)
			}
			divisor += part
		}
		divisor = next(divisor)
		if divisor == 0 {
			continue
		}
		for i, g := range slices.Concat(step...) {
			shares[g.Carrier] += carried[i] / divisor
			sum += carried[i] / divisor
		}
	}
	if sum > 0 {
		for i := range shares {
			shares[i] /= sum
		}
	}
	return shares, nil
}
