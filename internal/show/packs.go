package show

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/packing"
	"lwtrain/report"
	"lwtrain/train"
)

// Packs are the packs of a run's first epoch, on their way to the reader.
type Packs struct {
	Config     *configs.Config
	Set        *data.Set
	Plan       *train.Plan
	Drawn      []train.Drawn
	Comparison train.Comparison
}

// JSON is all of it but the single packs as a value for encoding/json.
func (v Packs) JSON() any {
	type share struct {
		Name         string  `json:"name"`
		Documents    int     `json:"documents"`
		Tokens       int64   `json:"tokens"`
		TargetTokens int64   `json:"target_tokens"`
		Loss         float64 `json:"loss"`
	}
	c, p := v.Config, v.Plan
	shares := map[string][]share{}
	for _, s := range p.Shares {
		shares[s.Kind] = append(shares[s.Kind], share{s.Name, s.Documents, s.Tokens, s.TargetTokens, s.Loss})
	}
	return map[string]any{
		"packs": p.Packs, "capacity": p.Capacity, "fill": p.Fill(), "documents": p.Documents, "tokens": p.Tokens,
		"target_tokens": p.TargetTokens, "steps_per_epoch": p.StepsPerEpoch, "attention_balance": p.Attention, "steps": p.Schedule.Total,
		"strategy": c.Packing.Strategy, "weighting": c.Packing.Weighting,
		"dropped": v.Set.Mix().Dropped, "lost_tokens": v.Set.Mix().LostTokens, "held_out": len(v.Set.HeldOut()), "loss_shares": shares,
		"long_answers": v.Comparison.Long, "packers": v.Comparison.Packers,
	}
}

// Page is what is shown of it on a page that is called name.
func (v Packs) Page(name string) report.PacksPage {
	page := report.PacksPage{Name: name, Packing: v.Config.Packing, Plan: v.Plan, Packs: v.Drawn, Comparison: v.Comparison}
	used := 0
	for _, id := range v.Set.Train() {
		used = max(used, v.Set.Source(int(id))+1)
	}
	for _, s := range v.Set.Sources()[:used] { // the others are held out
		page.Sources = append(page.Sources, s.Name)
	}
	return page
}

// mostDrawn bounds the packs that are drawn in a terminal.
const mostDrawn = 16

// Print prints it for people.
func (v Packs) Print(out io.Writer) error {
	c, p := v.Config, v.Plan
	terminal.Hang(out, "packs", fmt.Sprintf("%s of %s tokens, %.2f %% full, by %s", human.Count(p.Packs, "pack"),
		human.Grouped(p.Capacity), 100*p.Fill(), c.Packing.Strategy))
	terminal.Hang(out, "", fmt.Sprintf("%s an epoch; attention balance ratio %.4f", human.Count(p.StepsPerEpoch, "step"), p.Attention))
	terminal.Hang(out, "samples", fmt.Sprintf("%s, %s tokens, %s targets", human.Grouped(p.Documents), human.Grouped(p.Tokens),
		human.Grouped(p.TargetTokens)))
	fmt.Fprintln(out)
	v.draw(out)
	if err := v.shares(out); err != nil {
		return err
	}
	return v.compare(out)
}

// letter is that of a source.
func letter(source int) byte { return "abcdefghijklmnopqrstuvwxyz*"[min(source, 26)] }

// draw draws the first packs, a letter for a document's source, of which the first is
// a capital.
func (v Packs) draw(out io.Writer) {
	const columns = 50
	fmt.Fprintf(out, "%-10s %-*s %6s %10s\n", "step.pack", columns, "documents", "full", "attention")
	shown := v.Drawn[:min(len(v.Drawn), mostDrawn)]
	seen := make([]bool, len(v.Set.Sources()))
	for _, d := range shown {
		bar := []byte(strings.Repeat(".", columns))
		at := 0
		for _, doc := range d.Documents {
			from, to := at*columns/v.Plan.Capacity, (at+doc.Tokens)*columns/v.Plan.Capacity
			for k := from; k < to; k++ {
				bar[k] = letter(doc.Source)
			}
			if from < to && doc.Source < 26 {
				bar[from] -= 'a' - 'A'
			}
			at += doc.Tokens
			seen[doc.Source] = true
		}
		fmt.Fprintf(out, "%-10s %s %4.0f %% %10.3f\n", fmt.Sprintf("%d.%d", d.Step, d.Pack), bar,
			100*float64(d.Tokens)/float64(v.Plan.Capacity), d.Attention)
	}
	if rest := len(v.Drawn) - len(shown); rest > 0 {
		fmt.Fprintf(out, "and %s more\n", human.Count(rest, "pack"))
	}
	var names []string
	for i, s := range v.Set.Sources() {
		if seen[i] {
			names = append(names, fmt.Sprintf("%c %s", letter(i), s.Name))
		}
	}
	fmt.Fprintln(out)
	terminal.Hang(out, "documents", strings.Join(names, ", ")+"; each begins with a capital, those of less than a column are not drawn")
	terminal.Hang(out, "attention", "the squares of the documents' lengths, added up; 1 is one document that fills the pack")
	fmt.Fprintln(out)
}

// shares tells who carries how much of the loss as the config has it.
func (v Packs) shares(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "weighting %s\tsamples\ttokens\ttargets\tof targets\tof the loss\t\n", v.Config.Packing.Weighting)
	for _, s := range v.Plan.Shares {
		name := shortName(s.Name)
		if s.Kind == "words" {
			name += " words"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f %%\t%.1f %%\t\n", name, human.Grouped(s.Documents), human.Grouped(s.Tokens),
			human.Grouped(s.TargetTokens), 100*float64(s.TargetTokens)/float64(v.Plan.TargetTokens), 100*s.Loss)
	}
	return w.Flush()
}

// compare sets packers and weightings side by side.
func (v Packs) compare(out io.Writer) error {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "packer\tpacks\tfull\tpadding\tsteps\tattention balance\t\n")
	for _, p := range v.Comparison.Packers {
		fmt.Fprintf(w, "%s\t%s\t%.2f %%\t%s\t%s\t%.4f\t\n", p.Strategy, human.Grouped(p.Packs), 100*p.Fill, human.Grouped(p.Waste),
			human.Grouped(p.Steps), p.Attention)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nshare of the loss that answers of %s words and more carry, in %%\n", longWords(v.Comparison))
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\t")
	for _, p := range v.Comparison.Packers {
		fmt.Fprintf(w, "%s\t", strings.TrimSuffix(p.Strategy, "_decreasing"))
	}
	fmt.Fprintln(w)
	for _, weighting := range packing.Weightings() {
		fmt.Fprintf(w, "%s\t", weighting)
		for _, p := range v.Comparison.Packers {
			fmt.Fprintf(w, "%.1f\t", 100*p.Long[weighting])
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, text := range report.PackNotes(v.Config.Packing, v.Comparison) {
		terminal.Hang(out, "note", text)
	}
	return nil
}

// longWords is the number of words from which answers are called long.
func longWords(c train.Comparison) string {
	from, _, _ := strings.Cut(c.Long, "-")
	from, _, _ = strings.Cut(from, " ")
	return from
}

// Laid is a pack on its way to the reader.
type Laid struct {
	*train.LaidPack
	Template *chat.Template
}

// JSON is the pack as a value for encoding/json.
func (v Laid) JSON() any {
	type document struct {
		train.LaidDocument
		Tokens []string `json:"tokens"`
	}
	out := struct {
		train.LaidPack
		Documents []document `json:"documents"`
	}{LaidPack: *v.LaidPack, Documents: []document{}}
	for _, d := range v.Documents {
		x := document{LaidDocument: d}
		for _, id := range d.IDs {
			text, _ := v.Template.Token(id)
			x.Tokens = append(x.Tokens, text)
		}
		out.Documents = append(out.Documents, x)
	}
	return out
}

// Print prints the pack for people. With ids each token has a line; else targets are marked in the
// text, with colours or brackets.
func (v Laid) Print(out io.Writer, ids, colour bool) error {
	p := v.LaidPack
	terminal.Hang(out, "pack", fmt.Sprintf("%s of %s of the first epoch (%s): %d of %d of step %s", human.Grouped(p.Number),
		human.Grouped(p.Packs), p.Strategy, p.InStep, p.OfStep, human.Grouped(p.Step)))
	terminal.Hang(out, "tokens", fmt.Sprintf("%s of %s, %.2f %% full; %s targets", human.Grouped(p.Tokens), human.Grouped(p.Capacity),
		100*float64(p.Tokens)/float64(p.Capacity), human.Grouped(p.Targets)))
	var all float64
	for _, d := range p.Documents {
		all += sum(d.Weights)
	}
	terminal.Hang(out, "loss", fmt.Sprintf("weighting %s: the weights below add up to %.6g", p.Weighting, all))
	for i, d := range p.Documents {
		fmt.Fprintln(out)
		terminal.Hang(out, fmt.Sprintf("== %d", i+1), fmt.Sprintf("of %s: %s, of source %s",
			human.Count(len(p.Documents), "document"), d.Origin, d.Source))
		terminal.Hang(out, "", fmt.Sprintf("tokens %d to %d of the pack, positions 0 to %d; %s, of weight %.6g in all",
			d.Offset, d.Offset+len(d.IDs), len(d.IDs)-1, human.Count(d.Targets, "target"), sum(d.Weights)))
		if ids {
			v.tokens(out, d)
		} else {
			v.marked(out, d, colour)
		}
	}
	if rest := p.Capacity - p.Tokens; rest > 0 {
		fmt.Fprintln(out)
		terminal.Hang(out, "== padding", fmt.Sprintf("tokens %d to %d, of weight 0", p.Tokens, p.Capacity))
	}
	return nil
}

func sum(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}

// marked writes a document's text.
func (v Laid) marked(out io.Writer, d train.LaidDocument, colour bool) {
	w := &lineWriter{out: out, colour: colour}
	shade := targetStyle
	for i := 0; i < len(d.IDs); {
		text, special := v.Template.Token(d.IDs[i])
		next := i + 1
		for next < len(d.IDs) && d.Target[next] == d.Target[i] && !utf8.ValidString(text) && next-i < utf8.UTFMax {
			more, _ := v.Template.Token(d.IDs[next]) // a character of several tokens
			text += more
			next++
		}
		s := plainStyle
		switch {
		case special && d.Target[i]:
			s = targetSpecialStyle
		case special:
			s = specialStyle
		case d.Target[i]:
			s = shade
			shade = targetStyle + targetStyle2 - shade
		}
		w.bracket(d.Target[i])
		w.write(text, s, d.Target[i])
		i = next
	}
	w.close()
}

// tokens writes a line for each of a document's tokens.
func (v Laid) tokens(out io.Writer, d train.LaidDocument) {
	fmt.Fprintf(out, "  %8s %8s %8s %11s  %s\n", "place", "position", "id", "weight", "text, + for targets")
	for i, id := range d.IDs {
		mark := " "
		if d.Target[i] {
			mark = "+"
		}
		text, special := v.Template.Token(id)
		if text = strconv.Quote(text); special {
			text += "  (special)"
		}
		fmt.Fprintf(out, "%s %8d %8d %8d %11.5g  %s\n", mark, d.Offset+i, d.Positions[i], id, d.Weights[i], text)
	}
}
