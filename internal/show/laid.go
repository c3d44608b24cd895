package show

import (
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"lwtrain/chat"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/train"
)

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
		terminal.Hang(out, fmt.Sprintf("== %d", i+1), fmt.Sprintf("of %s: %s, of source %s", human.Count(len(p.Documents), "document"), d.Origin, d.Source))
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
