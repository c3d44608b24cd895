package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"lwtrain/chat"
	"lwtrain/internal/fault"
	"lwtrain/internal/prose"
)

// unusable is the error of records that can't be used: the first of them by their
// places, and how many more there are.
func (s Source) unusable(list []dropped, starts []int64) error {
	var found []place
	left := 0
	for _, d := range list {
		found = append(found, d.First...)
		left += d.Count
	}
	slices.SortFunc(found, func(a, b place) int { return a.Line - b.Line })
	found = found[:min(len(found), mostNamed)]
	var lines []string
	for _, p := range found {
		lines = append(lines, s.at(starts, int64(p.Line))+": "+p.Detail)
	}
	if left -= len(found); left > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d more records can not be used", s.Path, left))
	}
	return fault.Usage(fault.Hint(errors.New(strings.Join(lines, "\n")), "mend the record, or count and skip such records with data.on_bad_record: skip"))
}

// mostNamed is how many bad records are named.
const mostNamed = 10

// dropped counts the records that could not be used, for one reason.
type dropped struct {
	Reason string  `json:"reason"`
	Count  int     `json:"count"`
	First  []place `json:"first"` // at most mostNamed of them
}

// place is a record, and what is wrong with it.
type place struct {
	Line   int    `json:"line"`
	Detail string `json:"detail"`
}

// ingested is a source after tokenising.
type ingested struct {
	format  string  // of the records, as it was said or recognised
	starts  []int64 // of several files: how many numbers are before the records of each
	entries []entry
	dropped []dropped // bad records, in the order of their first lines
	passed  []dropped // records that were not wanted
}

func (in *ingested) drop(number int, err error) {
	reason := "invalid"
	var record *badRecord
	var talk *chat.ConversationError
	switch {
	case errors.As(err, &record):
		reason = record.reason
	case errors.As(err, &talk):
		reason = strings.ReplaceAll(string(talk.Reason), " ", "_")
	}
	list := &in.dropped
	if record != nil && record.passed {
		list = &in.passed
	}
	i := slices.IndexFunc(*list, func(d dropped) bool { return d.Reason == reason })
	if i < 0 {
		i = len(*list)
		*list = append(*list, dropped{Reason: reason})
	}
	d := &(*list)[i]
	if d.Count++; d.Count <= mostNamed {
		d.First = append(d.First, place{number, err.Error()})
	}
}

// chunkBytes is about how much text a worker takes at a time.
const chunkBytes = 1 << 18

// chunk is a piece of a source on its way through a worker. out is filled and
// done closed by the worker; results are taken in the order of the source.
type chunk struct {
	lines []line
	out   []tokenised
	done  chan struct{}
	read  int64 // bytes of the source up to the chunk's end
}

// tokenised is what became of a record: one sample, or the two of a pair.
type tokenised struct {
	records []record
	err     error
}

// sink takes what becomes of the records of a source.
type sink struct {
	add   func(record) error
	after func(ingested) error // is told after each record of the source; may be nil
	// ahead records of the source were taken before, and are passed over; this is
	// what became of them.
	ahead           int
	dropped, passed []dropped
}

// ingest tokenises a source with one worker a processor, in bounded memory, and
// hands the records to add in the order of the file. Records that can't be used
// are counted by reason; with stop they are an error, and nothing more is handed to
// add once there is one. A source whose SHA-256 is not sum was changed since that
// was taken: what was made of it would be kept under the wrong name.
func (c cache) ingest(ctx context.Context, src Source, sum string, to sink, progress func(done int64)) (in ingested, err error) {
	in.dropped, in.passed = to.dropped, to.passed
	l := src.layout()
	from, err := src.records(l.topLevel())
	if err != nil {
		return in, err
	}
	defer from.close()
	keep, err := src.Filter.compile(c.near)
	if err != nil {
		return in, fault.Usage(fmt.Errorf("source %s: filter.%w", src.Name, err))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	l.toolRole = toolRole(c.template)
	first, readErr := nextChunk(from)
	l.settle(first.lines) // before anything is parsed
	in.format = l.format
	if err := c.want.suits(src, l.format); err != nil { // before its records are complained about
		return in, err
	}
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *chunk)
	ordered := make(chan *chunk, 2*workers)
	go func() {
		defer close(ordered)
		defer close(work)
		ahead := to.ahead
		for next, err := first, readErr; ; next, err = nextChunk(from) {
			next.pass(&ahead)
			for _, to := range []chan *chunk{ordered, work} {
				select {
				case to <- next:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				readErr = err
				return
			}
		}
	}()
	for range workers {
		go func() {
			with := toolChats{plain: c.template, layout: l, keep: keep}
			for part := range work {
				for _, x := range part.lines {
					r, err := with.tokenise(x)
					part.out = append(part.out, tokenised{r, err})
				}
				close(part.done)
			}
		}()
	}
	for part := range ordered {
		select {
		case <-part.done:
		case <-ctx.Done():
			return in, ctx.Err()
		}
		for i, t := range part.out {
			number := part.lines[i].number
			switch {
			case t.err != nil:
				in.drop(number, t.err)
			case c.stop && len(in.dropped) > 0: // nothing is kept
			default:
				for _, r := range t.records {
					if err := to.add(r); err != nil {
						return in, err
					}
				}
			}
			if to.after != nil {
				if err := to.after(in); err != nil {
					return in, err
				}
			}
		}
		if progress != nil {
			progress(part.read)
		}
	}
	if ctx.Err() != nil {
		return in, ctx.Err()
	}
	if readErr != io.EOF {
		return in, from.fail(readErr)
	}
	if c.stop && len(in.dropped) > 0 {
		return in, src.unusable(in.dropped, from.starts)
	}
	if len(from.starts) > 1 {
		in.starts = from.starts
	}
	return in, from.unchanged(sum)
}

// pass leaves out the first records, as many of n as there are.
func (c *chunk) pass(n *int) {
	out := min(*n, len(c.lines))
	c.lines, *n = c.lines[out:], *n-out
}

// nextChunk takes the next records of a source, about chunkBytes of them, with
// the reader's error if it ends.
func nextChunk(from *reader) (*chunk, error) {
	c := &chunk{done: make(chan struct{})}
	var err error
	for size := 0; size < chunkBytes && err == nil; {
		var l line
		if l, err = from.next(); err == nil {
			c.lines = append(c.lines, l)
			size += len(l.text)
		}
	}
	c.read = from.position()
	return c, err
}

// Tokenise reads a line of a JSONL source and renders it as the store does. A
// preference pair is its chosen answer.
func Tokenise(template *chat.Template, text []byte) (chat.Rendered, error) {
	l := Source{}.layout()
	l.toolRole = toolRole(template)
	l.settle([]line{{text: text}})
	sides, err := (&toolChats{plain: template, layout: l}).sides(line{text: text})
	if err != nil {
		return chat.Rendered{}, err
	}
	return sides[0].Rendered, nil
}

// toolChats is a chat template, and the same one told of the tools that the last
// record named: many records name the same, and telling a template of tools takes
// longer than rendering.
type toolChats struct {
	plain, with *chat.Template
	tools       string
	layout      layout
	keep        *keep // nil: all
}

func (t *toolChats) of(tools json.RawMessage) (*chat.Template, error) {
	if tools == nil {
		return t.plain, nil
	}
	if t.with == nil || t.tools != string(tools) {
		template, err := t.plain.With(map[string]any{"tools": tools})
		if err != nil {
			return nil, bad("invalid_tools", "tools: %v", err)
		}
		if !tells(t.plain, template) {
			return nil, bad("tools_not_rendered", "tools, which the chat template does not write: the model would never see them")
		}
		t.with, t.tools = template, string(tools)
	}
	return t.with, nil
}

// tells reports whether a template says anything else of what it is told in with.
func tells(plain, with *chat.Template) bool {
	probe := []chat.Message{{Role: "user", Content: "question"}}
	a, _, err := plain.Prompt(probe)
	b, _, err2 := with.Prompt(probe)
	return err != nil || err2 != nil || a != b
}

// tokenise turns a record into ids and targets.
func (t *toolChats) tokenise(l line) ([]record, error) {
	sides, err := t.sides(l)
	if err != nil {
		return nil, err
	}
	return t.records(sides, l)
}

// sides reads a record and renders its conversation, or the two of a pair.
func (t *toolChats) sides(l line) ([]Side, error) {
	if l.tooLong {
		return nil, bad("too_many_bytes", "a record of more than %d MiB", maxLine>>20)
	}
	e, err := t.layout.parse(l.text)
	if err != nil {
		return nil, err
	}
	first, err := t.render(e.conversation, e.kind)
	if err != nil || e.rejected == nil {
		return []Side{first}, err
	}
	second, err := t.render(*e.rejected, rejected)
	return []Side{first, second}, err
}

func (t *toolChats) render(c conversation, k kind) (Side, error) {
	template, err := t.of(c.tools)
	if err != nil {
		return Side{}, err
	}
	targets := t.layout.targets(c)
	s := Side{Name: kindNames[k], Messages: c.messages, Learned: targets.Of(c.messages), kind: k, first: c.first}
	if s.Rendered, err = template.RenderFor(c.messages, targets); err == nil { // the roles are known
		err = checkOrder(c.messages)
	}
	return s, err
}

// records makes what is stored of the sides of a record, unless they are not
// wanted.
func (t *toolChats) records(sides []Side, l line) ([]record, error) {
	var out []record
	for _, side := range sides {
		r := record{ids: side.IDs, line: int64(l.number), facts: examine(side.Messages), kind: side.kind}
		if len(side.Injected) > 0 {
			r.facts.Suspicions |= specialTokens
		}
		for _, span := range side.Target {
			r.target = append(r.target, [2]int32{span.Start, span.End})
		}
		for _, m := range side.Messages[side.first:] {
			if m.Role == "assistant" {
				r.turns++
				r.words += int32(prose.Words(m.Content))
			}
		}
		if err := t.keep.check(side.Messages, r); err != nil {
			return nil, err
		}
		if t.keep != nil && t.keep.near {
			r.sketch = minhash(side.Messages)
		}
		r.fingerprint()
		out = append(out, r)
	}
	if len(out) == 2 {
		n := out[0].prompt()
		if n != out[1].prompt() || !slices.Equal(out[0].ids[:n], out[1].ids[:n]) {
			return nil, bad("prompts_differ", "the template renders the prompt of chosen in another way than that of rejected")
		}
	}
	return out, nil
}
