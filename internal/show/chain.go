package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"lwtrain/chain"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
)

// ChainPlan says what the steps of a chain are, how far each is and, where they are asked for, their commands.
func ChainPlan(w io.Writer, r *chain.Run, commands bool) {
	if r.Chain.About != "" {
		terminal.Hang(w, "chain", r.Chain.About)
	}
	terminal.Hang(w, "folder", r.Chain.Dir+", a folder in it for each step")
	for i, s := range r.Steps {
		state := string(s.State)
		switch s.State {
		case chain.Done:
			state += " in " + human.Span(s.Took)
			if by := r.Waits(i); by != "" {
				state += ", and looked at again behind " + by
			}
		case chain.Begun:
			state += ": it goes on"
		case chain.Failed:
			state += ": its command is given again, and goes on"
		case chain.Changed:
			state += ": " + s.Why + "; its command says what that means"
		}
		terminal.Hang(w, fmt.Sprintf("step %d", i+1), s.Name+", "+state)
		if s.About != "" {
			terminal.Hang(w, "", s.About)
		}
		if commands {
			terminal.Hang(w, "", "lwtrain "+strings.Join(s.Line(), " "))
		}
	}
}

// ChainStep is the head over what a step's command says.
func ChainStep(w io.Writer, r *chain.Run, i int) {
	s := r.Steps[i]
	fmt.Fprintf(w, "\n=== step %d of %d: %s (lwtrain %s)\n", i+1, len(r.Steps), s.Name, strings.Join(s.Command, " "))
}

// ChainResult says how far each step is, how long it took, and what came of it.
func ChainResult(w io.Writer, r *chain.Run) {
	fmt.Fprintln(w)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "step\tstate\ttime\tfigure")
	var all time.Duration
	for _, s := range r.Steps {
		state, took := string(s.State), "-"
		if s.Before {
			state += " before"
		}
		if s.Took > 0 {
			took = human.Span(s.Took)
		}
		all += s.Took
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", s.Name, state, took, terminal.Printable(s.Figure))
	}
	fmt.Fprintf(out, "\t\t%s\t%s\n", human.Span(all), terminal.Printable(r.Chain.Dir))
	out.Flush()
}
