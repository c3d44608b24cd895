package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"lwtrain/tokenizer/split"

	"github.com/dlclark/regexp2/v2"
	"pgregory.net/rapid"
)

func compiled(expression string) *split.Pattern { return must(split.Compile(expression)) }

// scanners by the names that testdata/points.json has for them.
var scanners = map[string]*split.Pattern{
	"gpt2":       compiled(patternGPT2),
	"cl100k":     compiled(patternCL100K),
	"qwen":       compiled(patternQwen),
	"digits":     split.Digits(true),
	"digit runs": split.Digits(false),
}

// pieces are the ends of the pieces that a pattern cuts a text into, each a match or between two.
func pieces(p *split.Pattern, s string) (ends []int) {
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

// TestAllCodePointsSplitAndNormalizeAsTheLibrarysDo compares hashes over all
// code points in several contexts (testdata/golden.py --points).
func TestAllCodePointsSplitAndNormalizeAsTheLibrarysDo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	data, err := os.ReadFile("testdata/points.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Pieces, NFC map[string]string }
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	over := func(context, hash string, write func(buf []byte, s string) []byte) {
		h := sha256.New()
		var buf []byte
		for c := range rune(unicode.MaxRune + 1) {
			if utf8.ValidRune(c) {
				buf = write(buf, strings.ReplaceAll(context, "@", string(c)))
				if buf = append(buf, 0xff); len(buf) > 1<<15 {
					h.Write(buf)
					buf = buf[:0]
				}
			}
		}
		h.Write(buf)
		if got := hex.EncodeToString(h.Sum(nil)); got != hash {
			t.Errorf("%q: hash %s, want %s", context, got, hash)
		}
	}
	for key, hash := range want.Pieces {
		name, context, _ := strings.Cut(key, ": ")
		scan := scanners[name]
		over(context, hash, func(buf []byte, s string) []byte {
			i := 0
			for _, end := range pieces(scan, s) {
				buf = append(buf, byte(utf8.RuneCountInString(s[i:end])))
				i = end
			}
			return buf
		})
		if t.Failed() {
			t.Fatalf("scanner %q", name)
		}
	}
	for context, hash := range want.NFC {
		over(context, hash, func(buf []byte, s string) []byte {
			s, _ = newComposer().normalize(s, false)
			return append(buf, s...)
		})
	}
}

// The oracle runs the patterns themselves. It has Go's Unicode version, so that
// it is asked about text whose classes are the same there.
var oracles = map[string]*regexp2.Regexp{
	"gpt2":   regexp2.MustCompile(patternGPT2, regexp2.None),
	"cl100k": regexp2.MustCompile(patternCL100K, regexp2.None),
	"qwen":   regexp2.MustCompile(patternQwen, regexp2.None),
}

var letters, numbers = compiled(`\p{L}`), compiled(`\p{N}`)

func sameClasses(s string) bool {
	for _, r := range s {
		is := func(p *split.Pattern) bool { scan := p.Scan(string(r)); from, end := scan.Next(0); return end > from }
		if is(letters) != unicode.IsLetter(r) || is(numbers) != unicode.IsNumber(r) || classes().of(r)&space != 0 != unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

func checkOracle(t interface {
	Helper()
	Fatalf(string, ...any)
}, s string) {
	t.Helper()
	for name, re := range oracles {
		var want []int
		at, end := 0, 0
		m, err := re.FindStringMatch(s)
		for ; m != nil && err == nil; m, err = re.FindNextMatch(m) {
			if m.RuneIndex != at {
				t.Fatalf("%s leaves a gap in %+q", name, s)
			}
			at += m.RuneLength
			end += len(m.String())
			want = append(want, end)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		if got := pieces(scanners[name], s); !slices.Equal(got, want) {
			t.Fatalf("%s: %+q splits at %v, want %v", name, s, got, want)
		}
	}
}

// scannerText draws text that is hard on the patterns.
func scannerText(t *rapid.T) string {
	parts := []string{"'", "s", "S", "ſ", "t", "re", "VE", "lL", "d", " ", "  ", "\n", "\r", "\t", "\u00a0", "\u3000", "\u0085",
		"1", "23", "४", "½", "a", "Z", "é", "中", "!", "-", "。", "👍", "\u0301", "\u200d", "\x00"}
	pick := rapid.OneOf(rapid.SampledFrom(parts), rapid.Map(rapid.Rune(), func(r rune) string { return string(r) }))
	return strings.Join(rapid.SliceOfN(pick, 0, 24).Draw(t, "parts"), "")
}

func TestScannersEqualTheirPatterns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if s := scannerText(t); sameClasses(s) {
			checkOracle(t, s)
		}
	})
}

func FuzzScanners(f *testing.F) {
	for _, s := range []string{"it's  1234 naïve\n\n x", "'LL don'T \u00a0\u3000中文GPT", "\r\n\t !?\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<12 || !utf8.ValidString(s) || !sameClasses(s) {
			t.Skip("the oracle is asked about short valid text only")
		}
		checkOracle(t, s)
	})
}

// FuzzEncode wants that text survives a round trip and that offsets cover it.
func FuzzEncode(f *testing.F) {
	f.Add("Hello, wörld 中文 <|im_end|>\x00\n", 0)
	f.Add("\xff\xfe broken", 1)
	var toks []*Tokenizer
	for _, name := range []string{"smollm2", "llama3", "qwen", "glm4"} {
		toks = append(toks, loadFixture(f, name))
	}
	f.Fuzz(func(t *testing.T, s string, which int) {
		tok := toks[((which%4)+4)%4]
		ids, spans := tok.Offsets(s)
		for i, id := range ids {
			if id < 0 || int(id) >= tok.VocabSize() || spans[i][0] > spans[i][1] || int(spans[i][1]) > len(s) {
				t.Fatalf("id %d with the span %v in %d bytes", id, spans[i], len(s))
			}
		}
		if got := tok.EncodeText(s); !slices.Equal(got, ids) {
			t.Fatalf("EncodeText gives %v, Offsets %v", got, ids)
		}
	})
}
