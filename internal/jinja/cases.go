package jinja

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// mapCase maps each character of s, given with its position, to some text.
func (r *run) mapCase(s String, f func(c rune, at int) string) String {
	r.alloc(s.size())
	r.step(len(s.s) / 4)
	var b builder
	for i, c := range s.s {
		size := runeLen(s.s[i:], c)
		b.put(f(c, i), s, i, i+size)
	}
	out := b.string()
	out.safe = s.safe
	return out
}

// upper, lower and title map one character to its full mapping, which may be
// several (ß to SS).
func upper(c rune) string {
	if c < utf8.RuneSelf {
		return string(unicode.ToUpper(c))
	}
	return cases.Upper(language.Und).String(string(c))
}

func title(c rune) string {
	if c < utf8.RuneSelf {
		return string(unicode.ToUpper(c))
	}
	return cases.Title(language.Und).String(string(c))
}

// lower needs the string around: a final sigma has a form of its own.
func lower(s string, c rune, at int) string {
	switch {
	case c < utf8.RuneSelf:
		return string(unicode.ToLower(c))
	case c == 'Σ':
		before, _ := utf8.DecodeLastRuneInString(s[:at])
		after, _ := utf8.DecodeRuneInString(s[at+len("Σ"):])
		if unicode.IsLetter(before) && !unicode.IsLetter(after) {
			return "ς"
		}
		return "σ"
	}
	return cases.Lower(language.Und).String(string(c))
}

func (r *run) toUpper(s String) String {
	return r.mapCase(s, func(c rune, _ int) string { return upper(c) })
}

func (r *run) toLower(s String) String {
	return r.mapCase(s, func(c rune, at int) string { return lower(s.s, c, at) })
}

// capitalize is str.capitalize: one large letter, then small ones.
func (r *run) capitalize(s String) String {
	return r.mapCase(s, func(c rune, at int) string {
		if at == 0 {
			return title(c)
		}
		return lower(s.s, c, at)
	})
}

// toTitle makes the first letter of each word large by first, and the others
// small; boundary tells whether a word starts behind a character.
func (r *run) toTitle(s String, first func(c rune) string, boundary func(before rune) bool) String {
	before := rune(' ')
	return r.mapCase(s, func(c rune, at int) string {
		start := at == 0 || boundary(before)
		before = c
		if start {
			return first(c)
		}
		return lower(s.s, c, at)
	})
}

func (r *run) swapCase(s String) String {
	return r.mapCase(s, func(c rune, at int) string {
		if unicode.IsUpper(c) {
			return lower(s.s, c, at)
		}
		return upper(c)
	})
}
