package show

import (
	"fmt"
	"io"

	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/push"
)

// Pushed tells what a push sent or, of a dry run, would send.
func Pushed(w io.Writer, s *push.Sending) {
	if p := s.Pushed; p != nil {
		fmt.Fprintf(w, "%s\n", terminal.Printable(p.Page))
		switch {
		case p.Commit == "":
			fmt.Fprintln(w, "nothing is new: the repository holds the same files")
		default:
			fmt.Fprintf(w, "%s sent, commit %.12s\n", human.Count(len(p.Sent), "file"), terminal.Printable(p.Commit))
		}
		if s.Card == nil {
			fmt.Fprintln(w, "README.md there is kept (--new-card makes it anew)")
		} else {
			fmt.Fprintln(w, "README.md: licence, language and purpose are for you to fill in")
		}
		return
	}
	for _, f := range s.Files {
		fmt.Fprintf(w, "%12d  %s\n", max(f.Size, int64(len(f.Content))), terminal.Printable(f.Path))
	}
	if s.Card != nil {
		fmt.Fprintf(w, "\n%s", s.Card)
	}
}
