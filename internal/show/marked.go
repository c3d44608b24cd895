package show

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"lwtrain/chat"
	"lwtrain/data/record"
)

// How tokens are shown by their mask, in lines of at most 80 columns.

// style is how a piece of text is shown.
type style int

const (
	plainStyle    style = iota
	specialStyle        // a special token of the template
	injectedStyle       // one that a message's own text spells
	targetStyle         // and the next: a target, in two shades
	targetStyle2
	targetSpecialStyle
)

// escapes are the styles on a terminal.
var escapes = map[style]string{
	specialStyle: "\x1b[1m", injectedStyle: "\x1b[1;31m",
	targetStyle: "\x1b[30;42m", targetStyle2: "\x1b[30;102m", targetSpecialStyle: "\x1b[1;30;42m",
}

// lineWriter breaks marked text into lines.
type lineWriter struct {
	out     io.Writer
	colour  bool
	line    strings.Builder
	width   int  // of the line, in columns
	targets bool // the line has some
	open    bool // a bracket
	now     style
}

const gutter = 2 // columns that say whether a line has targets

// writeMarked writes the tokens [from,to) of a rendering.
func writeMarked(out io.Writer, r *chat.Rendered, from, to int, colour bool) {
	w := &lineWriter{out: out, colour: colour}
	mask := r.Mask()
	shade := targetStyle
	for i := from; i < to; {
		text, next := r.Token(i), i+1
		for next < to && mask[next] == mask[i] && !utf8.ValidString(text) { // a character of several tokens
			text += r.Token(next)
			next++
		}
		special := r.Special(i)
		injected := special && slices.Contains(r.Injected, int32(i))
		s := plainStyle
		switch {
		case injected:
			s = injectedStyle
		case special && mask[i] == 1:
			s = targetSpecialStyle
		case special:
			s = specialStyle
		case mask[i] == 1:
			s = shade
			shade = targetStyle + targetStyle2 - shade
		}
		w.bracket(mask[i] == 1)
		w.write(text, s, mask[i] == 1)
		i = next
	}
	w.close()
}

// close ends the text.
func (w *lineWriter) close() {
	w.bracket(false)
	if w.width > 0 {
		w.end()
	}
}

// bracket opens or closes a run of targets, where there is no colour.
func (w *lineWriter) bracket(target bool) {
	if w.colour || target == w.open {
		return
	}
	w.open = target
	if target {
		w.put("⟦", plainStyle, true)
	} else {
		w.put("⟧", plainStyle, true)
	}
}

// write adds a token, on the next line if it fits there and not on this one.
func (w *lineWriter) write(text string, s style, target bool) {
	head, _, _ := strings.Cut(text, "\n")
	if n := runewidth.StringWidth(head); n <= 80-gutter && w.width+n > 80-gutter {
		w.end()
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		w.put(visible(r, text[:size]), s, target)
		if r == '\n' {
			w.end()
		}
		text = text[size:]
	}
}

// put adds what is shown of a character, on the next line if it has no room.
func (w *lineWriter) put(text string, s style, target bool) {
	n := runewidth.StringWidth(text)
	if w.width+n > 80-gutter {
		w.end()
	}
	if w.colour && s != w.now {
		if w.now != plainStyle {
			w.line.WriteString("\x1b[0m")
		}
		w.line.WriteString(escapes[s])
		w.now = s
	}
	w.line.WriteString(text)
	w.width += n
	w.targets = w.targets || target
}

func (w *lineWriter) end() {
	if w.now != plainStyle {
		w.line.WriteString("\x1b[0m")
	}
	fmt.Fprintf(w.out, "%s%s\n", map[bool]string{true: "> ", false: "  "}[w.targets], w.line.String())
	w.line.Reset()
	w.width, w.targets, w.now = 0, false, plainStyle
}

// visible is a character as it is shown: what has no shape of its own, or turns
// the direction of writing, by its name.
func visible(r rune, raw string) string {
	switch {
	case r == '\n':
		return "⏎"
	case r == '\t':
		return "⇥"
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case r < ' ':
		return string(rune(0x2400) + r)
	case unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || unicode.IsSpace(r) && r != ' ' && r != '\u3000':
		return fmt.Sprintf(`\u%04x`, r)
	}
	return raw
}

// printTokens writes a line for each of the tokens [from,to).
func printTokens(out io.Writer, s *record.Rendered, from, to int) {
	mask := s.Mask()
	fmt.Fprintf(out, "  %8s %8s  %s\n", "place", "id", "text, + for targets")
	for i := from; i < to; i++ {
		mark, message := " ", ""
		if mask[i] == 1 {
			mark = "+"
		}
		if m := s.Message(i); m >= 0 {
			message = fmt.Sprintf("  (message %d)", m)
		} else if s.Special(i) {
			message = "  (special)"
		}
		if slices.Contains(s.Injected, int32(i)) {
			message += ", special"
		}
		fmt.Fprintf(out, "%s %8d %8d  %s%s\n", mark, i, s.IDs[i], strconv.Quote(s.Token(i)), message)
	}
}
