// Package human writes numbers, amounts and times as people read them.
package human

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Grouped writes a whole number with commas: 1,234,567.
func Grouped[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Short writes a figure of no known unit: four of its digits, or the whole of it, and none beyond a ten-thousandth.
func Short(v float64) string {
	v = math.Round(v*1e4) / 1e4
	switch {
	case v == 0:
		return "0" // not -0
	case math.Abs(v) >= 1000:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// Speed writes how much is done in a second: 1,234, and of little two digits, 3.4 or 0.034.
func Speed(v float64) string {
	if v == 0 || v >= 10 {
		return Grouped(int(math.Round(v)))
	}
	return fmt.Sprintf("%.2g", v)
}

// Scaled writes a large number short: 134.5M.
func Scaled[T int | int64 | float64](n T) string {
	v := float64(n)
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

// Bytes writes an amount of memory or disk: 1.50 GiB.
func Bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}

// Count writes how many there are of something: 1 step, 1,200 steps.
func Count[T int | int64](n T, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Grouped(n) + " " + what + "s"
}

// Counts lists counts by name: "no_target 1, too_long 3".
func Counts(counts map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, k+" "+Grouped(counts[k]))
	}
	return strings.Join(parts, ", ")
}

// Span writes how long something takes: 42s, 3m12s, 2h05m, 4d03h.
func Span(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}

// OfFree follows what memory is taken: " of 3.2 GiB free". Where a system tells nothing of what is free it is taken to be more
// than any machine has, and that is no figure to show.
func OfFree(free int64) string {
	if free >= 1<<49 {
		return "; this system does not say how much is free"
	}
	return fmt.Sprintf(" of %s free", Bytes(free))
}
