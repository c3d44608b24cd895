package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"lwtrain/internal/plainjson"
)

// startOfJSON is where a reply's JSON begins: at the start of a line.
var startOfJSON = regexp.MustCompile(`(?m)^[ \t]*(\[\s*[{"\[]|\{\s*["}])`)

// Keys that models give to what a plan has, in small letters and in letters alone.
var (
	pointKeys = keys("point mainpoint mainpoints mainidea keypoint keypoints content description topic summary focus purpose details " +
		"outline 要点 主要内容 内容 主题 主要观点 核心要点 描述 概述 主旨")
	titleKeys = keys("title heading name subtitle section paragraph step task subtask 标题 小标题 段落标题 名称")
	countKeys = keys("wordcount words wordcounts word wordlimit length wordtarget targetwords targetwordcount count wordcountrequirement " +
		"estimatedwordcount numwords 字数 字数要求 目标字数 建议字数 篇幅")
	planKeys = keys("paragraphs plan steps outline subtasks sections tasks parts writingsteps writingplan essayplan items " +
		"段落 计划 大纲 步骤 写作计划 写作步骤 子任务")
)

func keys(names string) map[string]bool {
	out := map[string]bool{}
	for _, n := range strings.Fields(names) {
		out[n] = true
	}
	return out
}

// pair is a member of an object, in the order of the text.
type pair struct {
	key   string
	value any // string, json.Number, bool, nil, []any or []pair
}

// fromJSON reads a plan in JSON; found is whether the reply has one.
func fromJSON(reply string) (p Plan, found bool, err error) {
	m := startOfJSON.FindStringSubmatchIndex(reply)
	if m == nil {
		return nil, false, nil
	}
	text := tidy(reply[m[2]:])
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var list []any
	for {
		from := d.InputOffset()
		v, err := decode(d, 0)
		if err != nil {
			if len(list) > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
				break // text follows
			}
			return nil, true, fmt.Errorf("the plan: %w", plainjson.InWords(text[from:], err))
		}
		list = append(list, v)
		if !d.More() {
			break
		}
	}
	var steps []any
	for _, v := range list {
		steps = append(steps, stepsOf(v)...)
	}
	if len(steps) == 0 {
		return nil, true, errors.New(`the JSON has no paragraphs, want a list such as [{"main_point": "...", "word_count": 400}]`)
	}
	p, err = fromObjects(steps)
	return p, true, err
}

// tidy drops the commas behind the last of a list or an object, and all behind the fence.
func tidy(s string) []byte {
	out := make([]byte, 0, len(s))
	quoted := false
	comma := -1 // where the comma is that nothing has followed
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted && c == '\\' && i+1 < len(s):
			out = append(out, c)
			i++
			c = s[i]
		case quoted:
			quoted = c != '"'
		case strings.HasPrefix(s[i:], "```"):
			return out
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
		case c == ',':
			comma = len(out)
		default:
			if comma >= 0 && (c == ']' || c == '}') {
				out[comma] = ' '
			}
			comma, quoted = -1, c == '"'
		}
		out = append(out, c)
	}
	return out
}

const deepest = 8 // lists and objects inside of each other

// decode reads a value, objects as pairs.
func decode(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	open, isDelim := t.(json.Delim)
	if !isDelim {
		return t, nil
	}
	if depth == deepest {
		return nil, errors.New("it is nested too deep")
	}
	list, object := []any{}, []pair{}
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			object = append(object, pair{fmt.Sprint(key), v})
			continue
		}
		v, err := decode(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := d.Token(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if open == '{' {
		return object, nil
	}
	return list, nil
}

// stepsOf finds the list of paragraphs in a value.
func stepsOf(v any) []any {
	switch v := v.(type) {
	case []any:
		var steps []any
		for _, x := range v { // [{"section": ..., "paragraphs": [...]}, ...]
			if o, ok := x.([]pair); ok && get(o, countKeys) == nil && get(o, planKeys) != nil {
				steps = append(steps, stepsOf(o)...)
			} else {
				steps = append(steps, x)
			}
		}
		return steps
	case []pair:
		if get(v, countKeys) != nil {
			return []any{v}
		}
		for _, m := range v { // {"title": ..., "paragraphs": [...]}
			if planKeys[plainKey(m.key)] {
				if list := stepsOf(m.value); len(list) > 0 {
					return list
				}
			}
		}
		var steps []any
		for _, m := range v { // {"Paragraph 1": {...}, ...}
			switch value := m.value.(type) {
			case []pair:
				steps = append(steps, value)
			case string:
				if l := lineOf(m.key); l.class != "" {
					steps = append(steps, m.key+" - "+value)
				}
			}
		}
		return steps
	}
	return nil
}

func fromObjects(steps []any) (p Plan, err error) {
	var missing, empty []string
	for i, v := range steps {
		number := strconv.Itoa(i + 1)
		var s Step
		switch v := v.(type) {
		case []pair:
			s.Words = wordsOf(get(v, countKeys))
			s.Point = textOf(get(v, pointKeys))
			if title := titleOf(get(v, titleKeys)); title != "" && s.Point != "" {
				s.Point = title + ": " + s.Point
			} else if s.Point == "" {
				s.Point = title
			}
		case string:
			l := lineOf(v)
			g := group{name: "paragraph " + number, lines: []line{l}}
			if s, err = g.step(); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("paragraph %s is no object, want {\"main_point\": \"...\", \"word_count\": 400}", number)
		}
		if s.Words == 0 {
			missing = append(missing, number)
		}
		if s.Point == "" {
			empty = append(empty, number)
		}
		s.Line = s.line(i + 1)
		p = append(p, s)
	}
	switch {
	case len(missing) > 0:
		return nil, errors.New(have("paragraph", missing) + " no word count")
	case len(empty) > 0:
		return nil, errors.New(have("paragraph", empty) + " no main point")
	}
	return p, nil
}

// titleOf is a title that is more than a number.
func titleOf(v any) string {
	l := lineOf(textOf(v))
	if strings.Trim(l.body, "0123456789.# ") == "" {
		return ""
	}
	return pointOf(l.body)
}

func get(o []pair, keys map[string]bool) any {
	for _, m := range o {
		if keys[plainKey(m.key)] {
			return m.value
		}
	}
	return nil
}

// plainKey is a key in letters alone, in small ones.
func plainKey(key string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, key)
}

func wordsOf(v any) int {
	text := textOf(v)
	if counts := countsOf("Word Count: " + text); text != "" && len(counts) == 1 {
		return counts[0].words
	}
	return 0
}

// textOf is a value on one line, of a list its texts one after the other.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return strings.Join(strings.Fields(v), " ")
	case json.Number:
		return v.String()
	case []any:
		var all []string
		for _, x := range v {
			if s := textOf(x); s != "" {
				all = append(all, s)
			}
		}
		return strings.Join(all, "; ")
	}
	return ""
}
