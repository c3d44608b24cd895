package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mattn/go-runewidth"

	"lwtrain/internal/terminal"
	"lwtrain/report"
)

// Runs prints runs side by side: a table for as many of them as fit into 80 columns, and another one for the rest.
func Runs(out io.Writer, c *report.Comparison) error {
	rows := c.Table()
	names := make([]string, len(c.Runs))
	for i, f := range c.Runs {
		names[i] = runewidth.Truncate(terminal.Printable(f.Name), nameWidth, "…")
	}
	first, widest := 0, 0
	for _, row := range append(rows, append([]string{""}, names...)) {
		first = max(first, runewidth.StringWidth(row[0]))
		for _, cell := range row[1:] {
			widest = max(widest, runewidth.StringWidth(cell))
		}
	}
	beside := max(1, (80-first-2)/(widest+2))
	for from := 0; from < len(names); from += beside {
		to := min(from+beside, len(names))
		if from > 0 {
			fmt.Fprintln(out)
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range append([][]string{append([]string{""}, names...)}, rows...) {
			fmt.Fprintf(w, "%s\t%s\t\n", row[0], strings.Join(row[1+from:1+to], "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, note := range c.Notes {
		fmt.Fprintln(out)
		terminal.Hang(out, "note", note)
	}
	if len(c.Settings) == 0 {
		fmt.Fprintln(out, "\nAll settings are the same.")
		return nil
	}
	fmt.Fprintln(out, "\nSettings that differ:")
	for _, s := range c.Settings {
		fmt.Fprintf(out, "  %s\n", terminal.Printable(s.Key))
		for i, v := range s.Values {
			if v == "" {
				v = "-"
			}
			fmt.Fprintln(out, runewidth.Truncate(fmt.Sprintf("    %-*s %s", nameWidth, names[i], terminal.Printable(v)), 80, "..."))
		}
	}
	return nil
}
