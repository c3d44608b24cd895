package sift

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/prose"
)

const (
	ordinals  = `(?:[0-9０-９]{1,3}|[一二三四五六七八九十百]{1,4}|one|two|three|four|five|six|seven|eight|nine|ten)`
	naming    = `(?:paragraph ?#?` + ordinals + `|段落 ?` + ordinals + `|第 ?` + ordinals + ` ?(?:自然段|段落|段))`
	inside    = `[^\])）】\n]{0,80}`
	openMarks = `[#>*_\[【(（ \t]*`
	shutMarks = `[*_\]】)） \t]*`
)

var (
	// identifier is a line that says which paragraph of the plan it is and nothing else.
	identifier = regexp.MustCompile(`(?i)^` + openMarks + naming + shutMarks + `[:：.。、-]?` + shutMarks + `$`)
	// titled are those before a title or a text: in bold by itself, in a heading, at the start of bold text.
	titled = []*regexp.Regexp{
		regexp.MustCompile(`(?i)^([#> \t]*)(\*\*` + naming + ` ?[:：]?\*\* ?[:：]? ?)\S`),
		regexp.MustCompile(`(?i)^([> \t]*#+ *\**|[> \t]*\*\*)(` + naming + ` ?[:：\-–—] ?)[^\s*]`),
	}
	// countLine is a line that says how long a paragraph is and nothing else.
	countLine = regexp.MustCompile(`(?i)^` + openMarks + `(?:word count|字数|字數)` + shutMarks + `[:：]` + shutMarks +
		` ?(?:about |approximately |approx\. ?|约|大约|~)?` +
		`[0-9０-９][0-9０-９,，.\-–~至到 ]{0,12}(?:words?|字|个字)?(?:左右)?` + shutMarks + `[.。]?` + shutMarks + `$`)
)

// Strip takes away what a model left of its plan where it stands by itself: lines such as
// "Paragraph 3", "**段落三**" and "Word Count: 400 words", and "Paragraph 3: " before a title. removed
// are the pieces in their order, as they stood there; all other bytes stay, but for the blank lines behind
// a line that goes, and those at the ends of the text.
func Strip(text string) (clean string, removed []string) {
	var out strings.Builder
	gone := false // the line before has gone: blank ones behind it go, too
	for line := range strings.SplitAfterSeq(text, "\n") {
		body := strings.TrimRight(line, "\r\n")
		switch bare := strings.TrimSpace(body); {
		case len(body) > 200:
			gone = false
		case bare == "":
			if gone {
				continue
			}
		case identifier.MatchString(bare) || countLine.MatchString(bare):
			removed, gone = append(removed, bare), true
			continue
		default:
			gone = false
			for _, e := range titled {
				if m := e.FindStringSubmatchIndex(line); m != nil {
					removed = append(removed, line[m[4]:m[5]])
					line = line[:m[4]] + line[m[5]:]
					break
				}
			}
		}
		out.WriteString(line)
	}
	if len(removed) == 0 {
		return text, nil
	}
	return strings.Trim(out.String(), "\r\n"), removed
}

var (
	// ofPlan are words of the plan's and the prompts' form, in any text but one about them.
	ofPlan = regexp.MustCompile(`(?im)(?:^|[\s*#(（\[【-])(?:` +
		`(paragraph ?#?` + ordinals + ` ?[-–—:：] ?(?:\*\*)?main point)|` +
		`((?:main point|word count)(?:\*\*)? ?[:：] ?(?:\*\*)? ?\S[^\n]{0,40})|` +
		`(段落 ?` + ordinals + ` ?[-–—:：] ?(?:\*\*)?要点)|` +
		`(字数(?:\*\*)? ?[:：] ?(?:\*\*)? ?(?:约|大约)?[0-9０-９一二三四五六七八九两][^\n]{0,10})|` +
		`(` + openMarks + `paragraph ?#?[0-9]{1,3}` + shutMarks + `[:：])|` +
		`(段落 ?[0-9０-９一二三四五六七八九十]{1,3}` + shutMarks + `[:：])` +
		`)`)
	ofPrompt = regexp.MustCompile(`\$(?:INST|PLAN|TEXT|STEP)\$`)
	// goesOn is what models write where a text is not over, in brackets or on a line of its own.
	goesOn = regexp.MustCompile(`(?im)[(（\[【] ?(?:` +
		`to be continued|continued?(?: (?:in|on|with|from)` + inside + `)?|continues?|the (?:rest|remainder) of` + inside + `|` +
		`remaining (?:paragraphs|sections|words)` + inside + `|(?:本文)?未完待续|待续|此处省略` + inside + `|(?:以下|后文|下文)(?:内容)?(?:略|省略)|` +
		`word count` + inside + `|字数` + inside + `|约?[0-9]{2,5} ?(?:words|字)` +
		`) ?(?:\.{2,}|…+)?[)）\]】]|^[*_# ]*(?:to be continued|未完待续)[*_ .…。!]*$`)
)

// leftoverIn is what a text has left of the plan or of a prompt; "" for nothing. What its
// instruction has, too, is none: it may be about it.
func leftoverIn(text, instruction string) string {
	for _, e := range []*regexp.Regexp{ofPrompt, ofPlan, goesOn} {
		for _, found := range e.FindAllString(text, 8) {
			if found = strings.TrimSpace(found); !strings.Contains(instruction, found) {
				return found
			}
		}
	}
	for line := range strings.Lines(text) {
		if bare := strings.TrimSpace(line); len(bare) < 200 && identifier.MatchString(bare) && !strings.Contains(instruction, bare) {
			return bare
		}
	}
	return ""
}

// errorTexts are texts of errors, as clients and servers write them where a text should be: the first two,
// AgentWrite's own, anywhere, the others at the start of a line.
var errorTexts = regexp.MustCompile(`(?im)max tries\. failed\.|trigger openai'?s content management policy|^\W{0,4}(?:` +
	`error code: ?[45][0-9]{2}\b|(?:openai\.)?(?:badrequest|ratelimit|apiconnection|apitimeout|internalserver)error\b|` +
	`\{["']error["']: ?[{"']|traceback \(most recent call last\)|rate limit (?:reached|exceeded)\b|request timed out\.?$|` +
	`(?:500 )?internal server error\W*$|(?:502 )?bad gateway\W*$|(?:503 )?service (?:temporarily )?unavailable\W*$|` +
	`(?:504 )?gateway time-?out\W*$|网络错误，请|服务器(?:繁忙|错误)，请|请求超时，请)`)

func errorText(text string) string {
	text = strings.ReplaceAll(text, "’", "'")
	return strings.TrimSpace(errorTexts.FindString(text))
}

// refusalIn is the start of the paragraph that refuses; "" for none. Short answers refuse in
// the words of prose.Refuses, too.
func refusalIn(text string) string {
	const short = 200 // words
	if prose.Refuses(text) && prose.Words(text) < short {
		return strings.TrimSpace(text)
	}
	for line := range strings.Lines(text) {
		start := strings.TrimLeft(head(line, 400), "*_> \t\r\n")
		if refusals.find(start) != "" {
			return start
		}
	}
	return ""
}

func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
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
