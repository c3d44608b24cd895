// Package chat turns conversations into what a model is trained on or asked:
// messages, rendered by a chat template as transformers does, their ids, and the
// target mask.
//
// [Open] a template for a tokenizer first; then [Template.Render] for training and
// [Template.Prompt] for generation.
package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lwtrain/internal/jinja"
	"lwtrain/tokenizer"
)

// Template is a chat template with the tokenizer whose ids it makes. It is safe
// for concurrent use.
//
// What a template means is found out when it is opened, by rendering probe
// conversations: the generation prompt, and which tokens end an assistant turn.
// There is no table of models.
type Template struct {
	tok    *tokenizer.Tokenizer
	parsed *jinja.Template
	source string
	tools  templateText   // of the one that takes its place where there are tools
	vars   map[string]any // what the template sees besides the messages
	now    time.Time
	form   turnForm
}

// Today is the day that training tells templates is today (strftime_now) where nobody says
// another, so that the same data is the same on every day: the one that Llama 3.1's template
// falls back on.
var Today = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// At returns a Template whose clock stands still at now, for templates that print
// the date. Without it they print the day on which the template was opened.
func (t *Template) At(now time.Time) *Template {
	at := *t
	at.now = now
	return &at
}

// Source returns the text of the template.
func (t *Template) Source() string { return t.source }

// Stop returns the ids at which generation of an answer ends: the tokenizer's
// [Tokenizer.EOS] and the tokens that end an assistant turn in the template.
func (t *Template) Stop() []int32 {
	stop := t.tok.EOS()
	for _, id := range t.form.ends {
		if !slices.Contains(stop, id) {
			stop = append(stop, id)
		}
	}
	if t.form.closes && !slices.Contains(stop, t.form.eos) {
		stop = append(stop, t.form.eos)
	}
	return stop
}

// Token is what an id stands for, which need not be whole characters, and whether it is a special
// token.
func (t *Template) Token(id int32) (text string, special bool) {
	return t.tok.Text(id), t.tok.IsSpecial(id)
}

// Warnings say what looks like a mistake in the template, which is rendered as it stands:
// LongWriter-glm4-9b's own begins with [gMASK]sop, where the model was trained on
// the token <sop>; generation blocks of others leave out the token that ends an answer.
func (t *Template) Warnings() (out []string) {
	if strings.Contains(t.source, "[gMASK]sop") {
		out = append(out, "the chat template writes [gMASK]sop, and GLM-4's token is <sop>: model.template longwriter-glm is the form "+
			"that LongWriter was trained in, glm4 the chat model's")
	}
	if split, _ := t.tok.Config()["split_special_tokens"].(bool); split {
		out = append(out, "split_special_tokens of tokenizer_config.json is true, and is not followed: "+
			"the special tokens that the chat template writes stay whole, or the model would see none")
	}
	if t.form.endless {
		out = append(out, fmt.Sprintf("the generation blocks of the chat template leave out %s, which ends an answer: "+
			"the model will not learn to stop; put it into the block", t.tok.Token(t.form.ends[0])))
	}
	return out
}

// Reads reports whether the template speaks of a variable. One that it does not speak of
// changes nothing.
func (t *Template) Reads(variable string) bool { return t.parsed.Reads(variable) }

// targetRule names the rules of mask.go; it changes when they change.
const targetRule = "lwtrain targets 1"

// Fingerprint returns the SHA-256, in hexadecimal, over everything that changes
// what [Template.Render] returns: the tokenizer, the template and the variables it
// sees, and of one that prints the date that date, unless it is [Today].
func (t *Template) Fingerprint() string {
	vars, err := json.Marshal(t.vars)
	if err != nil { // a json.RawMessage that is none: take it as it stands
		vars = fmt.Append(nil, t.vars)
	}
	h := sha256.New()
	parts := []string{targetRule, t.tok.Fingerprint(), t.source, string(vars)}
	if !t.now.Equal(Today) && strings.Contains(t.source, "strftime_now") {
		parts = append(parts, t.now.Format(time.DateOnly))
	}
	if t.tools.text != "" {
		parts = append(parts, t.tools.text)
	}
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}
