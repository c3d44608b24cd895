package split

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// golden is testdata/golden.json.
type golden struct {
	Texts    []string
	Patterns []struct {
		Pattern string
		Ends    [][]int // of the pieces of each text
	}
	Hashes []struct{ Pattern, Context, Hash string }
}

func readGolden(t testing.TB) (g golden) {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func compiled(t testing.TB, expression string) *Pattern {
	t.Helper()
	p, err := Compile(expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return p
}

// pieces are the ends of matches and of what lies between them.
func pieces(p *Pattern, s string) []int {
	ends := []int{}
	scan := p.Scan(s)
	for i := 0; i < len(s); {
		start, end := scan.Next(i)
		if start > i {
			ends = append(ends, start)
		}
		if end > start {
			ends = append(ends, end)
		}
		i = end
	}
	return ends
}

func TestPiecesAreOnigurumas(t *testing.T) {
	g := readGolden(t)
	for _, row := range g.Patterns {
		p := compiled(t, row.Pattern)
		for i, text := range g.Texts {
			if got := pieces(p, text); !slices.Equal(got, row.Ends[i]) {
				t.Errorf("%s: %+q splits at %v, want %v", row.Pattern, text, got, row.Ends[i])
			}
		}
	}
}

func TestAllCodePointsSplitAsOnigurumaSplitsThem(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, row := range readGolden(t).Hashes {
		p := compiled(t, row.Pattern)
		h := sha256.New()
		var buf []byte
		for c := range rune(unicode.MaxRune + 1) {
			if !utf8.ValidRune(c) {
				continue
			}
			s, i := strings.ReplaceAll(row.Context, "@", string(c)), 0
			for _, end := range pieces(p, s) {
				buf = append(buf, byte(utf8.RuneCountInString(s[i:end])))
				i = end
			}
			if buf = append(buf, 0xff); len(buf) > 1<<15 {
				h.Write(buf)
				buf = buf[:0]
			}
		}
		h.Write(buf)
		if got := hex.EncodeToString(h.Sum(nil)); got != row.Hash {
			t.Errorf("%s in %q: hash %s, want %s", row.Pattern, row.Context, got, row.Hash)
		}
	}
}

func TestWhatIsNotKnownIsRefusedWithItsPlace(t *testing.T) {
	for _, row := range []struct{ expression, want string }{
		{`(?<=a)b`, `"(?<" at byte 0: a group of a kind that is not known`},
		{`a(?>b+)`, `"(?>" at byte 1: a group of a kind that is not known`},
		{`a(?!bc)`, `"(?!bc" at byte 1: an assertion about more than one character`},
		{`(?:ab)++`, `"(?:ab)++" at byte 0: a possessive quantifier of more than one character`},
		{`(?i:st)`, `"t" at byte 5: two letters that one character is equal to but for case`},
		{`(?i:é)`, `"é" at byte 4: a character beyond ASCII where case does not count`},
		{`(?i:\p{Lu})`, `"\\p{Lu}" at byte 4: a class where case does not count`},
		{`(?i:[^a])`, `"[^" at byte 4: a negated class where case does not count`},
		{`\p{Greek}`, `"\\p{Greek}" at byte 0: want a general category or Han`},
		{`\bword`, `"\\b" at byte 0: an escape that is not known`},
		{`^a`, `"^" at byte 0: not known there`},
		{`a**`, `"*" at byte 2: not known there`},
		{`a{2}*`, `"a{2}*" at byte 0: a quantifier of a quantifier`},
		{`[\w-]`, `"\\" at byte 1: \w in a class, which is another set there`},
		{`(?:a*)*`, `"(?:a*)*" at byte 0: a quantifier of what may be nothing`},
		{`a{2}?`, `"a{2}?" at byte 0: {n}?, which others read in another way`},
		{`a{1,1000}`, `"{1,1000}" at byte 1: want {n,m} of numbers up to 64`},
		{`[[:alpha:]]`, `"[" at byte 1: a POSIX class`},
		{`[ab`, `"[ab" at byte 0: a class that does not end`},
		{`(ab`, `"(ab" at byte 0: a group that does not end`},
		{`ab)`, `")" at byte 2: no group is open, want one`},
		{`a*`, `it may match nothing, want one that takes a character at least`},
		{`\`, `"\\" at byte 0: a backslash at the end`},
		{strings.Repeat("(", 40) + "a" + strings.Repeat(")", 40), `"(" at byte 32: groups in each other, want at most 32`},
		{`(?:(?:a{64}){64}){64}`, `more than 2048 steps or 64 classes, want fewer`},
		{`(?:a|b)*a(?:a|b){20}`, `its automaton has more than 32768 entries, want fewer`},
	} {
		_, err := Compile(row.expression)
		if err == nil || err.Error() != row.want {
			t.Errorf("%s: error %q, want %q", row.expression, err, row.want)
		}
	}
}

// TestHostileTextsTakeLinearTime has patterns that read on to the end of a text behind each of their matches.
func TestHostileTextsTakeLinearTime(t *testing.T) {
	for _, row := range []struct{ expression, text string }{
		{`a+b|a`, "a"},
		{`(?:a|aa)+b|a`, "aa"},
		{`\s*[\r\n]|\s`, " "},
		{`[^b]*b|a`, "ac"},
		{`a+b`, "a"},
	} {
		p, text := compiled(t, row.expression), strings.Repeat(row.text, 1<<20)
		began := time.Now()
		n := len(pieces(p, text))
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: %v for %d bytes in %d pieces", row.expression, took, len(text), n)
		}
	}
}

// TestFarBehindAMatchNothingIsLost compares what is remembered of a text with reading it anew for each match.
func TestFarBehindAMatchNothingIsLost(t *testing.T) {
	for _, expression := range []string{`a+b|a`, `(?:a|c)*(?:b|ca)|a|c`, `\s*[\r\n]+|\s+(?!\S)|\s+|[ac]*b|[ac]`} {
		p := compiled(t, expression)
		for seed := range uint32(200) {
			var b strings.Builder
			for n := seed; b.Len() < 600; n = n*1664525 + 1013904223 {
				b.WriteString(strings.Repeat(string("acac \n"[n>>16%6]), int(n>>24)%90))
				if n>>20&15 == 0 {
					b.WriteByte('b')
				}
			}
			s := b.String()
			var want []int
			for i := 0; i < len(s); {
				fresh := p.Scan(s)
				start, end := fresh.Next(i)
				if start > i {
					want = append(want, start)
				}
				if end > start {
					want = append(want, end)
				}
				i = end
			}
			if got := pieces(p, s); !slices.Equal(got, want) {
				t.Fatalf("%s: %q splits at %v, want %v", expression, s, got, want)
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, row := range readGolden(f).Patterns {
		f.Add(row.Pattern, "it's  1234 naïve\n\n x")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		p, err := Compile(expression)
		if err != nil || !utf8.ValidString(text) || text == "" {
			return
		}
		ends := pieces(p, text)
		if !slices.IsSorted(ends) || ends[len(ends)-1] != len(text) {
			t.Fatalf("%q splits %q at %v", expression, text, ends)
		}
	})
}
