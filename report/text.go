package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// short writes a number for an axis: 0.5, 20k, 1.5M, 1e-5.
func short(v float64) string { return shortTo(v, 4) }

func shortTo(v float64, digits int) string {
	size := math.Abs(v)
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if size >= u.size*.9995 {
			return strconv.FormatFloat(v/u.size, 'g', digits, 64) + u.name
		}
	}
	if size > 0 && size < 1e-3 {
		return scientific(v)
	}
	return strconv.FormatFloat(v, 'g', digits, 64)
}

// scientific writes 2.5e-4.
func scientific(v float64) string {
	if v == 0 {
		return "0"
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
	n, _ := strconv.Atoi(exponent)
	return strings.TrimRight(strings.TrimRight(mantissa, "0"), ".") + "e" + strconv.Itoa(n)
}

// alike is how the numbers of an axis are written: all of them in the same way.
func alike(numbers []float64) func(float64) string {
	least, most := math.Inf(1), 0.0
	for _, v := range numbers {
		if v != 0 {
			least, most = min(least, math.Abs(v)), max(most, math.Abs(v))
		}
	}
	if least < 1e-3 && most < 1e-2 {
		return scientific
	}
	return short
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
