// Package data turns files of conversations into tokenised samples: it reads
// and checks records, renders and tokenises them through a chat template, keeps
// the result in Arrow files keyed by all that it depends on, draws what is held
// out, and counts what is in it.
//
// Call [Build] first; everything else is a method of the [Set] it returns. A
// set is a function of its sources' content, the tokenizer, the template, the
// options and the seed: the same inputs give the same samples in the same
// order. Nothing is lost unseen: every record that is dropped or cut is counted
// with its reason.
//
// The package knows nothing of packs or models, and nothing of how a template
// marks its targets.
package data

import (
	"context"
	"fmt"
	"slices"

	"lwtrain/chat"
)

// Sample is one tokenised sample: a conversation, or with too_long: split a
// piece of one.
type Sample struct {
	IDs    []int32
	Target [][2]int32 // half-open ranges of target tokens
	Source int        // index into [Set.Sources]
	File   string     // of the source
	Line   int        // of the record in it
	Turns  int        // messages of the assistant in the conversation
	Words  int        // in them, by [prose.Words]
}

// Run says how [Build] works; none of it changes what comes out, but Seed
// and what is wanted.
type Run struct {
	Seed uint64
	// Pairs wants sources of preferences, each two samples of the set, see
	// [Set.Pairs]; labelled answers are paired by their prompts. Labels wants
	// them one by one, see [Set.Desirable]. Any takes what there is, for
	// statistics; with Labels labelled answers one by one. Without these, sources of
	// preferences are refused, but for those with side: chosen.
	Pairs, Labels, Any bool
	// DryRun writes nothing: sources that are not in the cache are tokenised for
	// lengths and statistics alone, and Sample fails for them.
	DryRun bool
	// Progress, which may be nil, is told the bytes of the sources read while
	// they are tokenised; those that are in the cache count as read.
	Progress func(done, total int64)
}

// Set is the samples of a run. It is safe for concurrent use.
type Set struct {
	from             []Source
	sources          []SourceStats
	parts            []*part
	rows             []row
	train            []int
	heldOut          []int
	paired, labelled bool                           // it is of preferences
	redraw           func(epoch int) ([]int, error) // nil: every epoch has the samples of train
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
func Build(ctx context.Context, opts Options, template *chat.Template, run Run) (*Set, error) {
	s := &Set{paired: run.Pairs && !run.Any, labelled: run.Labels && !run.Any}
	if s.paired || s.labelled {
		if err := opts.refuseCutting(); err != nil {
			return nil, err
		}
	}
	sources := slices.Concat(opts.Sources, opts.HeldOut.Sources)
	if err := s.load(ctx, sources, cache{opts.CacheDir, template, run.DryRun, opts.OnBadRecord == "error", run, opts.Dedup == "near"}, run.Progress); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.choose(opts, run); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// load gets the tokenised form of each source.
func (s *Set) load(ctx context.Context, sources []Source, from cache, progress func(done, total int64)) error {
	sizes := make([]int64, len(sources))
	var total, before int64
	s.from = sources
	for i := range sources { // all of them first: a missing file is known at once
		var err error
		if sources[i], err = sources[i].located(); err != nil {
			return err
		}
		if sizes[i], err = sources[i].size(); err != nil {
			return err
		}
		total += sizes[i]
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
		stats := SourceStats{Name: src.Name, Path: src.Path, Format: p.format, LossFactor: src.LossFactor, Cache: p.dir, Tokenised: p.reason, Dropped: map[string]int{}}
		for _, d := range slices.Concat(p.dropped, p.passed) {
			stats.drop(d.Reason, d.Count)
		}
		s.sources = append(s.sources, stats)
	}
	return nil
}

// cut returns the first limit tokens of a sample, or with split all of it in
// pieces of at most limit tokens. A piece without targets is left out.
func (s *Set) cut(whole row, limit int32, split bool) ([]row, error) {
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
func (s *Set) Len() int { return len(s.rows) }

// Tokens is the length of sample i.
func (s *Set) Tokens(i int) int { return int(s.rows[i].to - s.rows[i].from) }

// Targets is the number of sample i's target tokens, without a first token,
// which nothing precedes.
func (s *Set) Targets(i int) int { return int(s.rows[i].targets) }

// Words is the number of words in the answers of sample i's conversation.
func (s *Set) Words(i int) int {
	return int(s.entry(i).Words)
}

// Messages reads the conversation that sample i comes from out of its source
// file, and says which of its messages is the first that is a target. It reads the
// file up to there, so it is meant for a few samples.
func (s *Set) Messages(i int) (messages []chat.Message, answer int, err error) {
	r := s.rows[i]
	want := s.parts[r.source].entries[r.record]
	x, l, err := s.find(int(r.source), int(want.Line))
	if err != nil {
		return nil, 0, err
	}
	e, err := l.parse(x.text)
	c := e.conversation
	if err == nil && want.Kind == rejected {
		c = *e.rejected
	}
	return c.messages, slices.Index(l.targets(c).Of(c.messages), true), err
}

// Source is the index into [Set.Sources] of sample i's source.
func (s *Set) Source(i int) int { return int(s.rows[i].source) }

// Train lists the samples of the first epoch, in the order in which the sources
// were mixed. A sample that is repeated is there as often; of pairs both sides are.
func (s *Set) Train() []int { return s.train }

// Epoch lists those of an epoch, from 0. It differs from epoch to epoch if
// [Set.Redraws].
func (s *Set) Epoch(epoch int) ([]int, error) {
	if epoch == 0 || s.redraw == nil {
		return s.train, nil
	}
	return s.redraw(epoch)
}

// Redraws reports whether samples are drawn anew for each epoch: of interleaved
// sources, and of those that are repeated, but not as a whole.
func (s *Set) Redraws() bool { return s.redraw != nil }

// HeldOut lists the samples that are held out.
func (s *Set) HeldOut() []int { return s.heldOut }

// Origin says where sample i comes from, as file:line.
func (s *Set) Origin(i int) string {
	r := s.rows[i]
	return s.At(int(r.source), int(s.parts[r.source].entries[r.record].Line))
}

// Sample reads sample i. Its slices are its own.
func (s *Set) Sample(i int) (Sample, error) {
	r := s.rows[i]
	rec, err := s.parts[r.source].read(int(r.record))
	if err != nil {
		return Sample{}, err
	}
	file, line := s.from[r.source].where(s.parts[r.source].starts, rec.line)
	return Sample{
		IDs: rec.ids[r.from:r.to], Target: within(rec.target, r.from, r.to), Source: int(r.source),
		File: file.Name, Line: line, Turns: int(rec.turns), Words: int(rec.words),
	}, nil
}

// Contents says what the samples follow from, each part by a SHA-256: every
// source's file, the tokenizer with its template, and which stretches of the
// files' records are the samples. Stores with the same contents are the same.
func (s *Set) Contents() map[string]string {
	out := map[string]string{}
	var choice []byte
	for i, p := range s.parts {
		out[fmt.Sprintf("source %d, %s", i+1, s.sources[i].Name)] = p.inputs.File
		out["tokenizer and template"] = hashOf(fmt.Appendf(nil, "%d %s", storeFormat, p.inputs.Chat))
		if p.inputs.Read != "" {
			out[fmt.Sprintf("how source %d, %s, is read", i+1, s.sources[i].Name)] = hashOf([]byte(p.inputs.Read))
		}
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

// Close closes the files of the set.
func (s *Set) Close() error {
	for _, p := range s.parts {
		p.close()
	}
	return nil
}
