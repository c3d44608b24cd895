package plan

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRead reads plans as models write them.
func TestRead(t *testing.T) {
	for _, c := range slices.Concat(inEnglish, inChinese, notOne) {
		t.Run(c.name, func(t *testing.T) {
			p, err := Read(c.reply)
			if c.broken != "" {
				if err == nil || !strings.Contains(err.Error(), c.broken) {
					t.Fatalf("%v, %v, want an error with %q", p, err, c.broken)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []any
			for _, s := range p {
				got = append(got, s.Point, s.Words)
				if s.Line == "" || strings.Contains(s.Line, "\n") {
					t.Errorf("the line %q, want one", s.Line)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			again(t, p)
		})
	}
}

// again wants that a plan is read from its own form.
func again(t interface{ Fatalf(string, ...any) }, p Plan) {
	want := slices.Clone(p)
	for i := range want {
		want[i].Line = want[i].line(i + 1)
	}
	got, err := Read(p.String())
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("of\n%s\n%v\n%v", p, got, err)
	}
}

// TestThereAreSixty counts the plans that are read, and the broken ones.
func TestThereAreSixty(t *testing.T) {
	if n := len(inEnglish) + len(inChinese) + len(notOne); n < 60 || len(notOne) < 10 {
		t.Errorf("%d plans, %d of them broken", n, len(notOne))
	}
}

// TestLinesAreKept wants the lines as they were written.
func TestLinesAreKept(t *testing.T) {
	p, err := Read("1. **Hope** (300 words)\n   - of a boy\n2. **Fear** (400 words)")
	if err != nil || p[0].Line != "1. **Hope** (300 words) - of a boy" || p[1].Line != "2. **Fear** (400 words)" {
		t.Errorf("%q, %v", p, err)
	}
}

func TestAPlanIsReadFromItsOwnForm(t *testing.T) {
	word := rapid.StringMatching(`[^\pC\pZ\s]{1,12}|Paragraph|Main|Point:|Word|Count:|-|words|400|段落1|字数：`)
	rapid.Check(t, func(t *rapid.T) {
		var p Plan
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			point := strings.Join(rapid.SliceOfN(word, 1, 9).Draw(t, "point"), " ")
			p = append(p, Step{Point: point, Words: rapid.IntRange(1, 2000).Draw(t, "words")})
		}
		again(t, p)
	})
}

func FuzzRead(f *testing.F) {
	for _, c := range slices.Concat(inEnglish, inChinese, notOne) {
		f.Add(c.reply)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		p, err := Read(reply)
		if err != nil {
			if err.Error() == "" || len(p) > 0 {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		for i, s := range p {
			if s.Words < 1 || s.Point == "" || s.Line == "" || strings.Contains(s.Point, "\n") {
				t.Fatalf("step %d is %+v", i, s)
			}
		}
		if len(p) == 0 {
			t.Fatal("neither a plan nor an error")
		}
		again(t, p)
	})
}

// TestTimeIsLinear reads replies that were made to cost much.
// processor is the time that this process has computed, whatever else the machine does.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func TestTimeIsLinear(t *testing.T) {
	const n = mostReply - 8
	for name, s := range map[string]string{
		"digits": strings.Repeat("1", n), "names": strings.Repeat("Paragraph 1 - Main Point: ", n/26), "opened": strings.Repeat("[", n),
		"objects": "[" + strings.Repeat(`{"a":`, n/5), "counts": strings.Repeat("400 words ", n/10),
		"numbers":  strings.Repeat("1. a\n", n/5),
		"thoughts": strings.Repeat("<think>", n/7), "numerals": strings.Repeat("一千", n/6), "cells": strings.Repeat("|", n),
		"joined": strings.Repeat("400-", n/4), "items": strings.Repeat("- a 400\n", n/8), "bold": strings.Repeat("**", n/2),
		"too long": strings.Repeat("x", mostReply+1),
	} {
		t.Run(name, func(t *testing.T) {
			began := processor(t)
			p, err := Read(s)
			if took := processor(t) - began; took > 10*time.Second || err == nil {
				t.Errorf("%v, %d steps, %v", took, len(p), err)
			}
		})
	}
}

// TestCheck says what makes a plan unfit.
func TestCheck(t *testing.T) {
	of := func(words ...int) (p Plan) {
		for _, n := range words {
			p = append(p, Step{Point: "x", Words: n})
		}
		return p
	}
	for _, c := range []struct {
		name  string
		plan  Plan
		asked int
		want  string
	}{
		{"fits", of(400, 600), 1000, ""},
		{"no length was asked for", of(200, 1000), 0, ""},
		{"half of what was asked for", of(250, 250), 1000, ""},
		{"one and a half of it", of(700, 800), 1000, ""},
		{"one word less than half", of(200, 299), 1000, "the word counts sum up to 499, want about 1000"},
		{"one word more than one and a half", of(701, 800), 1000, "the word counts sum up to 1501, want about 1000"},
		{"one paragraph", of(500), 500, "the plan has 1 paragraph, want at least 2"},
		{"none", of(), 0, "the plan has no paragraphs, want at least 2"},
		{"too many", of(200, 200, 200, 200), 0, "the plan has 4 paragraphs, want at most 3: give each more words"},
		{"a short one", of(199, 400), 0, "paragraph 1 (199 words) is too short, want at least 200 words for each paragraph"},
		{"short and long ones", of(100, 1001, 150), 0, "paragraphs 1 (100 words) and 3 (150 words) are too short, want at least 200 " +
			"words for each paragraph; paragraph 2 (1001 words) is too long, want at most 1000 words for each paragraph"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fmt.Sprint(c.plan.Check(c.asked, c.asked, 3)); got != c.want && (c.want != "" || got != "<nil>") {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
