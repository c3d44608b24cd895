package tokenizer

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/jinja"
	"lwtrain/internal/modeldir"
)

//go:embed templates/*.jinja
var shippedTemplates embed.FS

// Chat is a tokenizer with a chat template. It is safe for concurrent use.
//
// What a template means is found out when the Chat is made, by rendering probe
// conversations: the generation prompt, and which tokens end an assistant turn.
// There is no table of models.
type Chat struct {
	tok      *Tokenizer
	template *jinja.Template
	source   string         // the template's text
	vars     map[string]any // what the template sees besides the messages
	now      time.Time
	form     turnForm
}

// Templates returns the names that [Tokenizer.Chat] knows besides auto, sorted.
func Templates() []string {
	var names []string
	files, _ := shippedTemplates.ReadDir("templates")
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".jinja"))
	}
	return names
}

// Chat returns the tokenizer with a template: "auto" or "" for the model's own
// (chat_template.jinja, else chat_template of tokenizer_config.json), a name
// of [Templates], or a path that ends in .jinja.
//
// It fails if the template can't be read, if it renders no plain conversation,
// or if no special token of the tokenizer ends an assistant turn in it.
func (t *Tokenizer) Chat(template string) (*Chat, error) {
	name, source, err := t.templateSource(template)
	if err != nil {
		return nil, fault.Usage(err)
	}
	return t.chatFrom(name, source, nil, time.Now())
}

func (t *Tokenizer) chatFrom(name, source string, vars map[string]any, now time.Time) (*Chat, error) {
	parsed, err := jinja.Parse(name, source)
	if err != nil {
		return nil, fault.Usage(err)
	}
	c := &Chat{tok: t, template: parsed, source: source, vars: t.templateVars(), now: now}
	maps.Copy(c.vars, vars)
	if c.form, err = c.probe(); err != nil {
		err = fmt.Errorf("chat template %s: %w", name, err)
		return nil, fault.Usage(fault.Hint(err, "take the template that the model was made with (template: auto), or one of "+strings.Join(Templates(), ", ")))
	}
	return c, nil
}

// With returns a Chat whose template sees these variables too, as
// apply_chat_template's keyword arguments: tools, documents, enable_thinking
// and the like, as decoded JSON or, where the order of keys or 1 against 1.0
// matters, as json.RawMessage.
func (c *Chat) With(vars map[string]any) (*Chat, error) {
	with := *c
	with.vars = maps.Clone(c.vars)
	maps.Copy(with.vars, vars)
	var err error
	with.form, err = with.probe()
	return &with, err
}

// At returns a Chat whose clock stands still at now, for templates that print
// the date. Without it they print the day on which the Chat was made.
func (c *Chat) At(now time.Time) *Chat {
	at := *c
	at.now = now
	return &at
}

// Prompt renders a conversation with the generation prompt behind it, as
// apply_chat_template(add_generation_prompt=True) does, for the model to go on
// from. The conversation may end in any turn.
func (c *Chat) Prompt(msgs []Message) (text string, ids []int32, err error) {
	if err := checkRoles(msgs); err != nil {
		return "", nil, err
	}
	out, err := c.render(msgs, true)
	if err != nil {
		return "", nil, err
	}
	return out.Text, c.tok.EncodeText(out.Text), nil
}

// Stop returns the ids at which generation of an answer ends: the tokenizer's
// [Tokenizer.EOS] and the tokens that end an assistant turn in the template.
func (c *Chat) Stop() []int32 {
	stop := c.tok.EOS()
	for _, id := range c.form.ends {
		if !slices.Contains(stop, id) {
			stop = append(stop, id)
		}
	}
	if c.form.closes && !slices.Contains(stop, c.form.eos) {
		stop = append(stop, c.form.eos)
	}
	return stop
}

// Warning says what looks like a mistake in the template, "" if nothing does:
// LongWriter-glm4-9b's own begins with [gMASK]sop, where the model was trained on
// the token <sop>, and it is rendered as it stands.
func (c *Chat) Warning() string {
	if !strings.Contains(c.source, "[gMASK]sop") {
		return ""
	}
	return "the chat template writes [gMASK]sop, and GLM-4's token is <sop>: model.template longwriter-glm is the form that LongWriter was trained in, glm4 the chat model's"
}

// targetRule names the rules of mask.go; it changes when they change.
const targetRule = "lwtrain targets 1"

// Fingerprint returns the SHA-256, in hexadecimal, over everything that changes
// what [Chat.Render] returns: the tokenizer, the template and the variables it
// sees. The date is no part of it.
func (c *Chat) Fingerprint() string {
	vars, err := json.Marshal(c.vars)
	if err != nil { // a json.RawMessage that is none: take it as it stands
		vars = fmt.Append(nil, c.vars)
	}
	h := sha256.New()
	for _, part := range []string{targetRule, c.tok.Fingerprint(), c.source, string(vars)} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// templateSource finds a template's text, and a name for its errors.
func (t *Tokenizer) templateSource(template string) (name, source string, err error) {
	switch {
	case template == "" || template == "auto":
		return t.ownTemplate()
	case strings.HasSuffix(template, ".jinja"):
		path, err := filepath.EvalSymlinks(template) // the user's own link leads anywhere
		if err != nil {
			return "", "", err
		}
		data, err := modeldir.Read(filepath.Dir(path), filepath.Base(path), maxFile)
		return filepath.Base(template), string(data), err
	}
	data, err := shippedTemplates.ReadFile("templates/" + template + ".jinja")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return "", "", fmt.Errorf("template %q is unknown, wanted auto, %s, or a path that ends in .jinja", template, strings.Join(Templates(), ", "))
	}
	return template + ".jinja", string(data), err
}

// ownTemplate is the model's template, chosen as transformers does.
func (t *Tokenizer) ownTemplate() (name, source string, err error) {
	if t.jinja != "" {
		return fileJinja, t.jinja, nil
	}
	name = fileConfig + " chat_template"
	switch v := t.config["chat_template"].(type) {
	case string:
		return name, v, nil
	case []any:
		var names []string
		for _, entry := range v {
			e, _ := entry.(map[string]any)
			entryName, _ := e["name"].(string)
			if text, ok := e["template"].(string); ok && entryName == "default" {
				return name, text, nil
			}
			names = append(names, entryName)
		}
		return "", "", fmt.Errorf("%s: the templates %q, wanted one named default", name, names)
	}
	return "", "", fault.Hint(errors.New("the model has no chat template"), "set model.template to one of "+strings.Join(Templates(), ", "))
}

// templateVars returns what transformers gives to every template: the special
// tokens that are set, tools and documents as None.
func (t *Tokenizer) templateVars() map[string]any {
	vars := map[string]any{"tools": nil, "documents": nil}
	for _, name := range []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"} {
		if token := t.specialToken(name); token != "" {
			vars[name] = token
		}
	}
	var additional []string
	list, _ := t.config["additional_special_tokens"].([]any)
	for _, entry := range list {
		switch e := entry.(type) {
		case string:
			additional = append(additional, e)
		case map[string]any:
			text, _ := e["content"].(string)
			additional = append(additional, text)
		}
	}
	if additional != nil {
		vars["additional_special_tokens"] = additional
	}
	return vars
}

// render renders messages, all their strings but the roles marked.
func (c *Chat) render(msgs []Message, prompt bool) (jinja.Output, error) {
	return c.renderWithin(jinja.Limits{}, msgs, prompt)
}

func (c *Chat) renderWithin(limits jinja.Limits, msgs []Message, prompt bool) (jinja.Output, error) {
	vars := maps.Clone(c.vars)
	list := make([]jinja.Map, len(msgs))
	for i, m := range msgs {
		list[i] = templateMessage(i, m)
	}
	vars["messages"] = list
	vars["add_generation_prompt"] = prompt
	out, err := c.template.Render(vars, jinja.Options{Limits: limits, Now: c.now})
	if err != nil {
		return out, &ConversationError{Reason: RefusedByTemplate, Message: -1, Detail: err.Error(), err: err}
	}
	return out, nil
}

// The engine marks what a message itself says as source 2i and its names (of
// functions, calls, speakers) as 2i+1: templates write names into headers, of
// the message itself and of those that answer it, so they say little about where
// a message stands.
func textOf(i int) int  { return 2 * i }
func namesOf(i int) int { return 2*i + 1 }

// nameKeys are the keys of a message, or of what lies in it, that hold names.
var nameKeys = []string{"name", "id", "type", "tool_call_id", "metadata", "recipient"}

// templateMessage is message i as the template sees it: role, content, and the
// other keys sorted. A content in Extra (a list of parts, or nil) replaces
// Content.
func templateMessage(i int, m Message) jinja.Map {
	keys := map[string]int{"arguments": textOf(i)} // an argument called name is text
	for _, key := range nameKeys {
		keys[key] = namesOf(i)
	}
	var content any = m.Content
	if v, ok := m.Extra["content"]; ok {
		content = v
	}
	out := jinja.Map{{Key: "role", Value: m.Role}, {Key: "content", Value: jinja.From{Source: textOf(i), Value: content, Keys: keys}}}
	for _, name := range slices.Sorted(maps.Keys(m.Extra)) {
		if name == "role" || name == "content" {
			continue
		}
		from := jinja.From{Source: textOf(i), Value: m.Extra[name], Keys: keys}
		if slices.Contains(nameKeys, name) {
			from.Source = namesOf(i)
		}
		out = append(out, jinja.Pair{Key: name, Value: from})
	}
	return out
}
