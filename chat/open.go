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
// (chat_template.jinja, else chat_template of tokenizer_config.json), a name
// of [Templates], or a path that ends in .jinja.
//
// It fails if the template can't be read, if it renders no plain conversation,
// or if no special token of the tokenizer ends an assistant turn in it.
func Open(tok *tokenizer.Tokenizer, template string) (*Template, error) {
	name, source, tools, err := find(tok, template)
	if err != nil {
		return nil, fault.Usage(err)
	}
	parsed, err := jinja.Parse(name, source)
	if err != nil {
		return nil, fault.Usage(err)
	}
	t := &Template{tok: tok, parsed: parsed, source: source, tools: tools, vars: templateVars(tok), now: time.Now()}
	if t.form, err = t.probe(); err != nil {
		err = fmt.Errorf("chat template %s: %w", name, err)
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
	if with.vars["tools"] != nil && t.tools != "" {
		with.source, with.tools = t.tools, ""
		if with.parsed, err = jinja.Parse(fileConfig+" chat_template "+toolUse, t.tools); err != nil {
			return nil, err
		}
	}
	with.form, err = with.probe()
	return &with, err
}

// toolUse is the name of the template that transformers takes where there are tools.
const toolUse = "tool_use"

// find finds a template's text, a name for its errors, and the text of the one for tools.
func find(tok *tokenizer.Tokenizer, template string) (name, source, tools string, err error) {
	switch {
	case template == "" || template == "auto":
		return ownTemplate(tok)
	case strings.HasSuffix(template, ".jinja"):
		path, err := filepath.EvalSymlinks(template) // the user's own link leads anywhere
		if err != nil {
			return "", "", "", err
		}
		data, err := modeldir.Read(filepath.Dir(path), filepath.Base(path), maxTemplate)
		return filepath.Base(template), string(data), "", err
	}
	data, err := shippedTemplates.ReadFile("templates/" + template + ".jinja")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return "", "", "", fmt.Errorf("template %q is unknown, want auto, %s, or a path that ends in .jinja", template,
			strings.Join(Templates(), ", "))
	}
	return template + ".jinja", string(data), "", err
}

// ownTemplate is the model's template, chosen as transformers does: of several with names
// the one named default, and tool_use where there are tools.
func ownTemplate(tok *tokenizer.Tokenizer) (name, source, tools string, err error) {
	if source := tok.File(fileTemplate); len(source) > 0 {
		return fileTemplate, string(source), "", nil
	}
	name = fileConfig + " chat_template"
	switch v := tok.Config()["chat_template"].(type) {
	case string:
		return name, v, "", nil
	case []any:
		texts := map[string]string{}
		for _, entry := range v {
			e, _ := entry.(map[string]any)
			entryName, _ := e["name"].(string)
			texts[entryName], _ = e["template"].(string)
		}
		if texts["default"] == "" {
			return "", "", "", fmt.Errorf("%s: the templates %q, want one named default", name, slices.Sorted(maps.Keys(texts)))
		}
		return name, texts["default"], texts[toolUse], nil
	}
	return "", "", "", fault.Hint(errors.New("the model has no chat template"), "set model.template to one of "+strings.Join(Templates(),
		", "))
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
