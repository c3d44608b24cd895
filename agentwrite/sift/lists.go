package sift

import (
	_ "embed"
	"regexp"
	"strings"

	"lwtrain/internal/prose"
)

//go:embed lists/toxic.txt
var toxicText string

//go:embed lists/scraping.txt
var scrapingText string

//go:embed lists/refusals.txt
var refusalsText string

var (
	toxicWords    = listOf("", toxicText)
	scrapingWords = listOf("", scrapingText)
	refusals      = listOf("^", refusalsText)
)

// list is the expressions of a list.
type list struct{ english, chinese *regexp.Regexp }

// listOf compiles a list: an expression a line, # before what is said about it. What is found begins
// where the expression at says.
func listOf(at, text string) list {
	var english, chinese []string
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.ContainsFunc(line, prose.IsChinese):
			chinese = append(chinese, line)
		default:
			english = append(english, line)
		}
	}
	return list{
		regexp.MustCompile(`(?i)` + at + `\b(?:` + strings.Join(english, "|") + `)\b`),
		regexp.MustCompile(`(?i)` + at + `(?:` + strings.Join(chinese, "|") + `)`),
	}
}

var straight = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`, "\n", " ", "\u00a0", " ")

// find is the first words of a text that are on the list; "" for none.
func (l list) find(text string) string {
	text = straight.Replace(text)
	if found := l.english.FindString(text); found != "" {
		return excerpt(found)
	}
	return excerpt(l.chinese.FindString(text))
}
