package data

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/rng"
)

// choose makes the samples of the sources' records: it drops copies, draws what
// each source gives, holds some out, cuts what is too long, and mixes the rest.
func (s *Set) choose(opts Options, run Run) error {
	s.trained, s.held = limit{opts.MaxLength, maxLength}, opts.longestHeldOut(run.Positions)
	all := make([][]item, len(s.stores))
	for i := range s.stores {
		var err error
		if all[i], err = s.items(i, run); err != nil {
			return err
		}
	}
	s.dropCopies(all, opts)
	taken, longer := make([][]item, len(s.stores)), make([][]item, len(s.stores)) // in the order of the source
	for i := range s.from {
		var usable []item
		var err error
		usable, longer[i] = s.usable(i, all[i], opts)
		if taken[i], err = s.amount(i, usable, opts, run.Seed); err != nil {
			return err
		}
		longer[i] = s.share(i, longer[i], float64(len(taken[i]))/float64(max(len(usable), 1)), run.Seed)
	}
	if err := s.samplesApart(taken, len(opts.Sources)); err != nil {
		return err
	}
	for i := range taken {
		taken[i] = append(slices.Clip(taken[i]), longer[i]...)
		if len(longer[i]) > 0 {
			slices.SortFunc(taken[i], func(a, b item) int { return cmp.Compare(a.first, b.first) })
		}
	}
	held, err := holdOut(opts.HeldOut, taken[:len(opts.Sources)], run.Seed)
	if err != nil {
		return err
	}
	samples := make([][]stretch, len(opts.Sources)) // of each item that is trained on
	all, longer = nil, nil
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
			if !opts.takesLonger(it) && !s.fits(i, it, out) { // it could only have been held out
				s.leaveOut(i, it)
				continue
			}
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
		most := s.held
		if most.key == "" || s.labelled {
			most = s.trained
		}
		return fault.Usage(fault.Hint(errors.New("data.held_out leaves no sample: all are too long or without an answer"),
			most.raising()+", hold out more, or none (0)"))
	}
	return s.mix(opts, samples, run.Seed)
}

// takesLonger reports whether an item is used that is too long: cut, or refused as an error. A pair is whole or not there.
func (o Options) takesLonger(it item) bool {
	return o.TooLong == "error" || o.TooLong != "skip" && it.rejected < 0
}

// limit is how long a conversation of a source may be: labelled answers are held out as they are trained on.
func (s *Set) limit(source, conversation int, heldOut bool) limit {
	kind := s.stores[source].Entries.At(conversation).Kind
	labelled := kind == record.Liked || kind == record.Disliked
	if !heldOut || labelled && s.alone && s.from[source].Side != "chosen" {
		return s.trained
	}
	return s.held
}

// fits reports whether all of an item is within its limit.
func (s *Set) fits(source int, it item, heldOut bool) bool {
	most := int32(s.limit(source, int(it.first), heldOut).tokens)
	for _, k := range it.conversations() {
		if s.stores[source].Entries.At(k).Tokens > most {
			return false
		}
	}
	return true
}

// leaveOut counts an item that is dropped for its length.
func (s *Set) leaveOut(source int, it item) {
	stats := &s.sources[source]
	stats.drop("too_long", 1)
	for _, k := range it.conversations() {
		n := int64(s.stores[source].Entries.At(k).Tokens)
		stats.LostTokens += n
		stats.whole.add(n)
	}
}

// usable lists the items of a source that samples are drawn from, and those that are too long to
// be trained on and may be drawn with them to be held out. It counts the others: those without a target, those that are skipped
// for their length, and all of a source that carries no loss.
func (s *Set) usable(source int, items []item, opts Options) (usable, longer []item) {
	stats, entries := &s.sources[source], s.stores[source].Entries
	trained := source < len(opts.Sources)
	shared := trained && s.from[source].LossFactor > 0 && (opts.HeldOut.Count > 0 || opts.HeldOut.Fraction > 0)
	usable = items[:0] // nobody asks for the others again
	for _, it := range items {
		targets := true
		for _, k := range it.conversations() {
			targets = targets && entries.At(k).Targets > 0
		}
		fits := opts.takesLonger(it) || s.fits(source, it, !trained)
		switch {
		case !targets:
			stats.drop("no_target", 1)
		case !fits && !(shared && s.fits(source, it, true)):
			s.leaveOut(source, it)
		case trained && s.from[source].LossFactor == 0:
			stats.drop("loss_factor_0", 1)
		case fits:
			usable = append(usable, it)
		default:
			longer = append(longer, it)
		}
	}
	if len(usable) > 0 {
		return usable, longer
	}
	for _, it := range longer { // nothing like them is trained on
		s.leaveOut(source, it)
	}
	return nil, nil
}

// share draws that part of the items that are too long to be trained on: as much as is taken of the others.
func (s *Set) share(source int, longer []item, part float64, seed uint64) []item {
	n := int(math.Round(part * float64(len(longer))))
	if n == len(longer) {
		return longer
	}
	out := make([]item, 0, n)
	at := draw(seed, "longer/"+s.from[source].Name, len(longer), n)
	for k, it := range longer {
		if _, drawn := slices.BinarySearch(at, k); drawn {
			out = append(out, it)
		} else {
			s.leaveOut(source, it)
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
	s.sources[source].Undrawn = len(items) - n
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
	most := s.limit(source, int(it.first), heldOut)
	limit := int32(most.tokens)
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
			what, hint := "a sample", "raise data.max_length and packing.capacity"
			if most.key != s.trained.key {
				what, hint = "a held-out sample", most.raising()
			}
			err := fmt.Errorf("%s: %s of %d tokens, want at most %d (%s)", at, what, e.Tokens, limit, most.key)
			return fault.Usage(fault.Hint(err, hint+", or say what is done with such samples: data.too_long: skip, truncate or split"))
		default:
			target, err := s.stores[source].Targets(k)
			if err != nil {
				return err
			}
			made = whole[0].cut(target, limit, opts.TooLong == "split")
			if !stats.shorten(e, target, made, heldOut) {
				continue
			}
		}
		for _, p := range made {
			s.pieces.add(p)
		}
		stats.take(e, made, heldOut, s.trained.tokens)
	}
	if it.rejected >= 0 {
		stats.Pairs++
	}
	return nil
}
