package chat

import (
	"embed"
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
	"lwtrain/tokenizer"
)

// Files of a tokenizer that can hold the model's own template.
const (
	fileTemplate = "chat_template.jinja"
	dirTemplates = "additional_chat_templates"
	fileConfig   = "tokenizer_config.json"
)

// maxTemplate bounds the size of a template.
const maxTemplate = 128 << 20

//go:embed templates/*.jinja
var shippedTemplates embed.FS

// Templates returns the names that [Open] knows besides auto, sorted.
func Templates() []string {
	var names []string
	files, _ := shippedTemplates.ReadDir("templates")
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".jinja"))
	}
	return names
}

// Open returns a template for a tokenizer: "auto" or "" for the model's own
// (chat_template.jinja and those of additional_chat_templates, else chat_template of
// tokenizer_config.json), a name
// of [Templates], or a path that ends in .jinja.
//
// It fails if the template can't be read, if it renders no plain conversation,
// or if no special token of the tokenizer ends an assistant turn in it.
func Open(tok *tokenizer.Tokenizer, template string) (*Template, error) {
	main, tools, err := find(tok, template)
	if err != nil {
		return nil, fault.Usage(err)
	}
	parsed, err := jinja.Parse(main.name, main.text)
	if err != nil {
		return nil, fault.Usage(err)
	}
	t := &Template{tok: tok, parsed: parsed, source: main.text, tools: tools, vars: templateVars(tok), now: time.Now()}
	if t.form, err = t.probe(); err != nil {
		err = fmt.Errorf("chat template %s: %w", main.name, err)
		return nil, fault.Usage(fault.Hint(err,
			"take the template that the model was made with (template: auto), or one of "+strings.Join(Templates(), ", ")))
	}
	return t, nil
}

// With returns a Template that sees these variables too, as
// apply_chat_template's keyword arguments: tools, documents, enable_thinking
// and the like, as decoded JSON or, where the order of keys or 1 against 1.0
// matters, as json.RawMessage. Where there are tools and the model has a template
// named tool_use, it is that one, as in transformers.
func (t *Template) With(vars map[string]any) (*Template, error) {
	with := *t
	with.vars = maps.Clone(t.vars)
	maps.Copy(with.vars, vars)
	var err error
	if with.vars["tools"] != nil && t.tools.text != "" {
		with.source, with.tools = t.tools.text, templateText{}
		if with.parsed, err = jinja.Parse(t.tools.name, t.tools.text); err != nil {
			return nil, err
		}
	}
	with.form, err = with.probe()
	return &with, err
}

// The names of the templates that transformers takes: with tools, and otherwise.
const (
	toolUse  = "tool_use"
	standard = "default"
)

// templateText is the text of a template; "": there is none.
type templateText struct {
	name string // for errors
	text string
}

// find finds a template and, where it is the model's own, the one for tools.
func find(tok *tokenizer.Tokenizer, template string) (main, tools templateText, err error) {
	switch {
	case template == "" || template == "auto":
		return ownTemplate(tok)
	case strings.HasSuffix(template, ".jinja"):
		path, err := filepath.EvalSymlinks(template) // the user's own link leads anywhere
		if err != nil {
			return main, tools, err
		}
		data, err := modeldir.Read(filepath.Dir(path), filepath.Base(path), maxTemplate)
		return templateText{filepath.Base(template), string(data)}, tools, err
	}
	data, err := shippedTemplates.ReadFile("templates/" + template + ".jinja")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return main, tools, fmt.Errorf("template %q is unknown, want auto, %s, or a path that ends in .jinja", template,
			strings.Join(Templates(), ", "))
	}
	return templateText{template + ".jinja", string(data)}, tools, err
}

// ownTemplate is the model's template, chosen as transformers does: those in files of their
// own take the place of tokenizer_config.json's; of several with names it is the one named
// default, and tool_use where there are tools.
func ownTemplate(tok *tokenizer.Tokenizer) (main, tools templateText, err error) {
	texts := map[string]templateText{}
	if text := tok.File(fileTemplate); len(text) > 0 {
		texts[standard] = templateText{fileTemplate, string(text)}
	}
	for name, text := range tok.Templates() {
		texts[name] = templateText{dirTemplates + "/" + name + ".jinja", text}
	}
	if len(texts) == 0 {
		texts = configured(tok.Config()["chat_template"])
	}
	switch {
	case len(texts) == 0:
		err = fault.Hint(errors.New("the model has no chat template"), "set model.template to one of "+strings.Join(Templates(), ", "))
	case texts[standard].text == "":
		err = fmt.Errorf("the model has the templates %q, want one named %s", slices.Sorted(maps.Keys(texts)), standard)
	}
	return texts[standard], texts[toolUse], err
}

// configured are the templates of tokenizer_config.json by name.
func configured(value any) map[string]templateText {
	const file = fileConfig + " chat_template"
	texts := map[string]templateText{}
	switch v := value.(type) {
	case string:
		if v != "" {
			texts[standard] = templateText{file, v}
		}
	case []any:
		for _, entry := range v {
			e, _ := entry.(map[string]any)
			name, _ := e["name"].(string)
			text, _ := e["template"].(string)
			texts[name] = templateText{file + " " + name, text}
		}
	}
	return texts
}

// templateVars returns what transformers gives to every template: the special
// tokens that are set, tools and documents as None.
func templateVars(tok *tokenizer.Tokenizer) map[string]any {
	vars := map[string]any{"tools": nil, "documents": nil}
	for _, name := range []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"} {
		if token := tok.SpecialToken(name); token != "" {
			vars[name] = token
		}
	}
	var additional []string
	list, _ := tok.Config()["additional_special_tokens"].([]any)
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
