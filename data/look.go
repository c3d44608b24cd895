package data

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"lwtrain/chat"
)

// Side is a conversation of a record, as the template renders it.
type Side struct {
	Name     string // "chosen" or "rejected" of a pair, "good" or "bad" where it is labelled, else ""
	Messages []chat.Message
	Learned  []bool // which of them are trained on
	chat.Rendered

	kind  kind
	first int // the messages before it are the prompt
}

// kindNames are the names of sides.
var kindNames = map[kind]string{chosen: "chosen", rejected: "rejected", liked: "good", disliked: "bad"}

// Look is a record for people to look at: what is in it, and what became of it.
type Look struct {
	Source  int
	Line    int
	Sides   []Side // one, or the two of a pair; none if the record can't be rendered
	Unused  string // why no sample was made of it; "" if one was
	Samples []Piece
}

// Piece is a sample that was made of a record: a stretch of its tokens.
type Piece struct {
	Sample   int // its index in the set
	From, To int // tokens of the record's side
	HeldOut  bool
	Times    int // in an epoch
}

// Records lists the samples of a source that are shown one by one, in its order:
// of pairs one for both sides. With source < 0 it lists those of all.
func (s *Set) Records(source int) []int {
	var out []int
	for i, r := range s.rows {
		if (source < 0 || int(r.source) == source) && s.parts[r.source].entries[r.record].Kind != rejected {
			out = append(out, i)
		}
	}
	return out
}

// Place is the source and the line (or row) of the record that sample i comes
// from.
func (s *Set) Place(i int) (source, line int) {
	r := s.rows[i]
	return int(r.source), int(s.parts[r.source].entries[r.record].Line)
}

// Look reads a record out of its source again and renders it as the store did. It
// reads the file up to there. opts and template are those that the store was built
// with.
func (s *Set) Look(opts Options, template *chat.Template, source, number int) (*Look, error) {
	x, l, err := s.find(source, number)
	if err != nil {
		return nil, err
	}
	l.toolRole = toolRole(template)
	keep, err := s.from[source].Filter.compile(false)
	if err != nil {
		return nil, err
	}
	out := &Look{Source: source, Line: number}
	with := &toolChats{plain: template, layout: l, keep: keep}
	sides, err := with.sides(x)
	if err == nil {
		out.Sides = sides
		_, err = with.records(sides, x)
	}
	if err != nil {
		out.Unused = err.Error()
		return out, nil
	}
	for i, r := range s.rows {
		e := s.parts[r.source].entries[r.record]
		if int(r.source) != source || int(e.Line) != number || e.Kind == rejected {
			continue
		}
		p := Piece{Sample: i, From: int(r.from), To: int(r.to), HeldOut: slices.Contains(s.heldOut, i)}
		for _, k := range s.train {
			if k == i {
				p.Times++
			}
		}
		out.Samples = append(out.Samples, p)
	}
	if len(out.Samples) == 0 {
		out.Unused = s.whyUnused(opts, source, number)
	}
	return out, nil
}

// whyUnused says why a record that is in the store became no sample.
func (s *Set) whyUnused(opts Options, source, number int) string {
	src := s.from[source]
	for _, e := range s.parts[source].entries {
		switch {
		case int(e.Line) != number:
		case e.Targets == 0:
			return "no answer in it is trained on"
		case int(e.Tokens) > opts.MaxLength:
			return fmt.Sprintf("%d tokens, more than data.max_length (%d)", e.Tokens, opts.MaxLength)
		case src.Side == "chosen" && (e.Kind == disliked || e.Kind == rejected):
			return "it is no chosen answer (side: chosen)"
		}
	}
	if src.LossFactor == 0 {
		return "its source has loss_factor 0"
	}
	return "a copy of another sample, without a counterpart, or not drawn (dedup, samples, fraction, tokens)"
}

// find reads a record of a source by its line or row.
func (s *Set) find(source, number int) (line, layout, error) {
	src := s.from[source]
	l := src.layout()
	l.format = s.parts[source].format
	from, err := src.records(l.topLevel())
	if err != nil {
		return line{}, l, err
	}
	defer from.close()
	for {
		x, err := from.next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && x.number > number:
			return x, l, fmt.Errorf("%s: no record is there", s.At(source, number))
		case err != nil:
			return x, l, from.fail(err)
		case x.number == number:
			return x, l, nil
		}
	}
}
