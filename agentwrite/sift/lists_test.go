package sift

import (
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var lists = map[string]list{
	"toxic": toxicWords, "scraping": scrapingWords, "refusals": refusals, "errors": errorTexts, "leftovers": leftovers,
}

// TestTheQuickLookMissesNothing makes texts that an expression matches, and wants that each holds one of those
// that it needs.
func TestTheQuickLookMissesNothing(t *testing.T) {
	for name, l := range lists {
		t.Run(name, func(t *testing.T) {
			for _, e := range l {
				made := rapid.StringMatching(e.String())
				rapid.Check(t, func(t *rapid.T) {
					text := made.Draw(t, "text")
					if !e.mayMatch(strings.ToLower(straight.Replace(text))) {
						t.Fatalf("%q matches %v and has none of %q", text, e, e.needs)
					}
				})
			}
		})
	}
}

// TestExpressionsAreLookedForQuickly wants that all expressions but a few need something.
func TestExpressionsAreLookedForQuickly(t *testing.T) {
	for name, l := range lists {
		for _, e := range l {
			if shortest(e.needs) == 0 {
				t.Errorf("%s: %v may match anything", name, e)
			}
		}
	}
}

// TestNeeds has a row for each kind of expression.
func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		name, expression string
		want             []string
	}{
		{"a text", "abc", []string{"abc"}},
		{"in small letters", "(?i)ABC", []string{"abc"}},
		{"the longest of several in a row", "ab[0-9]+cde?", []string{"ab"}},
		{"one of those that may be", "(?:abc|de)", []string{"abc", "de"}},
		{"nothing where one may be anything", "(?:abc|[0-9])", nil},
		{"nothing of what may be missing", "(?:abc)?", nil},
		{"what comes once or more", "(?:abc)+", []string{"abc"}},
		{"what comes three times", "(?:abc){3}", []string{"abc"}},
		{"nothing of what comes up to three times", "(?:abc){0,3}", nil},
		{"Chinese", "段落[0-9]", []string{"段落"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := syntax.Parse(c.expression, syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			if got := needs(tree); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
