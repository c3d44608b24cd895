package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// short writes a number for an axis: 0.5, 20k, 1.5M, 1e-5.
func short(v float64) string {
	size := math.Abs(v)
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if size >= u.size*.9995 {
			return strconv.FormatFloat(v/u.size, 'g', 4, 64) + u.name
		}
	}
	if size < 1e-9 {
		return "0"
	}
	if size < 1e-3 {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
		n, _ := strconv.Atoi(exponent)
		return strings.TrimRight(strings.TrimRight(mantissa, "0"), ".") + "e" + strconv.Itoa(n)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func percent(part, whole float64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*part/whole)
}

// clipped cuts a text to n characters.
func clipped(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
