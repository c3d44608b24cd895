// Package show writes what commands have to tell: what a run will do, how it goes and
// what came of it, statistics, single samples.
package show

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"lwtrain/data"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
)

// Warn shows something that does not stop a command.
func Warn(w io.Writer, format string, args ...any) {
	terminal.Paragraph(w, "lwtrain: warning:", fmt.Sprintf(format, args...))
}

// dropNotes says what of the data is not trained on.
func dropNotes(s data.SourceStats) []string {
	out := slices.Clone(s.Notes)
	what, dropped := "dropped: ", s.Dropped
	if s.Paired() {
		const single = "no_counterpart" // of no pair
		what, dropped = "pairs dropped: ", maps.Clone(s.Dropped)
		if n := dropped[single]; n > 0 {
			delete(dropped, single)
			out = append(out, "labelled answers dropped: "+human.Counts(map[string]int{single: n}))
		}
	}
	if s.HeldOutLong > 0 {
		out = append(out, fmt.Sprintf("held out: %s longer than data.max_length, the longest of %s tokens",
			human.Count(s.HeldOutLong, "sample"),
			human.Grouped(s.HeldOutMost)))
	}
	if c := s.HeldOutCut; c.Samples > 0 {
		out = append(out, fmt.Sprintf("held out: %s too long, cut into %s, %s tokens lost", human.Count(c.Samples, "sample"),
			human.Count(c.Pieces, "piece"), human.Grouped(c.LostTokens)))
	}
	if len(dropped) > 0 {
		out = append(out, what+human.Counts(dropped))
	}
	if len(s.Unread) > 0 {
		out = append(out, "keys that are not read: "+human.Counts(s.Unread))
	}
	if s.Cut > 0 {
		out = append(out, fmt.Sprintf("longer than data.max_length: %s cut into %s",
			human.Count(s.Cut, "sample"), human.Count(s.CutPieces(), "piece")))
	}
	if s.LostTokens > 0 {
		out = append(out, human.Count(s.LostTokens, "token")+" lost to data.max_length")
	}
	if s.LostEnds > 0 {
		out = append(out, fmt.Sprintf("the end of %s among them: where to end is not learnt of these", human.Count(s.LostEnds, "answer")))
	}
	return out
}
