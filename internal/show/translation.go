package show

import (
	"fmt"
	"io"
	"strings"

	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/migrate"
)

// Translation tells what another trainer's config became, and what of it has no counterpart: what changes the result first.
func Translation(w io.Writer, t *migrate.Translation) {
	terminal.Summary(w)("from", "%s: %s for lwtrain %s", t.Trainer, human.Count(len(t.Settings), "key"), t.Command)
	for _, k := range []struct {
		kind  migrate.Kind
		title string
	}{
		{migrate.Missing, "not done here"}, {migrate.Differs, "done otherwise here"}, {migrate.Same, "done here without a key"},
	} {
		keys := map[string][]string{} // by what is said of them
		var texts []string
		for _, n := range t.Notes {
			if n.Kind != k.kind {
				continue
			}
			if keys[n.Text] == nil {
				texts = append(texts, n.Text)
			}
			keys[n.Text] = append(keys[n.Text], n.Shown())
		}
		for i, text := range texts {
			if i == 0 {
				fmt.Fprintf(w, "\n%s:\n", k.title)
			}
			terminal.Paragraph(w, "  "+strings.Join(keys[text], ", ")+":", text)
		}
	}
	fmt.Fprintln(w)
}
