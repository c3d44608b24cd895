package chat

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"lwtrain/internal/fault"
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

// find finds a template's text, and a name for its errors.
func find(tok *tokenizer.Tokenizer, template string) (name, source string, err error) {
	switch {
	case template == "" || template == "auto":
		return ownTemplate(tok)
	case strings.HasSuffix(template, ".jinja"):
		path, err := filepath.EvalSymlinks(template) // the user's own link leads anywhere
		if err != nil {
			return "", "", err
		}
		data, err := modeldir.Read(filepath.Dir(path), filepath.Base(path), maxTemplate)
		return filepath.Base(template), string(data), err
	}
	data, err := shippedTemplates.ReadFile("templates/" + template + ".jinja")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return "", "", fmt.Errorf("template %q is unknown, want auto, %s, or a path that ends in .jinja", template, strings.Join(Templates(), ", "))
	}
	return template + ".jinja", string(data), err
}

// ownTemplate is the model's template, chosen as transformers does.
func ownTemplate(tok *tokenizer.Tokenizer) (name, source string, err error) {
	if source := tok.File(fileTemplate); len(source) > 0 {
		return fileTemplate, string(source), nil
	}
	name = fileConfig + " chat_template"
	switch v := tok.Config()["chat_template"].(type) {
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
		return "", "", fmt.Errorf("%s: the templates %q, want one named default", name, names)
	}
	return "", "", fault.Hint(errors.New("the model has no chat template"), "set model.template to one of "+strings.Join(Templates(), ", "))
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
