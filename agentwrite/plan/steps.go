package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const separators = " -－–—:：|,，;；=\t"

var (
	// pointName is what models call a point, between the title of a paragraph and it.
	pointName = regexp.MustCompile(`(?i)(?:^|[` + "\\s" + `\-－–—:：|,，;；.。)）])\s*[\[【]?` +
		`(?:main[ _]?points?|main[ _]?ideas?|key[ _]?points?|(?:主要|核心|写作)?要点|主要内容|核心内容|主要观点)[\]】]?(?:\s*[:：]\s*|\s+[-–—]\s+)`)
	// titled is a point that ends as a title does.
	titled = regexp.MustCompile(`[\pL\pN)）]$`)
	// soFar is said of a sum behind a count.
	soFar = regexp.MustCompile(`(?i)^[(（][^()（）]*(?:total|cumulative|so far|sum|累计|合计|共)[^()（）]*[)）][.。]?$`)
	// otherName is one that has to begin a line.
	otherName = regexp.MustCompile(`(?i)^(?:points?|topic|focus|content|contents|description|summary|purpose|goal|title|heading|subtitle|` +
		`theme|主旨|主题|内容|中心思想|概述|标题|小标题|描述|目的|观点)\s*[:：]\s*`)
	// total begins a line about all paragraphs.
	total = regexp.MustCompile(`(?i)^[(（\[]?(?:` +
		`(?:the |an? |estimated |approximate |grand |this gives |this is |planned )*(?:total|overall|in total|sum\b|all together)|` +
		`合计|总计|(?:总|字数(?:总|合))(?:字数|计)|共计|总共|全文|总体|预计总|总)`)
	// announces begins or is in a line before the plan that may name the length of the whole.
	announces = regexp.MustCompile(`(?i)\b(?:plan|outline|breakdown|essay|article|story|novel|paper|report|total|overall|title|target|` +
		`each|every|per|paragraphs|following|sure|okay|certainly|below)\b|大纲|计划|规划|全文|总|每|标题|题目|以下|如下|文章|字数要求`)
)

// isTotal reports whether a line is about all paragraphs together.
func isTotal(l line) bool { return l.class == "" && total.MatchString(l.body) }

// assemble makes steps of the lines that start them and of those that follow.
func assemble(all []line, starts []int, class string) (Plan, error) {
	for _, l := range all[:starts[0]] {
		if len(l.counts) > 0 && l.counts[0].strength > weak && pointOf(without(l.body, l.counts)) != "" &&
			!announces.MatchString(l.text) && !strings.HasSuffix(l.text, ":") && !strings.HasSuffix(l.text, "：") {
			return nil, fmt.Errorf("%q has a word count and is before %s 1, want all paragraphs numbered", excerpt(l.text), class)
		}
	}
	var p Plan
	var missing, empty []string
	loose := 0 // lines behind a step that is complete, of the steps before the last
	for i, at := range starts {
		end := len(all)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		name := fmt.Sprintf("%s %d", class, i+1)
		g := group{name: name, lines: all[at:end], last: i+1 == len(starts), loose: loose}
		s, err := g.step()
		switch {
		case err != nil:
			return nil, err
		case s.Words == 0:
			missing = append(missing, fmt.Sprint(i+1))
		case s.Point == "":
			empty = append(empty, fmt.Sprint(i+1))
		}
		loose = max(loose, g.behind)
		p = append(p, s)
	}
	if len(missing) > 0 {
		return nil, errors.New(have(class, missing) + " no word count")
	}
	if len(empty) > 0 {
		return nil, errors.New(have(class, empty) + " no main point")
	}
	return p, nil
}

// have is "paragraphs 3 and 5 have".
func have(class string, numbers []string) string {
	if len(numbers) == 1 {
		return class + " " + numbers[0] + " has"
	}
	s := strings.TrimPrefix(numbered(numbers), "paragraph")
	return class + strings.TrimSuffix(s, " are") + " have"
}

// group is the lines of a step.
type group struct {
	name   string
	lines  []line
	last   bool // of the plan: text may follow that is none of it
	loose  int  // lines that the steps before had behind a blank line, once they were complete
	behind int  // those of this one
}

// step reads the lines. Words is 0 where there is no count, and Point "" where nothing else is.
func (g *group) step() (s Step, err error) {
	at, chosen, err := g.count()
	if err != nil {
		return s, err
	}
	var points, raws []string
	for i, l := range g.lines {
		if i > 0 && (isTotal(l) || l.class != "" || g.isAbove(l) && s.Words > 0) {
			if strong := len(l.counts) > 0 && l.counts[0].strength > weak; strong && !isTotal(l) && (g.last || l.class == "") {
				return s, stray(l)
			}
			break
		}
		if dots.MatchString(l.text) {
			return s, fmt.Errorf("the plan leaves paragraphs out behind %s (%s), want all of them", g.name, l.text)
		}
		text := l.body
		if i == at {
			s.Words = chosen.words
			if chosen.strength > weak {
				text = without(text, []counted{chosen})
			}
		}
		point := pointOf(text)
		complete := s.Words > 0 && len(points) > 0 && i != at
		if complete && !l.bullet && l.behind {
			if g.last && g.behind >= g.loose {
				break
			}
			g.behind++
		}
		if i > 0 && i != at && l.class == "" && !l.bullet && l.indent == 0 && isStray(l, point) {
			return s, stray(l)
		}
		raws = append(raws, l.raw)
		if n := len(points); n == 1 && point != "" && pointName.MatchString(text) && titled.MatchString(points[0]) {
			points[0] += ":"
		}
		if point != "" {
			points = append(points, point)
		}
	}
	s.Point = strings.Join(points, " ")
	s.Line = strings.Join(strings.Fields(strings.Join(raws, " ")), " ")
	return s, nil
}

// isAbove reports whether a line is a heading of what follows the step.
func (g *group) isAbove(l line) bool {
	first := g.lines[0]
	return l.level > 0 && l.level != first.level && l.indent <= first.indent && (first.level == 0 || l.level < first.level) &&
		(l.level < 7 || l.behind)
}

func stray(l line) error {
	return fmt.Errorf("%q has a word count and no number, want all paragraphs numbered", excerpt(l.text))
}

// isStray reports whether a line reads as a paragraph of its own.
func isStray(l line, point string) bool {
	return len(l.counts) > 0 && l.counts[0].strength == byName && pointOf(without(point, countsOf(point))) != ""
}

// count is the number of words of the step, and the line it is on; -1: there is none.
func (g *group) count() (at int, chosen counted, err error) {
	at = -1
	if first := g.lines[0].counts; len(first) > 0 && first[0].strength > weak {
		return 0, first[0], g.same(first)
	}
	for i, l := range g.lines {
		if i > 0 && (isTotal(l) || l.class != "" || g.isAbove(l) && pointOf(without(l.body, l.counts)) != "") {
			break
		}
		if len(l.counts) == 0 || l.counts[0].strength == weak && i > 0 && l.behind {
			continue
		}
		switch c := l.counts[0]; {
		case at < 0 || c.strength > chosen.strength:
			if err := g.same(l.counts); err != nil {
				return at, chosen, err
			}
			at, chosen = i, c
		case c.strength == chosen.strength && !(c.strength == byName && pointOf(without(l.body, l.counts)) != ""):
			return at, chosen, g.two(chosen, c)
		}
	}
	return at, chosen, nil
}

// same is an error where the numbers of a line are not the same.
func (g *group) same(counts []counted) error {
	for _, c := range counts[1:] {
		if c.words != counts[0].words {
			return g.two(counts[0], c)
		}
	}
	return nil
}

func (g *group) two(a, b counted) error {
	return fmt.Errorf("%s has two word counts (%d and %d), want one", g.name, a.words, b.words)
}

// without is a text without some counts.
func without(s string, counts []counted) string {
	for i := len(counts) - 1; i >= 0; i-- {
		c := counts[i]
		if i == len(counts)-1 && soFar.MatchString(strings.TrimLeft(s[c.to:], " ")) {
			s = s[:c.to]
		}
		before, after := strings.TrimRight(s[:c.from], separators+"([（【{<"), strings.TrimLeft(s[c.to:], separators+")]）】}>.。左右以内")
		if before != "" && after != "" {
			before += " - "
		}
		s = before + after
	}
	return s
}

// pointOf is what a text says besides names and separators.
func pointOf(s string) string {
	s = strings.Trim(s, separators)
	if m := pointName.FindStringIndex(s); m != nil {
		title := strings.Trim(s[:m[0]], separators)
		s = strings.Trim(s[m[1]:], separators)
		if title != "" && s != "" {
			title += ": "
		}
		s = title + s
	}
	s = otherName.ReplaceAllString(s, "")
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") && !strings.ContainsAny(inner[:len(inner)-1], "[]") {
		s = inner[:len(inner)-1] // the brackets of the form
	}
	return strings.Join(strings.Fields(strings.Trim(s, separators)), " ")
}

// plainly reads a plan whose lines are neither numbered nor marked: each ends with its count, or
// has it on the line below.
func plainly(all []line) (Plan, error) {
	var p Plan
	var open []line // lines that wait for their count
	wait := func(l line) bool { return !strings.HasSuffix(l.text, ":") && !strings.HasSuffix(l.text, "：") }
	for _, l := range all {
		if isTotal(l) {
			continue
		}
		if len(l.counts) == 0 || l.counts[0].strength == weak {
			if l.behind {
				if len(p) > 0 && len(open) > 0 {
					return nil, fmt.Errorf("%q has no word count", excerpt(open[0].text))
				}
				open = nil
			}
			open = append(open, l)
			continue
		}
		point := pointOf(without(l.body, l.counts[:1]))
		if point == "" {
			open = append(open, l)
		} else {
			if len(open) > 0 && (len(p) > 0 || !l.behind && wait(open[len(open)-1])) {
				return nil, fmt.Errorf("%q has no word count", excerpt(open[0].text))
			}
			open = []line{l}
		}
		g := group{name: fmt.Sprintf("paragraph %d", len(p)+1), lines: open}
		s, err := g.step()
		if err != nil {
			return nil, err
		}
		if s.Point == "" {
			return nil, fmt.Errorf("%q has no main point", excerpt(l.text))
		}
		p, open = append(p, s), nil
	}
	if len(p) < 2 {
		return nil, errors.New("there is no plan in the reply, " + form)
	}
	if len(open) > 0 && !open[0].behind {
		return nil, fmt.Errorf("%q has no word count", excerpt(open[0].text))
	}
	return p, nil
}
