package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/fault"
)

func newDataCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Look at single samples: their tokens, and which are targets",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDataShowCmd())
	return cmd
}

func newDataShowCmd() *cobra.Command {
	var sample int
	var source, origin string
	var ids, asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print a sample with its tokens marked by what is trained on",
		Long: `Prints a sample as training sees it: the tokens of each message and how many of
them are targets, then the text with its special tokens. On a terminal targets
have a green ground, in two shades that tell tokens apart; elsewhere, and with
NO_COLOR, they stand in ⟦brackets⟧, and lines that have some begin with >.
Special tokens that come from a message's own text are counted, and red.

Samples are counted from 1, through all sources or those of --source. --origin
names any record by its file and line, used or not, and says why it is not.`,
		Example: `  lwtrain data show -c my.yaml
  lwtrain data show -c my.yaml --source general --sample 3 --ids
  lwtrain data show -c my.yaml --origin long.jsonl:17`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, store, template, err := openSamples(cmd, args)
			if err != nil {
				return err
			}
			defer store.Close()
			v := view{c: c, store: store}
			if v.Look, v.shown, err = pickRecord(c, template, store, sample, source, origin); err != nil {
				return err
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				return json.NewEncoder(out).Encode(v.json())
			default:
				return v.print(out, ids, isTerminal(out) && os.Getenv("NO_COLOR") == "")
			}
		},
	}
	addConfigFlags(cmd)
	fl := cmd.Flags()
	fl.IntVar(&sample, "sample", 1, "which sample, from 1")
	fl.StringVar(&source, "source", "", "count the samples of this source alone")
	fl.StringVar(&origin, "origin", "", "a record by its file and line: long.jsonl:17")
	fl.BoolVar(&ids, "ids", false, "a line for each token: place, id, target, message, text")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.MarkFlagsMutuallyExclusive("origin", "sample")
	cmd.MarkFlagsMutuallyExclusive("origin", "source")
	return cmd
}

// pickRecord finds the record that was asked for, and the piece of it that is
// the sample; nil: all of it.
func pickRecord(c *configs.Config, template *chat.Template, store *data.Set, sample int, source, origin string) (*data.Look, *data.Piece, error) {
	sources := store.Sources()
	if origin != "" {
		at := strings.LastIndexByte(origin, ':')
		number, err := strconv.Atoi(origin[at+1:])
		if at < 0 || err != nil || number < 1 {
			return nil, nil, fault.Usage(fmt.Errorf("--origin is %q, want a file and a line of it: long.jsonl:17", origin))
		}
		path := origin[:at]
		var known []string
		for i, s := range sources {
			n, ok := store.Number(i, path, number)
			if ok || s.Path == path || s.Name == path {
				look, err := store.Look(c.Data, template, i, n)
				return look, nil, fault.Usage(err)
			}
			known = append(known, s.Path)
		}
		return nil, nil, fault.Usage(fmt.Errorf("--origin: %s is no file of this config, want one of: %s", path, strings.Join(known, ", ")))
	}
	of := -1
	if source != "" {
		var known []string
		for i, s := range sources {
			known = append(known, s.Name)
			if s.Name == source {
				of = i
			}
		}
		if of < 0 {
			return nil, nil, fault.Usage(fmt.Errorf("--source is %q, want one of: %s", source, strings.Join(known, ", ")))
		}
	}
	all := store.Records(of)
	if sample < 1 || sample > len(all) {
		return nil, nil, fault.Usage(fault.Hint(fmt.Errorf("--sample is %d, want 1 to %d", sample, len(all)), "`lwtrain stats` says what is dropped; --origin shows any record"))
	}
	i, number := store.Place(all[sample-1])
	look, err := store.Look(c.Data, template, i, number)
	if err != nil {
		return nil, nil, err
	}
	for k := range look.Samples {
		if look.Samples[k].Sample == all[sample-1] {
			return look, &look.Samples[k], nil
		}
	}
	return nil, nil, fmt.Errorf("%s: read again, line %d is another record than before", sources[i].Path, number)
}

// view is a record on its way to the reader.
type view struct {
	*data.Look
	c     *configs.Config
	store *data.Set
	shown *data.Piece // the part that is shown; nil: all
}

// part is the stretch of a side's tokens that is shown.
func (v view) part(s *data.Side) (from, to int) {
	if v.shown == nil || s.Name == "rejected" { // pairs are whole
		return 0, len(s.IDs)
	}
	return v.shown.From, v.shown.To
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
func (v view) counts(s *data.Side) []messageCount {
	factor := v.store.Sources()[v.Source].LossFactor
	out := make([]messageCount, len(s.Messages)+1)
	for i, m := range s.Messages {
		if out[i].Role = m.Role; s.Learned[i] {
			out[i].Weight = factor
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

func (v view) use() string {
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

func (v view) json() any {
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
		x := side{Name: s.Name, Messages: counts[:len(s.Messages)], Template: counts[len(s.Messages)], From: from, IDs: s.IDs[from:to], Target: s.Mask()[from:to], Injected: orEmpty(s.Injected)}
		for k := from; k < to; k++ {
			x.Tokens = append(x.Tokens, s.Token(k))
		}
		sides = append(sides, x)
	}
	times := 0
	if v.shown != nil {
		times = v.shown.Times
	} else if len(v.Samples) > 0 {
		times = v.Samples[0].Times
	}
	src := v.store.Sources()[v.Source]
	return map[string]any{"source": src.Name, "origin": v.store.At(v.Source, v.Line), "use": v.use(), "times": times,
		"unused": v.Unused, "pieces": len(v.Samples), "sides": sides}
}

func (v view) print(out io.Writer, ids, colour bool) error {
	src := v.store.Sources()[v.Source]
	hang(out, "record", fmt.Sprintf("%s, of source %s", v.store.At(v.Source, v.Line), src.Name))
	switch v.use() {
	case "unused":
		hang(out, "use", "none: "+v.Unused)
	case "held_out":
		hang(out, "use", "held out")
	case "train":
		p := v.Samples[0]
		if v.shown != nil {
			p = *v.shown
		}
		hang(out, "use", "trained on, "+map[bool]string{true: "once", false: fmt.Sprintf("%d times", p.Times)}[p.Times == 1]+" in "+v.epoch())
	default:
		hang(out, "use", "not drawn in "+v.epoch())
	}
	hang(out, "loss", fmt.Sprintf("weighting %s, loss_factor %g, train_on %s", v.c.Packing.Weighting, src.LossFactor, v.trainOn()))
	for i := range v.Sides {
		s := &v.Sides[i]
		fmt.Fprintln(out)
		if s.Name != "" {
			fmt.Fprintf(out, "== %s\n", s.Name)
		}
		v.printCut(out, s)
		if err := v.printCounts(out, s); err != nil {
			return err
		}
		from, to := v.part(s)
		if n := len(s.Injected); n > 0 {
			warn(out, "%s from the text of messages, and not from the template", count(n, "special token")+map[bool]string{true: " comes", false: " come"}[n == 1])
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
		hang(out, "source", strings.Join(notes, "; "))
	}
	return nil
}

// epoch is what Times speaks of.
func (v view) epoch() string {
	if v.store.Redraws() {
		return "the first epoch"
	}
	return "an epoch"
}

func (v view) trainOn() string {
	all := slices.Concat(v.c.Data.Sources, v.c.Data.HeldOut.Sources)
	return orElse(all[v.Source].TrainOn, "all")
}

// printCut says which part of a conversation is shown.
func (v view) printCut(out io.Writer, s *data.Side) {
	from, to := v.part(s)
	all := len(s.IDs)
	switch {
	case to-from < all && len(v.Samples) > 1:
		hang(out, "cut", fmt.Sprintf("piece %d of %d: tokens %s to %s of %s", 1+slices.IndexFunc(v.Samples, func(p data.Piece) bool { return p == *v.shown }),
			len(v.Samples), grouped(int64(from)), grouped(int64(to)), grouped(int64(all))))
	case to-from < all:
		lost := 0
		for _, t := range s.Mask()[to:] {
			lost += t
		}
		hang(out, "cut", fmt.Sprintf("the first %s tokens of %s; %s targets behind them are lost to data.max_length", grouped(int64(to)), grouped(int64(all)), grouped(int64(lost))))
	case len(v.Samples) > 0 && v.Samples[len(v.Samples)-1].To < all:
		hang(out, "cut", fmt.Sprintf("the first %s tokens of %s are used (data.max_length)", grouped(int64(v.Samples[len(v.Samples)-1].To)), grouped(int64(all))))
	case len(v.Samples) > 1:
		hang(out, "cut", fmt.Sprintf("%s, of at most %s tokens", count(len(v.Samples), "sample"), grouped(int64(v.c.Data.MaxLength))))
	}
}

func (v view) printCounts(out io.Writer, s *data.Side) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "message\trole\ttokens\ttargets\tweight\t")
	var all messageCount
	for i, m := range v.counts(s) {
		number := strconv.Itoa(i)
		if m.Role == "" {
			number, m.Role = "", "template"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%g\t\n", number, printable(m.Role), grouped(int64(m.Tokens)), grouped(int64(m.Targets)), m.Weight)
		all.Tokens, all.Targets = all.Tokens+m.Tokens, all.Targets+m.Targets
	}
	fmt.Fprintf(w, "\tall\t%s\t%s\t\t\n", grouped(int64(all.Tokens)), grouped(int64(all.Targets)))
	return w.Flush()
}
