package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
)

// Record is a record with its samples, on its way to the reader.
type Record struct {
	*data.Look
	Config *configs.Config
	Set    *data.Set
	Shown  *data.Piece // the part that is shown; nil: all
}

// part is the stretch of a side's tokens that is shown.
func (v Record) part(s *record.Rendered) (from, to int) {
	if v.Shown == nil || s.Kind == record.Rejected { // pairs are whole
		return 0, len(s.IDs)
	}
	return v.Shown.From, v.Shown.To
}

// messageCount is what a message, or the template, has of the tokens that are
// shown.
type messageCount struct {
	Role    string  `json:"role,omitempty"` // "": the template
	Tokens  int     `json:"tokens"`
	Targets int     `json:"target_tokens"`
	Weight  float64 `json:"weight"` // of each of its targets, before packing.weighting
}

// counts counts the tokens of each message, those of the template last.
func (v Record) counts(s *record.Rendered) []messageCount {
	factor := v.Set.Sources()[v.Source].LossFactor
	out := make([]messageCount, len(s.Messages)+1)
	for i, m := range s.Messages {
		if out[i].Role = m.Role; s.Learned[i] {
			out[i].Weight = factor
		}
		if s.Raw {
			out[i].Role = "text"
		}
	}
	from, to := v.part(s)
	mask := s.Mask()
	for i := from; i < to; i++ {
		m := s.Message(i)
		if m < 0 {
			m = len(s.Messages)
		}
		out[m].Tokens++
		out[m].Targets += mask[i]
	}
	if last := &out[len(s.Messages)]; last.Targets > 0 {
		last.Weight = factor
	}
	return out
}

func (v Record) use() string {
	switch {
	case len(v.Samples) == 0:
		return "unused"
	case v.Samples[0].HeldOut:
		return "held_out"
	case slices.ContainsFunc(v.Samples, func(p data.Piece) bool { return p.Times > 0 }):
		return "train"
	}
	return "not_drawn"
}

// JSON is the record as a value for encoding/json.
func (v Record) JSON() any {
	type side struct {
		Name     string         `json:"side,omitempty"`
		Messages []messageCount `json:"messages"`
		Template messageCount   `json:"template"`
		From     int            `json:"from"`
		IDs      []int32        `json:"ids"`
		Target   []int          `json:"target"`
		Tokens   []string       `json:"tokens"`
		Injected []int32        `json:"special_tokens_in_messages"`
	}
	sides := []side{}
	for i := range v.Sides {
		s := &v.Sides[i]
		from, to := v.part(s)
		counts := v.counts(s)
		x := side{
			Name: s.Kind.Side(), Messages: counts[:len(s.Messages)], Template: counts[len(s.Messages)], From: from,
			IDs: s.IDs[from:to], Target: s.Mask()[from:to], Injected: append([]int32{}, s.Injected...),
		}
		for k := from; k < to; k++ {
			x.Tokens = append(x.Tokens, s.Token(k))
		}
		sides = append(sides, x)
	}
	times := 0
	if v.Shown != nil {
		times = v.Shown.Times
	} else if len(v.Samples) > 0 {
		times = v.Samples[0].Times
	}
	src := v.Set.Sources()[v.Source]
	return map[string]any{"source": src.Name, "origin": v.Set.At(v.Source, v.Line), "use": v.use(), "times": times,
		"unused": v.Unused, "unread": append([]string{}, v.Unread...), "pieces": len(v.Samples), "sides": sides}
}

// Print prints the record for people. With ids each token has a line; else they are marked
// in the text, with colours or brackets.
func (v Record) Print(out io.Writer, ids, colour bool) error {
	src := v.Set.Sources()[v.Source]
	terminal.Hang(out, "record", fmt.Sprintf("%s, of source %s", v.Set.At(v.Source, v.Line), src.Name))
	switch v.use() {
	case "unused":
		terminal.Hang(out, "use", "none: "+v.Unused)
	case "held_out":
		terminal.Hang(out, "use", "held out")
	case "train":
		p := v.Samples[0]
		if v.Shown != nil {
			p = *v.Shown
		}
		times := fmt.Sprintf("%d times", p.Times)
		if p.Times == 1 {
			times = "once"
		}
		terminal.Hang(out, "use", "trained on, "+times+" in "+v.epoch())
	default:
		terminal.Hang(out, "use", "not drawn in "+v.epoch())
	}
	terminal.Hang(out, "loss", fmt.Sprintf("weighting %s, loss_factor %g, train_on %s",
		v.Config.Packing.Weighting, src.LossFactor, v.trainOn()))
	if len(v.Unread) > 0 {
		terminal.Hang(out, "not read", strings.Join(v.Unread, ", "))
	}
	for i := range v.Sides {
		s := &v.Sides[i]
		fmt.Fprintln(out)
		if s.Kind.Side() != "" {
			fmt.Fprintf(out, "== %s\n", s.Kind.Side())
		}
		v.printCut(out, s)
		if err := v.printCounts(out, s); err != nil {
			return err
		}
		from, to := v.part(s)
		if n := len(s.Injected); n > 0 {
			come := " come"
			if n == 1 {
				come = " comes"
			}
			Warn(out, "%s from the text of messages, and not from the template", human.Count(n, "special token")+come)
		}
		fmt.Fprintln(out)
		if ids {
			printTokens(out, s, from, to)
		} else {
			writeMarked(out, &s.Rendered, from, to, colour)
		}
	}
	if notes := dropNotes(src); len(notes) > 0 {
		fmt.Fprintln(out)
		terminal.Hang(out, "source", strings.Join(notes, "; "))
	}
	return nil
}

// epoch is what Times speaks of.
func (v Record) epoch() string {
	if v.Set.Redraws() {
		return "the first epoch"
	}
	return "an epoch"
}

func (v Record) trainOn() string {
	all := slices.Concat(v.Config.Data.Sources, v.Config.Data.HeldOut.Sources)
	return cmp.Or(all[v.Source].TrainOn, "all")
}

// printCut says which part of a conversation is shown.
func (v Record) printCut(out io.Writer, s *record.Rendered) {
	from, to := v.part(s)
	all, pieces := len(s.IDs), len(v.Samples)
	cut := func(format string, args ...any) { terminal.Hang(out, "cut", fmt.Sprintf(format, args...)) }
	limit := ""
	if pieces > 0 {
		limit = v.Samples[0].Limit
	}
	switch {
	case to-from < all && pieces > 1:
		nth := 1 + slices.Index(v.Samples, *v.Shown)
		cut("piece %d of %d: tokens %s to %s of %s", nth, pieces, human.Grouped(from), human.Grouped(to), human.Grouped(all))
	case to-from < all:
		lost := 0
		for _, t := range s.Mask()[to:] {
			lost += t
		}
		cut("the first %s tokens of %s; %s targets behind them are lost to %s",
			human.Grouped(to), human.Grouped(all), human.Grouped(lost), limit)
	case pieces > 0 && v.Samples[pieces-1].To < all:
		cut("the first %s tokens of %s are used (%s)", human.Grouped(v.Samples[pieces-1].To), human.Grouped(all), limit)
	case pieces > 1:
		cut("%s, by %s", human.Count(pieces, "sample"), limit)
	}
}

func (v Record) printCounts(out io.Writer, s *record.Rendered) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "message\trole\ttokens\ttargets\tweight\t")
	var all messageCount
	for i, m := range v.counts(s) {
		number := strconv.Itoa(i)
		if m.Role == "" {
			number, m.Role = "", "template"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%g\t\n", number,
			terminal.Printable(m.Role), human.Grouped(m.Tokens), human.Grouped(m.Targets), m.Weight)
		all.Tokens, all.Targets = all.Tokens+m.Tokens, all.Targets+m.Targets
	}
	fmt.Fprintf(w, "\tall\t%s\t%s\t\t\n", human.Grouped(all.Tokens), human.Grouped(all.Targets))
	return w.Flush()
}
