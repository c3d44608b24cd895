package data

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"lwtrain/chat"
	"lwtrain/data/read"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
)

// Look is a record for people to look at: what is in it, and what became of it.
type Look struct {
	Source  int
	Line    int
	Sides   []record.Rendered // one, or the two of a pair; none if the record can't be rendered
	Unused  string            // why no sample was made of it; "" if one was
	Unread  []string          // its keys that nothing reads
	Samples []Piece
}

// Piece is a sample that was made of a record: a stretch of its tokens.
type Piece struct {
	Sample   int // its index in the set
	From, To int // tokens of the record's side
	HeldOut  bool
	Limit    string // the key that says how long it may be; "": nothing does
	Times    int    // in an epoch
}

// Records lists the samples of a source that are shown one by one, in its order:
// of pairs one for both sides. With source < 0 it lists those of all.
func (s *Set) Records(source int) []int {
	var out []int
	for i := range s.pieces.len() {
		if (source < 0 || s.Source(i) == source) && s.entry(i).Kind != record.Rejected {
			out = append(out, i)
		}
	}
	return out
}

// Look reads a record out of its source again, by its number, and renders it as the store
// did. It reads the files up to there. opts and template are those that the set was built
// with.
func (s *Set) Look(opts Options, template *chat.Template, source, number int) (*Look, error) {
	x, layout, err := s.find(source, number, template)
	if err != nil {
		return nil, err
	}
	with := record.NewRenderer(layout, template)
	if with.Sieve, err = s.from[source].Filter.Sieve(); err != nil {
		return nil, err
	}
	out := &Look{Source: source, Line: number}
	sides, unread, err := with.Render(x)
	if err == nil {
		out.Sides, out.Unread = sides, unread
		_, err = with.Keep(sides, x)
	}
	if err != nil {
		out.Unused = err.Error()
		return out, nil
	}
	for i := range s.pieces.len() {
		p := s.pieces.at(i)
		if e := s.entry(i); int(p.source) != source || int(e.Line) != number || e.Kind == record.Rejected {
			continue
		}
		shown := Piece{Sample: i, From: int(p.from), To: int(p.to), HeldOut: slices.Contains(s.heldOut, int32(i))}
		shown.Limit = s.limit(source, int(p.conversation), shown.HeldOut).key
		for _, k := range s.train {
			if int(k) == i {
				shown.Times++
			}
		}
		out.Samples = append(out.Samples, shown)
	}
	if len(out.Samples) == 0 {
		out.Unused = s.whyUnused(opts, source, number)
	}
	return out, nil
}

// whyUnused says why a record that is in the store became no sample.
func (s *Set) whyUnused(opts Options, source, number int) string {
	src := s.from[source]
	for i, e := range s.stores[source].Entries.All() {
		switch most := s.limit(source, i, source >= len(opts.Sources)); {
		case int(e.Line) != number:
		case e.Targets == 0:
			return "no answer in it is trained on"
		case int(e.Tokens) > most.tokens:
			return fmt.Sprintf("%d tokens, more than %s (%d)", e.Tokens, most.key, most.tokens)
		case src.Side == "chosen" && (e.Kind == record.Disliked || e.Kind == record.Rejected):
			return "it is no chosen answer (side: chosen)"
		}
	}
	if src.LossFactor == 0 {
		return "its source has loss_factor 0"
	}
	return "a copy of another sample, without a counterpart, or not drawn (dedup, samples, fraction, tokens)"
}

// Messages reads the conversation that sample i comes from out of its source again, and
// says which of its messages is the first that is a target. It reads the files up to
// there, so it is meant for a few samples.
func (s *Set) Messages(i int) (messages []chat.Message, answer int, err error) {
	source, number := s.Place(i)
	x, layout, err := s.find(source, number, nil)
	if err != nil {
		return nil, 0, err
	}
	r, err := layout.Parse(x)
	c := r.Conversation
	if err == nil && s.entry(i).Kind == record.Rejected {
		c = *r.Rejected
	}
	return c.Messages, slices.Index(layout.Targets(c).Of(c.Messages), true), err
}

// EachMessages reads the conversations of samples out of their sources again, each source once.
// each is told the sample, its conversation and which of its messages is the first that is a
// target, in the order of the sources; of a conversation that was split, its first sample.
func (s *Set) EachMessages(samples []int32, each func(sample int, messages []chat.Message, answer int) error) error {
	at := make([]map[int]int, len(s.from)) // by the number in its source
	for _, id := range samples {
		i := int(id)
		source, number := s.Place(i)
		if at[source] == nil {
			at[source] = map[int]int{}
		}
		if first, there := at[source][number]; !there || i < first {
			at[source][number] = i
		}
	}
	for source, numbers := range at {
		if err := s.eachOf(source, numbers, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) eachOf(source int, numbers map[int]int, each func(int, []chat.Message, int) error) error {
	if len(numbers) == 0 {
		return nil
	}
	layout := s.from[source].reading().Layout(nil)
	if layout.Format = s.stores[source].Layout; layout.Format == record.Texts {
		return fault.Usage(fmt.Errorf("%s holds texts, want conversations", s.from[source].shown))
	}
	from, err := s.from[source].open(layout.Columns())
	if err != nil {
		return err
	}
	defer from.Close()
	for left := len(numbers); left > 0; {
		x, err := from.Next()
		if err != nil {
			return err
		}
		i, wanted := numbers[x.Number]
		if !wanted {
			continue
		}
		left--
		r, err := layout.Parse(x)
		if err != nil {
			return err
		}
		c := r.Conversation
		if err := each(i, c.Messages, slices.Index(layout.Targets(c).Of(c.Messages), true)); err != nil {
			return err
		}
	}
	return nil
}

// find reads the line of a record of a source, and says how its records are read. template
// may be nil where nothing is rendered.
func (s *Set) find(source, number int, template *chat.Template) (read.Line, record.Layout, error) {
	layout := s.from[source].reading().Layout(template)
	layout.Format = s.stores[source].Layout
	from, err := s.from[source].open(layout.Columns())
	if err != nil {
		return read.Line{}, layout, err
	}
	defer from.Close()
	for {
		x, err := from.Next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && x.Number > number:
			return x, layout, fmt.Errorf("%s: no record is there", s.At(source, number))
		case err != nil:
			return x, layout, err
		case x.Number == number:
			return x, layout, nil
		}
	}
}
