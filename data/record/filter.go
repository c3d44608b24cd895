package record

import (
	"fmt"
	"regexp"
	"slices"

	"lwtrain/chat"
	"lwtrain/internal/prose"
)

// Sieve is a filter that is ready to be asked.
type Sieve struct {
	Filter
	expressions [4]*regexp.Regexp // Prompt, NotPrompt, Answer, NotAnswer; nil: none
}

// Sieve compiles the filter. Its error begins with the key.
func (f Filter) Sieve() (*Sieve, error) {
	s := &Sieve{Filter: f}
	for i, e := range []struct{ key, text string }{
		{"prompt", f.Prompt}, {"not_prompt", f.NotPrompt}, {"answer", f.Answer}, {"not_answer", f.NotAnswer},
	} {
		if e.text == "" {
			continue
		}
		var err error
		if s.expressions[i], err = regexp.Compile(e.text); err != nil {
			return nil, fmt.Errorf("%s: %w", e.key, err)
		}
	}
	return s, nil
}

// Validate returns what is wrong with a filter, by key; nil when nothing is.
func (f Filter) Validate() map[string]string {
	bad := map[string]string{}
	for key, text := range map[string]string{"prompt": f.Prompt, "not_prompt": f.NotPrompt, "answer": f.Answer, "not_answer": f.NotAnswer} {
		if _, err := regexp.Compile(text); err != nil {
			bad[key] = fmt.Sprintf("%v, want a regular expression of RE2", err)
		}
	}
	if f.MaxWords > 0 && f.MaxWords < f.MinWords {
		bad["max_words"] = fmt.Sprintf("%d, want at least min_words (%d)", f.MaxWords, f.MinWords)
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}

// check returns the reason why a conversation is passed over, or nil.
func (s *Sieve) check(messages []chat.Message, t Tokenised) error {
	if s == nil {
		return nil
	}
	required, real := t.Facts.Required.Words(), int(t.Facts.Real)
	score, language := prose.LengthScore(required, real), prose.Languages[t.Facts.Language]
	switch {
	case s.StatedLength == "required" && required == 0:
		return unwanted("no_stated_length", "the prompt states no length")
	case required > 0 && score < s.MinLengthScore:
		return unwanted("length_score", "%d words where the prompt asks for %d: S_l is %.1f, want %g",
			real, required, score, s.MinLengthScore)
	case len(s.Languages) > 0 && !slices.Contains(s.Languages, language):
		return unwanted("language", "the answer is of the language %s", language)
	case int(t.Words) < s.MinWords:
		return unwanted("min_words", "%d words, want at least %d", t.Words, s.MinWords)
	case s.MaxWords > 0 && int(t.Words) > s.MaxWords:
		return unwanted("max_words", "%d words, want at most %d", t.Words, s.MaxWords)
	}
	for i, e := range s.expressions {
		role, reason := "user", "prompt_pattern"
		if i >= 2 {
			role, reason = "assistant", "answer_pattern"
		}
		if e == nil {
			continue
		}
		found := slices.ContainsFunc(messages, func(m chat.Message) bool { return m.Role == role && e.MatchString(m.Content) })
		if wanted := i%2 == 0; found != wanted {
			return unwanted(reason, "%q matches: %v, want %v", e, found, wanted)
		}
	}
	return nil
}
