package split

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// span is a range of code points, both ends included.
type span struct{ lo, hi rune }

// set is a set of code points: ranges in order that do not touch.
type set []span

var everything = set{{0, utf8.MaxRune}}

// of makes a set of ranges in any order.
func of(spans ...span) set {
	slices.SortFunc(spans, func(a, b span) int { return int(a.lo - b.lo) })
	var out set
	for _, s := range spans {
		if n := len(out); n > 0 && s.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, s.hi)
		} else {
			out = append(out, s)
		}
	}
	return out
}

func (a set) or(b set) set { return of(slices.Concat(a, b)...) }

func (a set) not() set {
	var out set
	next := rune(0)
	for _, s := range a {
		if next < s.lo {
			out = append(out, span{next, s.lo - 1})
		}
		next = s.hi + 1
	}
	if next <= utf8.MaxRune {
		out = append(out, span{next, utf8.MaxRune})
	}
	return out
}

func (a set) and(b set) set { return a.not().or(b.not()).not() }

func (a set) has(r rune) bool {
	i, found := slices.BinarySearchFunc(a, r, func(s span, r rune) int { return int(s.lo - r) })
	return found || i > 0 && r <= a[i-1].hi
}

// categories are the general categories in the order of testdata/tables.py.
var categories = strings.Fields("Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co")

// Bits of classRuns above the index of the general category.
const (
	runShift    = 11
	categoryBit = 1<<5 - 1
	spaceBit    = 1 << 5 // Oniguruma's \s
	wordBit     = 1 << 6 // its \w
	numericBit  = 1 << 7 // Rust's char::is_numeric, of a newer version of Unicode than \p{N}
	hanBit      = 1 << 8 // \p{Han}
)

// where is the set of the code points whose entry in classRuns is wanted.
func where(want func(bits uint32) bool) set {
	var out []span
	for i, run := range classRuns {
		if !want(run) {
			continue
		}
		end := rune(utf8.MaxRune + 1)
		if i+1 < len(classRuns) {
			end = rune(classRuns[i+1] >> runShift)
		}
		out = append(out, span{rune(run >> runShift), end - 1})
	}
	return of(out...)
}

func withBit(bit uint32) func() set {
	return sync.OnceValue(func() set { return where(func(bits uint32) bool { return bits&bit != 0 }) })
}

var (
	spaces  = withBit(spaceBit)
	words   = withBit(wordBit)
	numeric = withBit(numericBit)
	han     = withBit(hanBit)
)

// property is the set that \p{name} stands for: a general category (Lu), all of those that begin alike (L), or Han.
func property(name string) (set, bool) {
	if strings.EqualFold(name, "Han") {
		return han(), true
	}
	if name == "" || len(name) > 2 {
		return nil, false
	}
	name = strings.ToUpper(name[:1]) + strings.ToLower(name[1:])
	var wanted [32]bool
	found := false
	for i, c := range categories {
		if c == name || c[:1] == name {
			wanted[i], found = true, true
		}
	}
	if !found {
		return nil, false
	}
	return where(func(bits uint32) bool { return wanted[bits&categoryBit] }), true
}

// folded is a set of ASCII characters and others as they stand, with what is equal to them but for letter case: the
// other case, and of s and k the long s and the sign of Kelvin.
func (a set) folded() set {
	var more []span
	for c := 'a'; c <= 'z'; c++ {
		upper := c - 'a' + 'A'
		if !a.has(c) && !a.has(upper) {
			continue
		}
		more = append(more, span{c, c}, span{upper, upper})
		switch c {
		case 's':
			more = append(more, span{'\u017f', '\u017f'})
		case 'k':
			more = append(more, span{'\u212a', '\u212a'})
		}
	}
	return a.or(of(more...))
}
