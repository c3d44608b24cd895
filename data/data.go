// Package data turns files of conversations into tokenised samples: it reads
// and checks records, renders and tokenises them through a chat template, keeps
// the result in Arrow files keyed by all that it depends on, draws what is held
// out, and counts what is in it.
//
// Call [Build] first; everything else is a method of the [Store] it returns. A
// store is a function of its sources' content, the tokenizer, the template, the
// options and the seed: the same inputs give the same samples in the same
// order. Nothing is lost unseen: every record that is dropped or cut is counted
// with its reason.
//
// The package knows nothing of packs or models, and nothing of how a template
// marks its targets.
package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/fault"
	"lwtrain/internal/rng"
	"lwtrain/tokenizer"
)

// Sample is one tokenised sample: a conversation, or with too_long: split a
// piece of one.
type Sample struct {
	IDs    []int32
	Target [][2]int32 // half-open ranges of target tokens
	Source int        // index into [Store.Sources]
	File   string     // path of the source
	Line   int        // of the record in it
	Turns  int        // messages of the assistant in the conversation
	Words  int        // in them, by [Words]
}

// Run says how [Build] works; none of it changes what comes out, but Seed.
type Run struct {
	Seed uint64
	// Pairs reads the sources' records as pairs of a chosen and a rejected answer:
	// each is two samples of the store, see [Store.Pairs].
	Pairs bool
	// DryRun writes nothing: sources that are not in the cache are tokenised for
	// lengths and statistics alone, and Sample fails for them.
	DryRun bool
	// Progress, which may be nil, is told the bytes of the sources read while
	// they are tokenised; those that are in the cache count as read.
	Progress func(done, total int64)
}

// Store is the samples of a run. It is safe for concurrent use.
type Store struct {
	sources []SourceStats
	parts   []*part
	rows    []row
	train   []int
	heldOut []int
	paired  bool
}

// row is a sample: a stretch of a record.
type row struct {
	source   int32
	record   int32
	from, to int32 // tokens
	targets  int32
}

// Build tokenises the sources, or finds them tokenised in opts.CacheDir, draws
// the samples of each source and what is held out by the seed, and cuts or
// drops what is longer than opts.MaxLength as opts.TooLong says. The held-out
// samples are drawn from the conversations, so no piece of one is trained on.
func Build(ctx context.Context, opts Options, chat *tokenizer.Chat, run Run) (*Store, error) {
	s := &Store{paired: run.Pairs}
	if run.Pairs {
		if err := opts.refuseCutting(); err != nil {
			return nil, err
		}
	}
	sources := slices.Concat(opts.Sources, opts.HeldOut.Sources)
	if err := s.load(ctx, sources, cache{opts.CacheDir, chat, run.Pairs, run.DryRun, opts.OnBadRecord == "error"}, run.Progress); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.choose(opts, run.Seed); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// load gets the tokenised form of each source.
func (s *Store) load(ctx context.Context, sources []Source, from cache, progress func(done, total int64)) error {
	sizes := make([]int64, len(sources))
	var total, before int64
	for i, src := range sources {
		f, size, err := src.open() // all of them first: a missing file is known at once
		if err != nil {
			return err
		}
		f.Close()
		sizes[i], total = size, total+size
	}
	for i, src := range sources {
		told := func(done int64) {
			if progress != nil {
				progress(before+done, total)
			}
		}
		p, err := from.get(ctx, src, told)
		if err != nil {
			return err
		}
		s.parts = append(s.parts, p)
		before += sizes[i]
		stats := SourceStats{Name: src.Name, Path: src.Path, LossFactor: src.LossFactor, Cache: p.dir, Tokenised: p.reason, Dropped: map[string]int{}}
		for _, d := range p.dropped {
			stats.drop(d.Reason, d.Count)
		}
		s.sources = append(s.sources, stats)
	}
	return nil
}

// choose draws the samples of each source, holds some out, and cuts what is
// too long.
func (s *Store) choose(opts Options, seed uint64) error {
	taken := make([][]int, len(s.parts)) // records of each source, in its order
	for i, p := range s.parts {
		src := slices.Concat(opts.Sources, opts.HeldOut.Sources)[i]
		usable := s.usable
		if s.paired {
			usable = s.usablePairs
		}
		all := usable(i, p.entries, opts, src.LossFactor == 0 && i < len(opts.Sources))
		if src.Samples > len(all) {
			return fault.Usage(fault.Hint(fmt.Errorf("source %s has %d samples that can be used, want %d (samples)", src.Name, len(all), src.Samples),
				"set samples to 0 to take all there are"))
		}
		if src.Samples > 0 {
			all = draw(seed, "samples/"+src.Name, all, src.Samples)
		}
		taken[i] = all
	}
	held, err := holdOut(opts.HeldOut, taken[:len(opts.Sources)], seed)
	if err != nil {
		return err
	}
	for i, records := range taken {
		for _, record := range records {
			_, drawn := slices.BinarySearch(held[i], record)
			out := drawn || i >= len(opts.Sources)
			for k := range s.sides() {
				if err := s.add(i, record+k, out, opts); err != nil {
					return err
				}
			}
		}
	}
	if !opts.HeldOut.IsZero() && len(s.heldOut) == 0 {
		return fault.Usage(fault.Hint(errors.New("data.held_out leaves no sample: all are too long or without an answer"),
			"raise data.max_length, hold out more, or none (0)"))
	}
	return nil
}

// sides is how many entries a record has: a pair has its two sides.
func (s *Store) sides() int {
	if s.paired {
		return 2
	}
	return 1
}

// usable lists the records of a source that samples and held-out ones are drawn
// from, and counts the others: those without a target, those that are skipped for
// their length, and all of a source that carries no loss.
func (s *Store) usable(source int, entries []entry, opts Options, noLoss bool) []int {
	stats := &s.sources[source]
	var out []int
	for k, e := range entries {
		switch {
		case e.Targets == 0:
			stats.lose("no_target", e.Tokens)
		case opts.TooLong == "skip" && e.Tokens > int32(opts.MaxLength):
			stats.lose("too_long", e.Tokens)
			stats.whole.add(int64(e.Tokens))
		case noLoss:
			stats.drop("loss_factor_0", 1)
		default:
			out = append(out, k)
		}
	}
	return out
}

// draw takes n of the items at random, in their order.
func draw(seed uint64, stream string, items []int, n int) []int {
	out := make([]int, n)
	for i, k := range rng.Perm(rng.New(seed, stream), len(items))[:n] {
		out[i] = items[k]
	}
	slices.Sort(out)
	return out
}

// holdOut draws the held-out records of each source, in proportion to the
// sources' sizes (largest remainders first).
func holdOut(h HeldOut, taken [][]int, seed uint64) ([][]int, error) {
	held := make([][]int, len(taken)+len(h.Sources))
	total := 0
	for _, records := range taken {
		total += len(records)
	}
	n := h.Count
	if h.Fraction > 0 {
		n = max(1, int(math.Round(h.Fraction*float64(total))))
	}
	if n == 0 {
		return held, nil
	}
	if n >= total {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("data.held_out takes %d of %d samples, want fewer, so that some are left to train on", n, total),
			"data.held_out: 0 holds nothing out"))
	}
	quota := make([]int, len(taken))
	order := make([]int, len(taken))
	left := n
	for i, records := range taken {
		order[i] = i
		quota[i] = n * len(records) / total
		left -= quota[i]
	}
	rest := func(i int) int { return n * len(taken[i]) % total }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest(b), rest(a)) })
	for _, i := range order[:left] {
		quota[i]++
	}
	for i, records := range taken {
		held[i] = draw(seed, fmt.Sprint("held_out/", i), records, quota[i])
	}
	return held, nil
}

// add puts a record's samples into the store.
func (s *Store) add(source, record int, heldOut bool, opts Options) error {
	e := s.parts[source].entries[record]
	stats := &s.sources[source]
	limit := int32(opts.MaxLength)
	stats.whole.add(int64(e.Tokens))
	var rows []row
	switch whole := (row{int32(source), int32(record), 0, e.Tokens, e.Targets}); {
	case e.Tokens <= limit:
		rows = []row{whole}
	case opts.TooLong == "error":
		return fault.Usage(fault.Hint(fmt.Errorf("%s:%d: a sample of %d tokens, want at most %d (data.max_length)", stats.Path, e.Line, e.Tokens, limit),
			"raise data.max_length and packing.capacity, or say what is done with such samples: data.too_long: skip, truncate or split"))
	default:
		var err error
		if rows, err = s.cut(whole, limit, opts.TooLong == "split"); err != nil {
			return err
		}
		kept := int32(0)
		for _, r := range rows {
			kept += r.to - r.from
		}
		stats.LostTokens += int64(e.Tokens - kept)
		if len(rows) == 0 {
			stats.drop("too_long", 1)
			return nil
		}
		stats.Cut++
	}
	stats.take(e, rows, heldOut)
	for _, r := range rows {
		if heldOut {
			s.heldOut = append(s.heldOut, len(s.rows))
		} else {
			s.train = append(s.train, len(s.rows))
		}
		s.rows = append(s.rows, r)
	}
	return nil
}

// cut returns the first limit tokens of a sample, or with split all of it in
// pieces of at most limit tokens. A piece without targets is left out.
func (s *Store) cut(whole row, limit int32, split bool) ([]row, error) {
	var rows []row
	target, err := s.parts[whole.source].target(int(whole.record))
	if err != nil {
		return nil, err
	}
	for from := int32(0); from < whole.to; from += limit {
		r := row{whole.source, whole.record, from, min(from+limit, whole.to), 0}
		for _, t := range within(target, r.from, r.to) {
			r.targets += t[1] - max(t[0], 1)
		}
		if r.targets > 0 {
			rows = append(rows, r)
		}
		if !split {
			break
		}
	}
	return rows, nil
}

// within cuts ranges to [from, to) and counts them from there.
func within(ranges [][2]int32, from, to int32) [][2]int32 {
	var out [][2]int32
	for _, t := range ranges {
		if a, b := max(t[0], from), min(t[1], to); a < b {
			out = append(out, [2]int32{a - from, b - from})
		}
	}
	return out
}

// Len is the number of samples, held-out ones included.
func (s *Store) Len() int { return len(s.rows) }

// Tokens is the length of sample i.
func (s *Store) Tokens(i int) int { return int(s.rows[i].to - s.rows[i].from) }

// Targets is the number of sample i's target tokens, without a first token,
// which nothing precedes.
func (s *Store) Targets(i int) int { return int(s.rows[i].targets) }

// Words is the number of words in the answers of sample i's conversation.
func (s *Store) Words(i int) int {
	r := s.rows[i]
	return int(s.parts[r.source].entries[r.record].Words)
}

// Messages reads the conversation that sample i comes from out of its source
// file, and says which of its messages is the first that is a target. It reads the
// file up to there, so it is meant for a few samples.
func (s *Store) Messages(i int) (messages []tokenizer.Message, answer int, err error) {
	r := s.rows[i]
	src := Source{Name: s.sources[r.source].Name, Path: s.sources[r.source].Path}
	f, _, err := src.open()
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	want := s.parts[r.source].entries[r.record].Line
	for from := newRecords(src.Path, f); ; {
		l, err := from.next()
		if err != nil {
			return nil, 0, fmt.Errorf("%s: looking for line %d: %w", src.Path, want, err)
		}
		if int64(l.number) != want {
			continue
		}
		if !s.paired {
			messages, err := ParseRecord(l.text)
			return messages, slices.IndexFunc(messages, func(m tokenizer.Message) bool { return m.Role == "assistant" }), err
		}
		p, err := parsePair(l.text)
		side := p.chosen
		if r.record%2 == 1 {
			side = p.rejected
		}
		return slices.Concat(p.prompt, side), len(p.prompt), err
	}
}

// Source is the index into [Store.Sources] of sample i's source.
func (s *Store) Source(i int) int { return int(s.rows[i].source) }

// Train lists the samples to train on, in the order of the sources.
func (s *Store) Train() []int { return s.train }

// HeldOut lists the samples that are held out.
func (s *Store) HeldOut() []int { return s.heldOut }

// Origin says where sample i comes from, as file:line.
func (s *Store) Origin(i int) string {
	r := s.rows[i]
	return fmt.Sprintf("%s:%d", s.sources[r.source].Path, s.parts[r.source].entries[r.record].Line)
}

// Sample reads sample i. Its slices are its own.
func (s *Store) Sample(i int) (Sample, error) {
	r := s.rows[i]
	rec, err := s.parts[r.source].read(int(r.record))
	if err != nil {
		return Sample{}, err
	}
	return Sample{
		IDs: rec.ids[r.from:r.to], Target: within(rec.target, r.from, r.to), Source: int(r.source),
		File: s.sources[r.source].Path, Line: int(rec.line), Turns: int(rec.turns), Words: int(rec.words),
	}, nil
}

// Contents says what the samples follow from, each part by a SHA-256: every
// source's file, the tokenizer with its template, and which stretches of the
// files' records are the samples. Stores with the same contents are the same.
func (s *Store) Contents() map[string]string {
	out := map[string]string{}
	var choice []byte
	for i, p := range s.parts {
		out[fmt.Sprintf("source %d, %s", i+1, s.sources[i].Name)] = p.inputs.File
		out["tokenizer and template"] = hashOf(fmt.Appendf(nil, "%d %s", storeFormat, p.inputs.Chat))
		choice = fmt.Appendf(choice, "%g\n", s.sources[i].LossFactor)
	}
	for _, list := range [][]int{s.train, s.heldOut} {
		choice = fmt.Appendf(choice, "%d\n", len(list))
		for _, i := range list {
			r := s.rows[i]
			choice = fmt.Appendf(choice, "%d %d %d %d\n", r.source, r.record, r.from, r.to)
		}
	}
	out["choice of samples"] = hashOf(choice)
	return out
}

// Close closes the files of the store.
func (s *Store) Close() error {
	for _, p := range s.parts {
		p.close()
	}
	return nil
}
