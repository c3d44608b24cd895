package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// How numbers and texts are written in reports, at most 80 columns wide.

// grouped writes a whole number with commas: 1,234,567.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// scaled writes a large number short: 134.5M.
func scaled(v float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= u.size {
			return fmt.Sprintf("%.1f%s", v/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f", v)
}

// bytesText writes an amount of memory.
func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}

// countsText lists counts by name: "too_long 3, no_target 1".
func countsText(counts map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %s", k, grouped(int64(counts[k]))))
	}
	return strings.Join(parts, ", ")
}

// wrapped writes text in lines of at most 76 columns behind four blanks, and of
// many lines the first and the last ones.
func wrapped(text string, first, last int) string {
	const width = 76
	var lines []string
	for paragraph := range strings.Lines(strings.TrimSpace(text)) {
		rest := strings.TrimSpace(printable(strings.TrimRight(paragraph, "\r\n")))
		for rest != "" {
			head := runewidth.Truncate(rest, width, "")
			if len(head) < len(rest) {
				if at := strings.LastIndexByte(head, ' '); at > width/2 {
					head = head[:at]
				}
			}
			lines = append(lines, strings.TrimSpace(head))
			rest = strings.TrimSpace(rest[len(head):])
		}
	}
	if len(lines) > first+last {
		lines = slices.Concat(lines[:first], []string{"..."}, lines[len(lines)-last:])
	}
	var out strings.Builder
	for _, line := range lines {
		out.WriteString("    " + line + "\n")
	}
	return out.String()
}

// hang writes a label and text beside it, in lines of at most 80 columns.
func hang(w io.Writer, label, text string) {
	const width, indent = 80, 10
	line, empty := fmt.Sprintf("%-*s", indent-1, label), true
	for _, word := range strings.Fields(printable(text)) {
		if !empty && runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > width {
			fmt.Fprintln(w, line)
			line = strings.Repeat(" ", indent-1)
		}
		line, empty = line+" "+word, false
	}
	fmt.Fprintln(w, line)
}
