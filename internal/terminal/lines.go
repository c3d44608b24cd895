// Package terminal writes for people, in lines of at most 80 columns: labels with text
// beside them, texts cut short, and how far a long piece of work is.
package terminal

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// IsTerminal reports whether a reader or writer is a terminal that can draw a
// line again.
func IsTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// Columns is how wide a terminal is; of what is none, 80.
func Columns(v any) int {
	if f, ok := v.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return wide
}

// Printable keeps control characters of file names and contents away from the
// terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}

// PrintableText is [Printable] of a text of several lines: their ends and tabs stay.
func PrintableText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '?'
		}
		return r
	}, s)
}

// wide is how many columns a line has at most.
const wide = 80

// Labelled prints lines of a summary, each behind its label.
func Labelled(w io.Writer) func(label, format string, args ...any) {
	return func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", label, Printable(fmt.Sprintf(format, args...)))
	}
}

// Summary is [Labelled], and hangs what is too wide for a line.
func Summary(w io.Writer) func(label, format string, args ...any) {
	return func(label, format string, args ...any) {
		text := Printable(fmt.Sprintf(format, args...))
		if line := fmt.Sprintf("%-9s %s", label, text); runewidth.StringWidth(line) <= wide {
			fmt.Fprintln(w, line)
			return
		}
		Hang(w, label, text)
	}
}

// Fitting is [Labelled], and hangs what is too wide for a line of a terminal. Elsewhere lines may be searched for.
func Fitting(w io.Writer) func(label, format string, args ...any) {
	if !IsTerminal(w) {
		return Labelled(w)
	}
	return func(label, format string, args ...any) {
		hang(w, fmt.Sprintf("%-9s", label), 11, fmt.Sprintf(format, args...))
	}
}

// Hang writes a label and text beside it, in lines of at most 80 columns.
func Hang(w io.Writer, label, text string) { hang(w, fmt.Sprintf("%-9s", label), 9, text) }

// Paragraph writes a text with what it begins with: on a terminal in lines of at most 80 columns, of which all
// but the first are indented, elsewhere, where it may be searched for, in one.
func Paragraph(w io.Writer, begin, text string) {
	if IsTerminal(w) {
		hang(w, begin, 3, text)
		return
	}
	fmt.Fprintln(w, begin, Printable(text))
}

// hang writes text behind a beginning; its other lines have so many blanks, and one, before them.
func hang(w io.Writer, line string, indent int, text string) {
	empty := true
	for _, word := range strings.Fields(Printable(text)) {
		if !empty && runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > wide {
			fmt.Fprintln(w, line)
			line = strings.Repeat(" ", indent)
		}
		line, empty = line+" "+word, false
	}
	fmt.Fprintln(w, line)
}

// Beside writes two texts beside each other, in lines of at most 80 columns.
func Beside(left, right string) string {
	const width, between = 38, "  | "
	a, b := lines(left, width), lines(right, width)
	var out strings.Builder
	for i := range max(len(a), len(b)) {
		first, second := "", ""
		if i < len(a) {
			first = a[i]
		}
		if i < len(b) {
			second = b[i]
		}
		blanks := strings.Repeat(" ", max(0, width-runewidth.StringWidth(first)))
		out.WriteString(strings.TrimRight(first+blanks+between+second, " ") + "\n")
	}
	return out.String()
}

// lines are those of a text, none wider than so many columns; between paragraphs one is empty.
func lines(text string, width int) (out []string) {
	for paragraph := range strings.Lines(strings.TrimSpace(text)) {
		rest := strings.TrimSpace(Printable(strings.TrimRight(paragraph, "\r\n")))
		if rest == "" {
			out = append(out, "")
		}
		for rest != "" {
			head := runewidth.Truncate(rest, width, "")
			if len(head) < len(rest) {
				if at := strings.LastIndexByte(head, ' '); at > width/2 {
					head = head[:at]
				}
			}
			out = append(out, strings.TrimSpace(head))
			rest = strings.TrimSpace(rest[len(head):])
		}
	}
	return out
}

// Wrapped writes text in lines of at most 76 columns behind four blanks, and of
// many lines the first and the last ones.
func Wrapped(text string, first, last int) string {
	const width = 76
	lines := slices.DeleteFunc(lines(text, width), func(line string) bool { return line == "" })
	if len(lines) > first+last {
		lines = slices.Concat(lines[:first], []string{"..."}, lines[len(lines)-last:])
	}
	var out strings.Builder
	for _, line := range lines {
		out.WriteString("    " + line + "\n")
	}
	return out.String()
}

// ShellWord is a text as a shell reads it.
func ShellWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("-_=./:,+%@", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
