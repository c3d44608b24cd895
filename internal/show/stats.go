package show

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mattn/go-runewidth"

	"lwtrain/data"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/packing"
	"lwtrain/report"
)

// How statistics look in a terminal of 80 columns.

// nameWidth is the room for the name of a source.
const nameWidth = 14

func shortName(s string) string { return runewidth.Truncate(terminal.Printable(s), nameWidth, "…") }

// Stats prints statistics of data.
func Stats(out io.Writer, s *data.Stats) error {
	all, unit := s.All(), report.UnitOf(s)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "source\t%ss\theld out\tturns\twords\ttokens\ttargets\t\n", unit.Name)
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", shortName(c.Name), human.Grouped(c.Samples/unit.Samples),
			human.Grouped(c.HeldOut/unit.Samples), human.Grouped(c.Turns), human.Grouped(c.Words), human.Grouped(c.Tokens),
			human.Grouped(c.TargetTokens))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	printNotes(out, s, unit)
	for _, c := range s.Sources {
		if c.HeldOut == c.Samples {
			continue
		}
		if e := c.Epoch; e.Samples > c.Pieces || e.Samples < c.Pieces-c.HeldOut { // repeated, or drawn
			fmt.Fprintf(out, "%s: an epoch has %s, %s tokens, %.1f %% of the mix\n",
				terminal.Printable(c.Name), human.Count(e.Samples/unit.Samples, unit.Name),
				human.Grouped(e.Tokens), 100*float64(e.Tokens)/float64(max(s.Mix.Epoch.Tokens, 1)))
		}
	}

	for _, side := range unit.Sides() {
		printLengths(out, "words of the "+side.Name+" answers", all, side.Words)
		printLengths(out, "target tokens of the "+side.Name+" answers", all, side.Tokens)
	}
	if len(unit.Sides()) == 0 {
		printLengths(out, "words of the answers", all, func(c *data.TextStats) data.Lengths { return c.Lengths.OutputWords })
	}
	printLengths(out, "words of the prompts", all, func(c *data.TextStats) data.Lengths { return c.Lengths.PromptWords })
	printLengths(out, "tokens", all, func(c *data.TextStats) data.Lengths { return c.Lengths.Tokens })
	for _, side := range unit.Sides() {
		printBuckets(out, unit.Name+"s by words of the "+side.Name+" answers", side.Of(&s.Mix).Buckets)
	}
	if len(unit.Sides()) == 0 { // weightings are those of packs
		printBuckets(out, "samples by words of the answers", s.Mix.Buckets)
		if err := printShares(out, s); err != nil {
			return err
		}
	}
	printFindings(out, s, unit)
	return nil
}

// printNotes says what is not used of each source, and of several together as a run does.
func printNotes(out io.Writer, s *data.Stats, unit report.Unit) {
	told := 0
	for _, c := range s.All() {
		notes := dropNotes(c.SourceStats)
		if c.Paired() && unit.Samples == 1 {
			notes = append(notes, human.Count(c.Pairs, "pair")+", of two samples each")
		}
		if c == &s.Mix {
			notes = dropNotes(data.SourceStats{
				Samples: c.Samples, Pairs: c.Pairs, Pieces: c.Pieces, Dropped: c.Dropped, Cut: c.Cut, LostTokens: c.LostTokens,
			})
			if told < 2 {
				return
			}
		}
		for _, note := range notes {
			fmt.Fprintf(out, "%s: %s\n", terminal.Printable(c.Name), note)
		}
		told += min(len(notes), 1)
	}
}

// printLengths prints a row of percentiles and a small histogram for each
// source.
func printLengths(out io.Writer, title string, all []*data.TextStats, of func(*data.TextStats) data.Lengths) {
	const bars = 25 // 1 to 10,000 and more, six to a power of ten
	fmt.Fprintf(out, "\n%s\n%*s  %6s %6s %6s %8s  %s\n",
		title, nameWidth, "", "5 %", "median", "95 %", "longest", "1     10    100   1k    10k")
	for _, c := range all {
		l := of(c)
		name := runewidth.FillLeft(shortName(c.Name), nameWidth)
		if len(l.Histogram) == 0 {
			fmt.Fprintf(out, "%s  %6s %6s %6s %8s\n", name, "-", "-", "-", "-")
			continue
		}
		fmt.Fprintf(out, "%s  %6s %6s %6s %8s  %s\n", name, amount(l.P5), amount(l.P50), amount(l.P95),
			human.Grouped(l.Max), sparkline(l.Histogram, bars))
	}
}

// amount writes a count in at most six columns.
func amount(n int64) string {
	if n < 100_000 {
		return human.Grouped(n)
	}
	return human.Scaled(n)
}

// sparkline draws the bars of a histogram that begin at 1 or above, the last
// one for all that is longer.
func sparkline(counts []int64, bars int) string {
	first, _ := slices.BinarySearch(data.HistogramEdges, 1)
	heights := make([]int64, bars)
	for i, n := range counts {
		if i >= first {
			heights[min(i-first, bars-1)] += n
		}
	}
	most := max(slices.Max(heights), 1)
	var b strings.Builder
	for _, n := range heights {
		switch {
		case n == 0:
			b.WriteByte(' ')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[(n*8-1)/most])
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// printBuckets prints the samples in each of LongBench-Write's ranges.
func printBuckets(out io.Writer, title string, buckets []data.Bucket) {
	const width = 30
	fmt.Fprintf(out, "\n%s\n", title)
	most, all := 1, 0
	for _, b := range buckets {
		most, all = max(most, b.Samples), all+b.Samples
	}
	for _, b := range buckets {
		fmt.Fprintf(out, "%*s  %s %s, %.1f %%\n", nameWidth, b.Name, bar(b.Samples, most, width),
			human.Grouped(b.Samples), 100*float64(b.Samples)/float64(max(all, 1)))
	}
}

// bar is a bar of at most width columns, in eighths.
func bar(n, most, width int) string {
	eighths := (n*width*8 + most/2) / most
	if n > 0 && eighths == 0 {
		eighths = 1
	}
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// printShares prints who carries how much of the loss under each weighting.
func printShares(out io.Writer, s *data.Stats) error {
	if s.Weighting == "" {
		return nil
	}
	fmt.Fprintf(out, "\nshare of the loss, by weighting (this config: %s)\n", s.Weighting)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(packing.Told(s.Weighting), "\t"))
	row := func(name string, shares map[string]float64) {
		if shares == nil {
			return
		}
		fmt.Fprintf(w, "%s\t", name)
		for _, weighting := range packing.Told(s.Weighting) {
			fmt.Fprintf(w, "%.1f %%\t", 100*shares[weighting])
		}
		fmt.Fprintln(w)
	}
	for _, c := range s.Sources {
		row(shortName(c.Name), c.LossShare)
	}
	for _, b := range s.Mix.Buckets {
		row(b.Name+" words", b.LossShare)
	}
	return w.Flush()
}

// printFindings prints what deserves a look.
func printFindings(out io.Writer, s *data.Stats, unit report.Unit) {
	c := &s.Mix
	fmt.Fprintln(out)
	line := func(label, format string, args ...any) {
		for i, text := range strings.Split(strings.TrimRight(indented(terminal.Printable(fmt.Sprintf(format, args...)), 64), "\n"), "\n") {
			if i > 0 {
				label = ""
			}
			fmt.Fprintf(out, "%-11s %s\n", label, text)
		}
	}
	var parts []string
	for _, name := range []string{"en", "zh", "mixed", "other"} {
		if n := c.Languages[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", name, human.Grouped(n)))
		}
	}
	line("languages", "%s", cmp.Or(strings.Join(parts, ", "), "-"))
	line("duplicates", "%s equal to an earlier one", human.Count(c.Duplicates, unit.Single))
	label := "suspicious"
	for _, name := range slices.Sorted(maps.Keys(c.Suspicious)) {
		x := c.Suspicious[name]
		if x.Samples == 0 {
			continue
		}
		line(label, "%s %s: %s%s", strings.ReplaceAll(name, "_", " "), human.Grouped(x.Samples),
			strings.Join(x.Examples, ", "), map[bool]string{true: ", ..."}[x.Samples > len(x.Examples)])
		label = ""
	}
	if label != "" {
		line(label, "nothing")
	}
	asked := func(label, of string, r data.Required) {
		prompts := human.Grouped(r.Samples) + " prompts state"
		if r.Samples == 1 {
			prompts = "1 prompt states"
		}
		line(label, "%s%s a length; mean score S_l %.1f, %s of them at 80 or more; "+
			"the median answer has %.2f times the words asked for", of, prompts, r.Score, human.Grouped(r.Good), r.MedianRatio)
	}
	label = "asked for"
	for _, side := range unit.Sides() {
		if r := side.Of(c).Required; r != nil {
			asked(label, side.Name+": ", *r)
			label = ""
		}
	}
	if c.Required.Samples > 0 && len(unit.Sides()) == 0 {
		asked(label, "", c.Required)
	}
	longer := func(n int64) string { return human.Grouped(n) }
	if unit.Samples > 1 {
		longer = func(n int64) string { return human.Count(n, unit.Single) }
	}
	label = "max_length"
	for _, l := range c.Limits {
		line(label, "%s: %s longer, %s tokens behind it", human.Grouped(l.MaxLength), longer(l.Longer), human.Grouped(l.LostTokens))
		label = ""
	}
	label = "longest"
	for _, l := range c.Longest[:min(3, len(c.Longest))] {
		line(label, "%s words, %s tokens: %s", human.Grouped(l.Words), human.Grouped(l.Tokens), l.Origin)
		label = ""
	}
}

// indented breaks a text into lines of at most width columns at blanks.
func indented(text string, width int) string {
	var b strings.Builder
	used := 0
	for _, word := range strings.Fields(text) {
		n := runewidth.StringWidth(word)
		switch {
		case used == 0:
		case used+1+n > width:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// StatsDiff prints two versions of the data side by side: what differs, and
// samples and tokens.
func StatsDiff(out io.Writer, now, before *data.Stats, name string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\tthis\t%s\tchange\t\n", runewidth.Truncate(terminal.Printable(name), 24, "…"))
	source := ""
	for _, d := range report.Compare(now, before) {
		if !d.Shown() {
			continue
		}
		if d.Source != source {
			source = d.Source
			fmt.Fprintf(w, "%s\t\t\t\t\n", shortName(source))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", d.Measure, d.Now, d.Before, d.Change)
	}
	return w.Flush()
}
