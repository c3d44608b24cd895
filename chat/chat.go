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
	"maps"
	"slices"
	"strings"
	"time"

	"lwtrain/internal/fault"
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
	source string         // the template's text
	vars   map[string]any // what the template sees besides the messages
	now    time.Time
	form   turnForm
}

// Open returns a template for a tokenizer: "auto" or "" for the model's own
// (chat_template.jinja, else chat_template of tokenizer_config.json), a name
// of [Templates], or a path that ends in .jinja.
//
// It fails if the template can't be read, if it renders no plain conversation,
// or if no special token of the tokenizer ends an assistant turn in it.
func Open(tok *tokenizer.Tokenizer, template string) (*Template, error) {
	name, source, err := find(tok, template)
	if err != nil {
		return nil, fault.Usage(err)
	}
	parsed, err := jinja.Parse(name, source)
	if err != nil {
		return nil, fault.Usage(err)
	}
	t := &Template{tok: tok, parsed: parsed, source: source, vars: templateVars(tok), now: time.Now()}
	if t.form, err = t.probe(); err != nil {
		err = fmt.Errorf("chat template %s: %w", name, err)
		return nil, fault.Usage(fault.Hint(err, "take the template that the model was made with (template: auto), or one of "+strings.Join(Templates(), ", ")))
	}
	return t, nil
}

// With returns a Template that sees these variables too, as
// apply_chat_template's keyword arguments: tools, documents, enable_thinking
// and the like, as decoded JSON or, where the order of keys or 1 against 1.0
// matters, as json.RawMessage.
func (t *Template) With(vars map[string]any) (*Template, error) {
	with := *t
	with.vars = maps.Clone(t.vars)
	maps.Copy(with.vars, vars)
	var err error
	with.form, err = with.probe()
	return &with, err
}

// At returns a Template whose clock stands still at now, for templates that print
// the date. Without it they print the day on which the template was opened.
func (t *Template) At(now time.Time) *Template {
	at := *t
	at.now = now
	return &at
}

// Prompt renders a conversation with the generation prompt behind it, as
// apply_chat_template(add_generation_prompt=True) does, for the model to go on
// from. The conversation may end in any turn.
func (t *Template) Prompt(msgs []Message) (text string, ids []int32, err error) {
	if err := checkRoles(msgs); err != nil {
		return "", nil, err
	}
	out, err := t.render(msgs, true)
	if err != nil {
		return "", nil, err
	}
	return out.Text, t.tok.EncodeText(out.Text), nil
}

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

// Warning says what looks like a mistake in the template, "" if nothing does:
// LongWriter-glm4-9b's own begins with [gMASK]sop, where the model was trained on
// the token <sop>, and it is rendered as it stands.
func (t *Template) Warning() string {
	if !strings.Contains(t.source, "[gMASK]sop") {
		return ""
	}
	return "the chat template writes [gMASK]sop, and GLM-4's token is <sop>: model.template longwriter-glm is the form that LongWriter was trained in, glm4 the chat model's"
}

// targetRule names the rules of mask.go; it changes when they change.
const targetRule = "lwtrain targets 1"

// Fingerprint returns the SHA-256, in hexadecimal, over everything that changes
// what [Template.Render] returns: the tokenizer, the template and the variables it
// sees. The date is no part of it.
func (t *Template) Fingerprint() string {
	vars, err := json.Marshal(t.vars)
	if err != nil { // a json.RawMessage that is none: take it as it stands
		vars = fmt.Append(nil, t.vars)
	}
	h := sha256.New()
	for _, part := range []string{targetRule, t.tok.Fingerprint(), t.source, string(vars)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}
