package data

import (
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/fault"
	"lwtrain/internal/rng"
)

// stretch is the samples of an item, which lie one behind the other in the set.
type stretch struct{ from, to int32 }

func (x stretch) appendTo(out []int32) []int32 {
	for i := x.from; i < x.to; i++ {
		out = append(out, i)
	}
	return out
}

// mix makes the list of an epoch's samples out of those of each source: all of
// them as often as they are repeated, or drawn by the sources' probabilities. What
// is drawn is a function of the seed and the epoch; packing shuffles the list. Of
// preferences the first epoch's are drawn for all, since the reference is asked of
// each answer once, before training.
func (s *Set) mix(opts Options, samples [][]stretch, seed uint64) (err error) {
	draws := opts.Mix.Strategy == "interleave"
	for _, src := range opts.Sources {
		draws = draws || src.Repeat != math.Trunc(src.Repeat)
	}
	list := func(epoch int) ([]int32, error) {
		of := make([][]stretch, len(samples))
		for i := range samples {
			of[i] = repeated(s.from[i], samples[i], seed, epoch)
		}
		if opts.Mix.Strategy == "interleave" {
			return s.interleave(opts, of, seed, epoch)
		}
		n := 0
		for _, list := range of {
			n += len(list)
		}
		out := make([]int32, 0, n)
		for _, list := range of {
			for _, ids := range list {
				out = ids.appendTo(out)
			}
		}
		return out, nil
	}
	if s.train, err = list(0); err != nil {
		return err
	}
	if draws && !s.paired && !s.labelled {
		s.redraw = list
	}
	for _, i := range s.train {
		tokens, targets := s.pieces.size(int(i))
		e := &s.sources[s.Source(int(i))].Epoch
		e.Samples++
		e.Tokens += int64(tokens)
		e.TargetTokens += int64(targets)
	}
	return nil
}

// repeated lists samples as often as their source is repeated: whole copies one
// after the other, then as many as are left, drawn by the seed and the epoch.
func repeated(src source, list []stretch, seed uint64, epoch int) []stretch {
	if src.Repeat == 0 || src.Repeat == 1 {
		return list
	}
	whole := int(src.Repeat)
	var out []stretch
	for range whole {
		out = append(out, list...)
	}
	n := int((src.Repeat - float64(whole)) * float64(len(list)))
	for _, k := range draw(seed, "repeat/"+src.Name, len(list), n, uint64(epoch)) {
		out = append(out, list[k])
	}
	return out
}

// interleave draws one source after the other by their probabilities, and takes
// the next of its samples, which are shuffled. An epoch ends when the first
// source is exhausted, or when each has been, the others from the start again.
func (s *Set) interleave(opts Options, samples [][]stretch, seed uint64, epoch int) (out []int32, err error) {
	p, err := probabilities(opts.Sources)
	if err != nil {
		return nil, err
	}
	order := make([][]int, len(samples))
	left := 0 // sources that were not exhausted yet
	for i, list := range samples {
		if p[i] == 0 {
			continue
		}
		if len(list) == 0 {
			err := fmt.Errorf("source %s has no sample that can be trained on, but a probability of %g", s.from[i].Name, p[i])
			return nil, fault.Usage(fault.Hint(err, "leave the source out"))
		}
		order[i] = rng.Perm(rng.New(seed, "mix/"+s.from[i].Name, uint64(epoch)), len(list))
		left++
	}
	if opts.Mix.Stop == "first_exhausted" {
		left = 1
	}
	r := rng.New(seed, "mix", uint64(epoch))
	next := make([]int, len(samples))
	exhausted := make([]bool, len(samples))
	for left > 0 {
		if len(out) > mostInterleaved {
			err := fmt.Errorf("interleaving takes more than %d samples until every source is exhausted", mostInterleaved)
			return nil, fault.Usage(fault.Hint(err,
				"raise the probability of the source with the most samples for its share, or data.mix.stop: first_exhausted"))
		}
		i := pickSource(p, r.Float64())
		out = samples[i][order[i][next[i]]].appendTo(out)
		if next[i]++; next[i] == len(order[i]) {
			next[i] = 0
			if !exhausted[i] {
				exhausted[i] = true
				left--
			}
		}
	}
	return out, nil
}

// mostInterleaved bounds an epoch where the probabilities are far from the sizes.
const mostInterleaved = 1 << 28

// pickSource returns the source that a number from 0 to 1 falls on.
func pickSource(p []float64, at float64) int {
	last := 0
	for i, share := range p {
		if share == 0 {
			continue
		}
		if last = i; at < share {
			return i
		}
		at -= share
	}
	return last
}

// CheckProbabilities says what is wrong with the probabilities of interleaved sources, and
// at which of them: -1 for all. The problem is "" where nothing is.
func CheckProbabilities(sources []Source) (at int, problem string) {
	if !slices.ContainsFunc(sources, func(s Source) bool { return s.Probability > 0 }) {
		return -1, "" // equal ones
	}
	sum, drawn := 0.0, 0.0
	for i, s := range sources {
		if s.Probability == 0 {
			return i, "missing or 0, want one for each source, or for none"
		}
		if sum += s.Probability; s.LossFactor > 0 {
			drawn += s.Probability
		}
	}
	for _, sum := range []float64{sum, drawn} {
		if math.Abs(sum-1) > 0.001 {
			return -1, fmt.Sprintf("the probabilities add up to %.4g, want 1", sum)
		}
	}
	return -1, ""
}

// probabilities are those that the sources say, or equal ones where none does. A
// source that carries no loss is not drawn.
func probabilities(sources []Source) ([]float64, error) {
	if at, problem := CheckProbabilities(sources); problem != "" {
		key := "data.sources"
		if at >= 0 {
			key = "probability of source " + sources[at].Name
		}
		return nil, fault.Usage(fmt.Errorf("%s: %s", key, problem))
	}
	out := make([]float64, len(sources))
	sum := 0.0
	for i, s := range sources {
		if s.LossFactor > 0 {
			if out[i] = s.Probability; out[i] == 0 {
				out[i] = 1
			}
		}
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out, nil
}

// draw takes n of the numbers below of at random, in their order.
func draw(seed uint64, stream string, of, n int, part ...uint64) []int {
	out := rng.Perm(rng.New(seed, stream, part...), of)[:n]
	slices.Sort(out)
	return out
}
