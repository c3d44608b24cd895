package inspect

import (
	"strings"

	"lwtrain/chat"
	"lwtrain/tokenizer"
)

// Tokenizer is what turns text into ids.
type Tokenizer struct {
	Kind       string            `json:"kind"`
	Vocabulary int               `json:"vocabulary"` // the highest id plus one
	Merges     int               `json:"merges"`
	Added      int               `json:"added"`   // tokens that are looked for in a text before anything else
	Special    map[string]string `json:"special"` // bos_token, eos_token, pad_token, unk_token: those that are set
	Before     []string          `json:"before"`  // tokens that are put before a text
}

// Template is what renders conversations.
type Template struct {
	Name     string   `json:"name"`     // the shipped one that renders a conversation the same; "own": none does
	Stop     []string `json:"stop"`     // tokens at which an answer ends
	Tools    bool     `json:"tools"`    // it writes tools
	Thinking bool     `json:"thinking"` // it knows reasoning before an answer
}

// readTokenizer reads the tokenizer of a folder and its chat template.
func (r *Report) readTokenizer(dir string) {
	tok, err := tokenizer.Load(dir)
	if err != nil {
		r.refuse("tokenizer", err)
		return
	}
	parts, err := tok.Parts()
	if err != nil {
		r.refuse("tokenizer", err)
		return
	}
	t := &Tokenizer{Kind: "byte-level bpe", Vocabulary: tok.VocabSize(), Merges: len(parts.Merges), Added: len(parts.Added),
		Special: map[string]string{}, Before: []string{}}
	if parts.Characters {
		t.Kind = "bpe of characters"
	}
	for _, name := range []string{"bos_token", "eos_token", "pad_token", "unk_token"} {
		if token := tok.SpecialToken(name); token != "" {
			t.Special[name] = token
		}
	}
	for _, id := range parts.Before {
		t.Before = append(t.Before, tok.Token(id))
	}
	r.Tokenizer = t
	if r.Config != nil && t.Vocabulary > r.Config.Vocab {
		r.Warnings = append(r.Warnings, "the tokenizer has more tokens than the model has rows for")
	}
	own, err := chat.Open(tok, "auto")
	if err != nil {
		r.refuse("template", err)
		return
	}
	r.Warnings = append(r.Warnings, own.Warnings()...)
	source := own.Source()
	r.Template = &Template{Name: nameOf(tok, own), Stop: []string{}, Tools: own.Reads("tools"),
		Thinking: own.Reads("enable_thinking") || strings.Contains(source, "<think>") || strings.Contains(source, "reasoning_content")}
	for _, id := range own.Stop() {
		r.Template.Stop = append(r.Template.Stop, tok.Token(id))
	}
}

// nameOf is the shipped template that renders a conversation as the model's own does, or own.
func nameOf(tok *tokenizer.Tokenizer, own *chat.Template) string {
	talk := []chat.Message{{Role: "system", Content: "a"}, {Role: "user", Content: "b"}, {Role: "assistant", Content: "c"},
		{Role: "user", Content: "d"}}
	want, _, err := own.At(chat.Today).Prompt(talk)
	if err != nil {
		return "own"
	}
	for _, name := range chat.Templates() {
		shipped, err := chat.Open(tok, name)
		if err != nil {
			continue // this tokenizer lacks its tokens
		}
		if text, _, err := shipped.At(chat.Today).Prompt(talk); err == nil && text == want {
			return name
		}
	}
	return "own"
}
