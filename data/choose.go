package data

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/fault"
	"lwtrain/internal/rng"
)

// choose makes the samples of the sources' records: it drops copies, draws what
// each source gives, holds some out, cuts what is too long, and mixes the rest.
func (s *Set) choose(opts Options, run Run) error {
	all := make([][]item, len(s.stores))
	for i := range s.stores {
		var err error
		if all[i], err = s.items(i, run); err != nil {
			return err
		}
	}
	s.dropCopies(all, opts)
	taken := make([][]item, len(s.stores)) // in the order of the source
	for i, src := range s.from {
		usable := s.usable(i, all[i], opts, src.LossFactor == 0 && i < len(opts.Sources))
		var err error
		if taken[i], err = s.amount(i, usable, opts, run.Seed); err != nil {
			return err
		}
	}
	if err := s.samplesApart(taken, len(opts.Sources)); err != nil {
		return err
	}
	held, err := holdOut(opts.HeldOut, taken[:len(opts.Sources)], run.Seed)
	if err != nil {
		return err
	}
	samples := make([][]stretch, len(opts.Sources)) // of each item that is trained on
	all = nil
	for i, items := range taken {
		n := 0
		for _, it := range items {
			n += len(it.conversations())
		}
		s.pieces.source(n)
		if i < len(opts.Sources) {
			samples[i] = make([]stretch, 0, len(items)-len(held[i]))
		}
		for k, it := range items {
			_, drawn := slices.BinarySearch(held[i], k)
			out := drawn || i >= len(opts.Sources)
			ids := stretch{from: int32(s.pieces.len())}
			if err := s.add(i, it, out, opts); err != nil {
				return err
			}
			switch ids.to = int32(s.pieces.len()); {
			case ids.from == ids.to:
			case out:
				s.heldOut = ids.appendTo(s.heldOut)
			default:
				samples[i] = append(samples[i], ids)
			}
		}
	}
	if some := len(opts.HeldOut.Sources) > 0 || s.pieces.len() > 0; some && !opts.HeldOut.IsZero() && len(s.heldOut) == 0 {
		return fault.Usage(fault.Hint(errors.New("data.held_out leaves no sample: all are too long or without an answer"),
			"raise data.max_length, hold out more, or none (0)"))
	}
	return s.mix(opts, samples, run.Seed)
}

// usable lists the items of a source that samples and held-out ones are drawn
// from, and counts the others: those without a target, those that are skipped for
// their length, and all of a source that carries no loss.
func (s *Set) usable(source int, items []item, opts Options, noLoss bool) []item {
	stats, entries := &s.sources[source], s.stores[source].Entries
	out := items[:0] // nobody asks for the others again
	for _, it := range items {
		reason := ""
		for _, k := range it.conversations() {
			switch e := entries.At(k); {
			case reason != "":
			case e.Targets == 0:
				reason = "no_target"
			case e.Tokens <= int32(opts.MaxLength):
			case opts.TooLong == "skip":
				reason = "too_long"
			case it.rejected >= 0 && opts.TooLong != "error": // a pair is whole or not there
				reason = "too_long"
			}
		}
		if reason == "" && noLoss {
			stats.drop("loss_factor_0", 1)
			continue
		}
		if reason == "" {
			out = append(out, it)
			continue
		}
		stats.drop(reason, 1)
		if reason != "too_long" {
			continue
		}
		for _, k := range it.conversations() {
			stats.LostTokens += int64(entries.At(k).Tokens)
			stats.whole.add(int64(entries.At(k).Tokens))
		}
	}
	return out
}

// amount draws what a source gives of its items, and keeps their order.
func (s *Set) amount(source int, items []item, opts Options, seed uint64) ([]item, error) {
	src := s.from[source]
	fail := func(what string, there, want int) error {
		return fault.Usage(fault.Hint(fmt.Errorf("source %s has %d %s that can be used, want %d (%s)", src.Name, there, what, want, what),
			fmt.Sprintf("set %s to 0 to take all there are, and repeat to more than 1 to take them again", what)))
	}
	n := len(items)
	switch {
	case src.Samples > n:
		return nil, fail("samples", n, src.Samples)
	case src.Samples > 0:
		n = src.Samples
	case src.Fraction > 0:
		n = int(math.Round(src.Fraction * float64(n)))
	case src.Tokens > 0:
		order := rng.Perm(rng.New(seed, "samples/"+src.Name), len(items))
		sum := 0
		for n = 0; n < len(order); n++ {
			more := 0
			for _, k := range items[order[n]].conversations() {
				more += int(s.stores[source].Entries.At(k).Tokens)
				if opts.TooLong == "truncate" {
					more = min(more, opts.MaxLength)
				}
			}
			if sum+more > src.Tokens {
				break
			}
			sum += more
		}
		if n == len(order) && sum < src.Tokens {
			return nil, fail("tokens", sum, src.Tokens)
		}
	}
	if n == len(items) {
		return items, nil
	}
	out := make([]item, n)
	for i, k := range draw(seed, "samples/"+src.Name, len(items), n) {
		out[i] = items[k]
	}
	return out, nil
}

// holdOut draws the held-out items of each source by their places, in proportion
// to the sources' sizes (largest remainders first).
func holdOut(h HeldOut, taken [][]item, seed uint64) ([][]int, error) {
	held := make([][]int, len(taken)+len(h.Sources))
	total := 0
	for _, items := range taken {
		total += len(items)
	}
	n := h.Count
	if h.Fraction > 0 {
		n = max(1, int(math.Round(h.Fraction*float64(total))))
	}
	if n == 0 || total == 0 { // of nothing: what became of it is said elsewhere
		return held, nil
	}
	if n >= total {
		err := fmt.Errorf("data.held_out takes %d of %d samples, want fewer, so that some are left to train on", n, total)
		return nil, fault.Usage(fault.Hint(err, "data.held_out: 0 holds nothing out"))
	}
	quota := make([]int, len(taken))
	order := make([]int, len(taken))
	left := n
	for i, items := range taken {
		order[i] = i
		quota[i] = n * len(items) / total
		left -= quota[i]
	}
	rest := func(i int) int { return n * len(taken[i]) % total }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest(b), rest(a)) })
	for _, i := range order[:left] {
		quota[i]++
	}
	for i, items := range taken {
		held[i] = draw(seed, fmt.Sprint("held_out/", i), len(items), quota[i])
	}
	return held, nil
}

// add puts an item's samples into the set.
func (s *Set) add(source int, it item, heldOut bool, opts Options) error {
	limit := int32(opts.MaxLength)
	stats := &s.sources[source]
	for _, k := range it.conversations() {
		e := s.stores[source].Entries.At(k)
		stats.whole.add(int64(e.Tokens))
		whole := [1]piece{{int32(source), int32(k), 0, e.Tokens, e.Targets}}
		made := whole[:]
		switch {
		case e.Tokens <= limit:
		case opts.TooLong == "error":
			at := s.At(source, int(e.Line))
			err := fmt.Errorf("%s: a sample of %d tokens, want at most %d (data.max_length)", at, e.Tokens, limit)
			return fault.Usage(fault.Hint(err,
				"raise data.max_length and packing.capacity, "+
					"or say what is done with such samples: data.too_long: skip, truncate or split"))
		default:
			target, err := s.stores[source].Targets(k)
			if err != nil {
				return err
			}
			made = whole[0].cut(target, limit, opts.TooLong == "split")
			kept := int32(0)
			for _, p := range made {
				kept += p.to - p.from
			}
			stats.LostTokens += int64(e.Tokens - kept)
			if len(made) == 0 {
				stats.drop("too_long", 1)
				continue
			}
			stats.Cut++
			if n := len(target); n > 0 && target[n-1][1] > made[len(made)-1].to {
				stats.LostEnds++
			}
		}
		for _, p := range made {
			s.pieces.add(p)
		}
		stats.take(e, made, heldOut)
	}
	if it.rejected >= 0 {
		stats.Pairs++
	}
	return nil
}
