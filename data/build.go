package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"

	"lwtrain/chat"
	"lwtrain/data/read"
	"lwtrain/data/record"
	"lwtrain/data/store"
	"lwtrain/internal/fault"
)

// Build tokenises the sources, or finds them tokenised in opts.CacheDir, draws
// the samples of each source and what is held out by the seed, and cuts or
// drops what is longer than opts.MaxLength, or what is held out and longer than
// opts.HeldOutMaxLength, as opts.TooLong says. The held-out samples are drawn from the conversations, so no piece of one is trained on.
func Build(ctx context.Context, opts Options, template *chat.Template, run Run) (*Set, error) {
	s := &Set{paired: run.Pairs && !run.Any, labelled: run.Labels && !run.Any, alone: run.Labels}
	if s.paired || s.labelled {
		if err := opts.refuseCutting(); err != nil {
			return nil, err
		}
	}
	b := builder{
		cache: store.Cache{Dir: opts.CacheDir, ShardTokens: smallShards}, template: template, run: run,
		strict: opts.OnBadRecord == "error", near: opts.Dedup == "near",
	}
	if err := b.load(ctx, s, opts); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.choose(opts, run); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// smallShards is for tests, which set it to fewer tokens than a shard has.
var smallShards int64

// builder finds or makes the stores of sources.
type builder struct {
	cache    store.Cache
	template *chat.Template
	run      Run
	strict   bool // a bad record is an error
	near     bool // near copies are looked for
}

// load gets the store of each source.
func (b builder) load(ctx context.Context, s *Set, opts Options) error {
	sources := slices.Concat(opts.Sources, opts.HeldOut.Sources)
	sizes := make([]int64, len(sources))
	var total, before int64
	for i, options := range sources { // all of them first: a missing file is known at once
		src, err := locate(options, b.run.Files)
		if err != nil {
			return err
		}
		if sizes[i], err = read.Size(src.files); err != nil {
			return err
		}
		total += sizes[i]
		s.from = append(s.from, src)
	}
	if err := filesApart(s.from, len(opts.Sources), opts); err != nil {
		return err
	}
	for i, src := range s.from {
		told := func(done int64) {
			if b.run.Progress != nil {
				b.run.Progress(before+done, total)
			}
		}
		part, reason, err := b.get(ctx, src, told)
		if err != nil {
			return err
		}
		s.stores = append(s.stores, part)
		before += sizes[i]
		stats := SourceStats{
			Name: src.Name, Path: src.shown, Format: part.Layout, LossFactor: src.LossFactor, Cache: part.Dir, Tokenised: reason,
			Dropped: map[string]int{}, Notes: slices.Clone(src.notes),
		}
		if note := src.emptyFiles(part.Empty); note != "" {
			stats.Notes = append(stats.Notes, note)
		}
		for _, key := range part.NeverMet {
			stats.Notes = append(stats.Notes, fmt.Sprintf("ignore: no record has the key %.80s", key))
		}
		for _, d := range slices.Concat(part.Dropped, part.Passed) {
			stats.drop(d.Reason, d.Count)
		}
		for _, u := range part.Unread {
			stats.leaveUnread(u.Key, u.Count)
		}
		s.sources = append(s.sources, stats)
	}
	return nil
}

// get returns a source's store: the one in the cache if its hashes hold, else a new one,
// and the reason why it is new.
func (b builder) get(ctx context.Context, src source, progress func(done int64)) (part *store.Store, reason string, err error) {
	sum, err := read.Hash(src.files)
	if err != nil {
		return nil, "", err
	}
	in := store.Inputs{File: sum, Chat: b.template.Fingerprint(), Read: src.reading().Key(b.near)}
	switch part, err = b.cache.Open(src.Name, in); {
	case err == nil:
		if err = b.run.suits(src, part.About); err == nil && b.strict && len(part.Dropped) > 0 {
			err = src.unusable(part.Dropped, part.Starts)
		}
		if err != nil {
			part.Close()
		}
		return part, "", err
	case errors.Is(err, os.ErrNotExist):
		reason = b.cache.WhyNew(src.shown, in)
	default:
		reason = err.Error()
	}
	job := tokenising{builder: b, src: src, sum: sum, progress: progress}
	for {
		part, err = job.once(ctx, in)
		var later *otherFormat
		if !errors.As(err, &later) || !later.Settles() {
			return part, reason, err
		}
		job.format, job.first = later.Format, later.line
	}
}

// once makes a source's store, as far as its records are of one format.
func (j tokenising) once(ctx context.Context, in store.Inputs) (*store.Store, error) {
	if j.run.DryRun {
		part := store.Dry(in)
		var err error
		part.About, err = j.tokenise(ctx, sink{add: part.Add})
		return part, err
	}
	to, err := j.cache.Build(j.src.Name, j.src.shown, in, j.near)
	if err != nil {
		return nil, err
	}
	defer to.End(ctx)
	behind, about := to.Behind()
	if behind > 0 {
		j.format = about.Layout
	}
	about, err = j.tokenise(ctx, sink{to.Add, to.Taken, behind, about.Drops})
	if err != nil {
		return nil, err
	}
	return to.Finish(about)
}

// sink takes what becomes of the records of a source.
type sink struct {
	add   func(record.Tokenised) error
	taken func(store.About) error // is told after each record; may be nil
	// behind records were taken before, and are passed over; drops is what became of
	// them.
	behind int
	drops  record.Drops
}

// tokenising is the making of one source's store.
type tokenising struct {
	builder
	src      source
	sum      string // SHA-256 of its files
	progress func(done int64)
	format   string // of its records, recognised from the line first of an earlier try; "": from the first
	first    int
}

// chunkBytes is about how much text a worker takes at a time. Lines can be long: of all
// chunks on the way there is room for that of mostChunks, or for a longer line alone, since
// tokenising takes many times the memory of its text.
const (
	chunkBytes = 1 << 18
	mostChunks = 128
)

// chunk is some lines of a source on their way through a worker. out is filled and
// done closed by the worker; results are taken in the order of the source.
type chunk struct {
	lines []read.Line
	room  int // that it takes, in parts of chunkBytes
	out   []tokenised
	done  chan struct{}
	read  int64 // bytes of the source up to the chunk's end
	err   error // of the reader behind it; io.EOF: there is no more
}

// tokenised is what became of a record: one conversation, or the two of a pair.
type tokenised struct {
	conversations []record.Tokenised
	unread        []string
	err           error
}

// tokenise tokenises a source with one worker a processor, in bounded memory, and hands
// its conversations to a sink in the order of the files. Records that can't be used are
// counted by reason; if the builder is strict they are an error, and nothing more is added
// once there is one. A source whose SHA-256 is not sum was changed since that was taken:
// what was made of it would be kept under the wrong name.
func (b tokenising) tokenise(ctx context.Context, to sink) (about store.About, err error) {
	about.Drops = to.drops
	src := b.src
	layout := src.reading().Layout(b.template)
	from, err := src.open(layout.Columns())
	if err != nil {
		return about, err
	}
	defer from.Close()
	sieve, err := src.Filter.Sieve()
	if err != nil {
		return about, fault.Usage(fmt.Errorf("source %s: filter.%w", src.Name, err))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	first := nextChunk(from)
	layout.Settle(first.lines) // before anything is parsed
	if b.format != "" {
		layout.Format = b.format
		layout.First = cmp.Or(b.first, layout.First)
	}
	wanted := b.run.preferences() || src.Side == "chosen"
	if wanted && !record.IsPreference(layout.Format) && cmp.Or(src.Format, "auto") == "auto" { // labels may begin later
		if err := b.findLabel(ctx, &layout); err != nil {
			return about, err
		}
	}
	if err := layout.CheckClasses(from.Classes()); err != nil {
		return about, fmt.Errorf("%s: %w", src.shown, err)
	}
	about.Layout, about.Keys = layout.Format, layout.Keys
	if err := b.run.suits(src, about); err != nil { // before its records are complained about
		return about, err
	}
	var last error // of the reader
	records := to.behind
	room := make(chan struct{}, mostChunks)
	parts := b.work(ctx, from, first, to.behind, room, func() *record.Renderer {
		r := record.NewRenderer(layout, b.template)
		r.Sieve, r.Near = sieve, b.near
		return r
	})
	defer func() { // whatever ends it, nobody reads any more when the file is closed
		cancel()
		for range parts {
		}
	}()
	for part := range parts {
		select {
		case <-part.done:
		case <-ctx.Done():
			return about, ctx.Err()
		}
		if err := b.take(part, to, &about); err != nil {
			return about, src.twoFormats(err, layout.First, from.Places())
		}
		records += len(part.out)
		if err := about.Hopeless(records); err != nil {
			return about, fmt.Errorf("%s: %w", src.shown, err)
		}
		for range part.room {
			<-room
		}
		if b.progress != nil {
			b.progress(part.read)
		}
		last = part.err
	}
	switch {
	case ctx.Err() != nil:
		return about, ctx.Err()
	case last != io.EOF:
		return about, last
	case b.strict && len(about.Dropped) > 0:
		return about, src.unusable(about.Dropped, from.Places().Starts)
	}
	if starts := from.Places().Starts; len(starts) > 1 {
		about.Starts = starts
	}
	if err := layout.CheckClasses(from.Classes()); err != nil { // of the other files
		return about, fmt.Errorf("%s: %w", src.shown, err)
	}
	about.Empty = from.Empty()
	passed := from.Passed()
	if to.behind == 0 { // else records were taken before that nobody looks at again
		about.NeverMet = layout.NeverMet(passed)
	}
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		if layout.Passed(name) {
			about.AddUnread(name, 1, passed[name])
		}
	}
	now, err := from.Hash()
	if err == nil && now != b.sum {
		err = fault.Hint(fmt.Errorf("%s: changed while it was read", src.shown), "start again when nothing writes to it")
	}
	return about, err
}

// findLabel looks for the first label in a source that begins with none: whoever wants
// preferences is to hear at once that there are no labels, and not when all is tokenised.
func (b tokenising) findLabel(ctx context.Context, layout *record.Layout) error {
	from, err := b.src.open(layout.Columns())
	if err != nil {
		return err
	}
	defer from.Close()
	for {
		x, err := from.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if layout.Labelled(x) {
			layout.Format, layout.First = record.Labels, x.Number
			return nil
		}
	}
}

// work reads a source and hands out its chunks in their order, while workers tokenise
// them. The first behind records are left out. A chunk is read when there is room for the
// one before.
func (b builder) work(
	ctx context.Context, from *read.Reader, first *chunk, behind int, room chan<- struct{}, renderer func() *record.Renderer,
) <-chan *chunk {
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *chunk)
	ordered := make(chan *chunk, 2*workers)
	go func() {
		defer close(ordered)
		defer close(work)
		for next := first; ; next = nextChunk(from) {
			next.pass(&behind)
			for range next.room {
				select {
				case room <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
			for _, to := range []chan *chunk{ordered, work} {
				select {
				case to <- next:
				case <-ctx.Done():
					return
				}
			}
			if next.err != nil {
				return
			}
		}
	}()
	for range workers {
		go func() {
			with := renderer()
			for part := range work {
				for i := range part.lines {
					list, unread, err := with.Tokenise(part.lines[i])
					part.out = append(part.out, tokenised{list, unread, err})
					part.lines[i].Text = nil
				}
				close(part.done)
			}
		}()
	}
	return ordered
}

// take hands on what became of a chunk's records.
func (b builder) take(part *chunk, to sink, about *store.About) error {
	for i := range part.out {
		t := &part.out[i]
		switch {
		case t.err != nil:
			var other *record.OtherFormat
			if errors.As(t.err, &other) {
				return &otherFormat{other, part.lines[i].Number}
			}
			about.Add(part.lines[i].Number, t.err)
		case b.strict && len(about.Dropped) > 0: // nothing is kept
		default:
			for _, key := range t.unread {
				about.AddUnread(key, part.lines[i].Number, 1)
			}
			for _, c := range t.conversations {
				if err := to.add(c); err != nil {
					return err
				}
			}
		}
		if to.taken != nil {
			if err := to.taken(*about); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass leaves out the first records, as many of n as there are.
func (c *chunk) pass(n *int) {
	out := min(*n, len(c.lines))
	c.lines, *n = c.lines[out:], *n-out
}

// nextChunk takes the next lines of a source, about chunkBytes of them.
func nextChunk(from *read.Reader) *chunk {
	const head = 64 // bytes of a line beside its text
	c := &chunk{done: make(chan struct{})}
	size := 0
	for size < chunkBytes && c.err == nil {
		var l read.Line
		if l, c.err = from.Next(); c.err == nil {
			c.lines = append(c.lines, l)
			size += head + len(l.Text)
		}
	}
	c.room = min(1+size/chunkBytes, mostChunks)
	c.read = from.Position()
	return c
}
