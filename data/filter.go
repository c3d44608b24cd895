package data

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"lwtrain/chat"
	"lwtrain/internal/prose"
)

// keep is a filter that is ready to be asked.
type keep struct {
	Filter
	expressions [4]*regexp.Regexp // Prompt, NotPrompt, Answer, NotAnswer; nil: none
	near        bool              // find what near copies are known by
}

// compile checks the filter. Its error begins with the key.
func (f Filter) compile(near bool) (*keep, error) {
	k := &keep{Filter: f, near: near}
	for i, e := range []struct{ key, text string }{
		{"prompt", f.Prompt}, {"not_prompt", f.NotPrompt}, {"answer", f.Answer}, {"not_answer", f.NotAnswer},
	} {
		if e.text == "" {
			continue
		}
		var err error
		if k.expressions[i], err = regexp.Compile(e.text); err != nil {
			return nil, fmt.Errorf("%s: %w", e.key, err)
		}
	}
	return k, nil
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
func (k *keep) check(messages []chat.Message, r record) error {
	if k == nil {
		return nil
	}
	required := r.facts.Required.Words()
	switch {
	case k.StatedLength == "required" && required == 0:
		return unwanted("no_stated_length", "the prompt states no length")
	case required > 0 && prose.LengthScore(required, int(r.facts.Real)) < k.MinLengthScore:
		return unwanted("length_score", "%d words where the prompt asks for %d: S_l is %.1f, want %g", r.facts.Real, required, prose.LengthScore(required, int(r.facts.Real)), k.MinLengthScore)
	case len(k.Languages) > 0 && !slices.Contains(k.Languages, prose.Languages[r.facts.Language]):
		return unwanted("language", "the answer is of the language %s", prose.Languages[r.facts.Language])
	case int(r.words) < k.MinWords:
		return unwanted("min_words", "%d words, want at least %d", r.words, k.MinWords)
	case k.MaxWords > 0 && int(r.words) > k.MaxWords:
		return unwanted("max_words", "%d words, want at most %d", r.words, k.MaxWords)
	}
	for i, e := range k.expressions {
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

// reading is what a source's tokenised form depends on beside its content, the
// tokenizer and the template: "" where all of it has its default.
func (s Source) reading(near bool) string {
	if s.Format == "auto" {
		s.Format = ""
	}
	if s.Filter.StatedLength == "any" {
		s.Filter.StatedLength = ""
	}
	if s.TrainOn == "all" {
		s.TrainOn = ""
	}
	type all struct {
		Format  string
		Columns Columns
		Roles   map[string]string
		Filter  Filter
		Near    bool
		TrainOn string `json:",omitempty"`
	}
	raw, err := json.Marshal(all{s.Format, s.Columns, s.Roles, s.Filter, near, s.TrainOn})
	if err != nil {
		panic(fmt.Sprintf("data: %v", err)) // texts and numbers
	}
	if none, _ := json.Marshal(all{}); string(raw) == string(none) {
		return ""
	}
	return string(raw)
}
