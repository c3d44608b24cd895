package prose

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestANumberIsReadHoweverItIsWritten writes numbers in all forms that are known.
func TestANumberIsReadHoweverItIsWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 3000 {
		n := shortest + r.IntN(1+[]int{90, 990, 9_990, 99_990, 999_990}[r.IntN(5)])
		grouped := func(by string) string {
			s := fmt.Sprint(n)
			for i := len(s) - 3; i > 0; i -= 3 {
				s = s[:i] + by + s[i:]
			}
			return s
		}
		english, chinese := inEnglish(n), inChinese(n)
		forms := map[string]string{
			"Write %s words on tides.": fmt.Sprint(n), "a %s-word story": grouped(","), "%s words": grouped(" "),
			"(%s words)":        grouped("\u202f"),
			"Exactly %s words!": grouped("'"), "in %s words or so": grouped("_"), "Write **%s** words": grouped("\u00a0"),
			"Write %s words, please": english, "a %s-word novel": strings.ReplaceAll(english, " ", "-"), "Word count: %s.": grouped(","),
			"写%s字": fmt.Sprint(n), "一篇%s字的文章": grouped(","), "大约%s字左右": chinese, "字数要求：%s": grouped("，"), "请写%s个字": wide(fmt.Sprint(n)),
			"字数%s字": chinese, "words: %s": english,
		}
		if n >= 1000 {
			forms["about %s words"] = grouped(".")
			forms["a story of %sk words"] = fmt.Sprint(n/100*100/1000, ".", n/100%10)
			forms["Write %s thousand words"] = fmt.Sprint(n/100*100/1000, ".", n/100%10)
		}
		for form, written := range forms {
			want := n
			if strings.Contains(form, "sk ") || strings.Contains(form, "thousand") {
				want = n / 100 * 100
				written = strings.ReplaceAll(written, " ", "")
			}
			if got := StatedLength(fmt.Sprintf(form, written)); got != (Length{int32(want), int32(want)}) {
				t.Fatalf("StatedLength(%q) = %v; want %d", fmt.Sprintf(form, written), got, want)
			}
		}
	}
}

var upToTwenty = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen " +
	"seventeen eighteen nineteen")

func inEnglish(n int) string {
	tens := strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")
	with := func(s string, rest int, and string) string {
		if rest > 0 {
			s += and + inEnglish(rest)
		}
		return s
	}
	switch {
	case n < 20:
		return upToTwenty[n]
	case n < 100:
		return with(tens[n/10], n%10, "-")
	case n < 1000:
		return with(upToTwenty[n/100]+" hundred", n%100, []string{" ", " and "}[n%2])
	}
	return with(inEnglish(n/1000)+" thousand", n%1000, " ")
}

func inChinese(n int) string {
	if n >= 10_000 {
		s := inChinese(n/10_000) + "万"
		switch rest := n % 10_000; {
		case rest == 0:
			return s
		case rest < 1000:
			return s + "零" + inChinese(rest)
		default:
			return s + inChinese(rest)
		}
	}
	s, gap := "", false
	for _, u := range []struct {
		size int
		name string
	}{{1000, "千"}, {100, "百"}, {10, "十"}, {1, ""}} {
		digit := n / u.size % 10
		if digit == 0 {
			gap = s != ""
			continue
		}
		if gap {
			s += "零"
		}
		gap = false
		s += string([]rune("零一二三四五六七八九")[digit]) + u.name
	}
	return s
}

// wide writes digits in full width.
func wide(s string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, s)
}

// TestTheTailOfANumberIsNone strings digits and separators together: what is read has all of
// the digits, or it is nothing.
func TestTheTailOfANumberIsNone(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 2))
	for range 20_000 {
		written := ""
		for range 1 + r.IntN(4) {
			written += []string{"", ",", ".", "'", " ", "_", " ", ","}[r.IntN(8)]
			for range 1 + r.IntN(4) {
				written += fmt.Sprint(r.IntN(10))
			}
		}
		all := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, written)
		for _, form := range []string{"Write %s words", "写%s字", "字数：%s", "Word count: %s"} {
			prompt := fmt.Sprintf(form, written)
			got := StatedLength(prompt)
			digits := strings.TrimLeft(all, "0")
			if n := fmt.Sprint(got.Words()); got != (Length{}) && n != digits && n != strings.TrimRight(digits, "0") &&
				!strings.HasPrefix(digits, n+"0") {
				t.Fatalf("StatedLength(%q) = %v; want %s, or nothing", prompt, got, all)
			}
		}
	}
}

// FuzzStatedLength wants bounds in order and in reach, whatever the prompt.
func FuzzStatedLength(f *testing.F) {
	for _, c := range slices.Concat(lengthCases, textCases, boundCases) {
		for prompt := range c.lengths {
			f.Add(prompt)
		}
	}
	f.Add("Word" + strings.Repeat("\x88", 100)) // no character begins there
	f.Fuzz(func(t *testing.T, prompt string) {
		l := StatedLength(prompt)
		in := func(n int32) bool { return n == 0 || shortest <= n && n <= longest }
		if !in(l.Min) || !in(l.Max) || l.Max > 0 && l.Min > l.Max {
			t.Errorf("StatedLength(%q) = %v", prompt, l)
		}
	})
}
