package sift

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/prose"
)

// Pieces of the expressions for what a model leaves of its plan.
const (
	ordinals  = `(?:[0-9０-９]{1,3}|[一二三四五六七八九十百]{1,4}|one|two|three|four|five|six|seven|eight|nine|ten)`
	naming    = `(?:paragraph ?#?` + ordinals + `|段落 ?` + ordinals + `|第 ?` + ordinals + ` ?(?:自然段|段落|段))`
	openMarks = `[#>*_\[【(（ \t]*`
	shutMarks = `[*_\]】)） \t]*`
)

var (
	// identifier is a line that says which paragraph of the plan it is and nothing else.
	identifier = regexp.MustCompile(`(?i)^` + openMarks + naming + shutMarks + `[:：.。、-]?` + shutMarks + `$`)
	// titled are those before a title or a text: in bold by itself, in a heading, at the start of bold text.
	titled = regexp.MustCompile(`(?i)^[#> \t]*(?:(\*\*` + naming + ` ?[:：]?\*\* ?[:：]? ?)\S` +
		`|(?:#[# ]*\**|\*\*)(` + naming + ` ?[:：\-–—] ?)[^\s*])`)
	// countLine is a line that says how long a paragraph is and nothing else.
	countLine = regexp.MustCompile(`(?i)^` + openMarks + `(?:word count|字数|字數)` + shutMarks + `[:：]` + shutMarks +
		` ?(?:about |approximately |approx\. ?|约|大约|~)?` +
		`[0-9０-９][0-9０-９,，.\-–~至到 ]{0,12}(?:words?|字|个字)?(?:左右)?` + shutMarks + `[.。]?` + shutMarks + `$`)
)

// Strip takes away what a model left of its plan where it stands by itself: lines such as
// "Paragraph 3", "**段落三**" and "Word Count: 400 words", and "Paragraph 3: " before a title or in bold.
// removed are the pieces in their order, as they stood there; all other bytes stay, but for the blank lines
// behind a line that goes, and line ends at the ends of the text.
func Strip(text string) (clean string, removed []string) {
	var out strings.Builder
	gone := false // the line before has gone
	for line := range strings.SplitAfterSeq(text, "\n") {
		if gone && strings.TrimSpace(line) == "" {
			continue
		}
		rest, taken := stripLine(line)
		removed = append(removed, taken...)
		if gone = rest == "" && len(taken) > 0; !gone {
			out.WriteString(rest)
		}
	}
	if len(removed) == 0 {
		return text, nil
	}
	return strings.Trim(out.String(), "\r\n"), removed
}

// stripLine takes away what is the plan's at the start of a line; "": all of it.
func stripLine(line string) (rest string, taken []string) {
	const longest = 200 // bytes of a line that is a label and nothing else, and of one before a title
	rest = strings.TrimRight(line, " \t\r\n")
	end, marks := line[len(rest):], ""
	for {
		begins := marks + head(rest, longest)
		if bare := strings.TrimSpace(begins); len(begins) == len(marks)+len(rest) && bare != "" &&
			(identifier.MatchString(bare) || countLine.MatchString(bare)) {
			return "", append(taken, bare)
		}
		m := titled.FindStringSubmatchIndex(begins)
		if m == nil {
			return marks + rest + end, taken
		}
		from, to := max(m[2], m[4]), max(m[3], m[5])
		taken = append(taken, begins[from:to])
		marks, rest = begins[:from], rest[to-len(marks):]
	}
}

// Paragraph is the verdict on a paragraph that was just written: nothing, a refusal or the text of an
// error is left out before anything is built on it.
func Paragraph(text string) Verdict {
	if prose.Scan(text).Letters.All() == 0 {
		return Verdict{NoText, "no letters"}
	}
	if found := errorTexts.find(text, nil); found != "" {
		return Verdict{ErrorText, found}
	}
	if found := refusalIn(text); found != "" {
		return Verdict{Refusal, excerpt(found)}
	}
	return Verdict{}
}

// leftoverIn is what a text has left of the plan or of a prompt; "" for nothing. What its
// instruction has, too, is none: it may be about it.
func leftoverIn(text, instruction string) string {
	return leftovers.find(text, func(found string) bool { return !strings.Contains(instruction, found) })
}

// refusalIn is the start of the paragraph that refuses; "" for none. Short answers refuse in
// the words of prose.Refuses, too.
func refusalIn(text string) string {
	const short = 200 // words
	const start = 400 // bytes of a paragraph that are looked at
	if prose.Refuses(text) && prose.Words(text) < short {
		return strings.TrimSpace(text)
	}
	for line := range strings.Lines(text) {
		begins := strings.TrimLeft(head(line, start), "*_> \t\r\n")
		if refusals.find(begins, nil) != "" {
			return begins
		}
	}
	return ""
}

// ending is the last characters of a text on one line.
func ending(s string) string {
	const most = 240 // bytes, of which 60 characters are shown
	s = strings.TrimSpace(s)
	from := max(0, len(s)-most)
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	runes := []rune(strings.Join(strings.Fields(s[from:]), " "))
	return string(runes[max(0, len(runes)-60):])
}
