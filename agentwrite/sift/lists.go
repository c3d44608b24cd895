package sift

import (
	_ "embed"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/prose"
)

//go:embed lists/toxic.txt
var toxicText string

//go:embed lists/scraping.txt
var scrapingText string

//go:embed lists/refusals.txt
var refusalsText string

//go:embed lists/errors.txt
var errorsText string

//go:embed lists/leftovers.txt
var leftoversText string

var (
	toxicWords    = listOf(toxicText, `\b(?:`, `)\b`)
	scrapingWords = listOf(scrapingText, `\b(?:`, `)\b`)
	refusals      = listOf(refusalsText, `^(?:`, `)`)
	errorTexts    = listOf(errorsText, `(?:`, `)`)
	leftovers     = listOf(leftoversText, `(?:`, `)`)
)

// list is the expressions of a list.
type list []expression

// expression is one, and what a text in small letters has to hold for it to be looked for: one of
// these, or anything where there are none.
type expression struct {
	*regexp.Regexp
	needs []string
}

// listOf compiles a list: an expression a line, # before what is said about it. Those without
// Chinese characters stand between before and behind; ^ and $ are the ends of lines.
func listOf(text, before, behind string) (l list) {
	text = strings.NewReplacer("{N}", ordinals, "{NAME}", naming, "{OPEN}", openMarks).Replace(text)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		open, shut := before, behind
		if strings.ContainsFunc(line, prose.IsChinese) && strings.Contains(before, `\b`) {
			open, shut = "(?:", ")"
		}
		e := regexp.MustCompile("(?im)" + open + line + shut)
		tree, err := syntax.Parse("(?im)"+line, syntax.Perl)
		if err != nil {
			panic("sift: " + line + ": " + err.Error())
		}
		l = append(l, expression{e, needs(tree)})
	}
	return l
}

// needs are texts in small letters of which each match holds one; nil where no such are known.
func needs(e *syntax.Regexp) []string {
	switch e.Op {
	case syntax.OpLiteral:
		return []string{strings.ToLower(string(e.Rune))}
	case syntax.OpCapture, syntax.OpPlus:
		return needs(e.Sub[0])
	case syntax.OpRepeat:
		if e.Min > 0 {
			return needs(e.Sub[0])
		}
	case syntax.OpAlternate:
		var all []string
		for _, s := range e.Sub {
			some := needs(s)
			if some == nil {
				return nil
			}
			all = append(all, some...)
		}
		return all
	case syntax.OpConcat:
		var best []string
		for _, s := range e.Sub {
			if some := needs(s); shortest(some) > shortest(best) {
				best = some
			}
		}
		return best
	}
	return nil
}

// shortest is the length of the shortest of some texts; 0 of none.
func shortest(texts []string) int {
	least := 0
	for i, s := range texts {
		if i == 0 || len(s) < least {
			least = len(s)
		}
	}
	return least
}

var straight = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`, "\u00a0", " ", "\r", "", "ſ", "s", "\u212a", "k")

// find is what a text has of the list, of the expressions in their order, for which accept says
// yes; "" for nothing.
func (l list) find(text string, accept func(found string) bool) string {
	const mostTries = 16 // that are not accepted, of each expression
	text = straight.Replace(text)
	low := strings.ToLower(text)
	for _, e := range l {
		if !e.mayMatch(low) {
			continue
		}
		for _, at := range e.FindAllStringIndex(text, mostTries) {
			if found := strings.TrimSpace(text[at[0]:at[1]]); accept == nil || accept(found) {
				return excerpt(found)
			}
		}
	}
	return ""
}

// mayMatch is a quick look at a text in small letters.
func (e expression) mayMatch(low string) bool {
	for _, s := range e.needs {
		if strings.Contains(low, s) {
			return true
		}
	}
	return len(e.needs) == 0
}

// head is a text's first n bytes, to the end of a character.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
