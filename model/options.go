package model

import (
	"encoding/json"
	"fmt"
	"time"
)

// Options say which model is trained. Each field is a key of the YAML: package
// configs shows its comment to users (once `go generate ./configs` has read it)
// and checks values by its tags.
type Options struct {
	// a model folder in Hugging Face layout, a run's folder, whose newest whole checkpoint it is, a .gguf file, or a
	// name on the Hugging Face hub (owner/name, hf://owner/name@revision), which is fetched once
	Path string `yaml:"path" identity:"none"`
	// a fresh model with random weights, instead of path
	Init *Init `yaml:"init"`
	// chat template: auto (the model's own), chatml, llama3, glm4, longwriter-llama, longwriter-glm, or a .jinja file
	Template string `yaml:"template" identity:"none"`
	// the day that a template which prints the date (strftime_now, as Llama 3's) is told is today,
	// so that the same data is the same on every day
	TemplateDate Date `yaml:"template_date" identity:"none"`
}

// Date is a day, written as 2024-07-26.
type Date string

// UnmarshalText reads what [Date] describes.
func (d *Date) UnmarshalText(text []byte) error {
	if _, err := time.Parse(time.DateOnly, string(text)); err != nil {
		return fmt.Errorf("%.40q, want a day as 2024-07-26", text)
	}
	*d = Date(text)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (d Date) MarshalText() ([]byte, error) { return []byte(d), nil }

// Time is the beginning of the day.
func (d Date) Time() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d)) // it was read so
	return t
}

// Init describes a fresh model.
type Init struct {
	// seed of the random weights
	Seed uint64 `yaml:"seed"`
	// the architecture, with the keys of a config.json (model_type, hidden_size, num_hidden_layers ...)
	Config map[string]any `yaml:"config"`
}

// Architecture reads the config.json-like map.
func (i Init) Architecture() (Config, error) {
	raw, err := json.Marshal(i.Config)
	if err != nil {
		return Config{}, fmt.Errorf("not a config.json: %w", err)
	}
	return ParseConfig(raw)
}

// Default is what holds where nothing else is said: no model, its own
// template.
func Default() Options { return Options{Template: "auto", TemplateDate: "2024-07-26"} }

// Validate returns what is wrong with the options, by key; nil when nothing is.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	switch {
	case o.Path == "" && o.Init == nil:
		bad["path"] = "missing, want a model folder in Hugging Face layout or a .gguf file (or model.init for a fresh model)"
	case o.Path != "" && o.Init != nil:
		bad["init"] = "there is a model.path too, want only one of them"
	}
	if o.Init != nil {
		if _, err := o.Init.Architecture(); err != nil {
			bad["init.config"] = err.Error()
		}
	}
	if o.Template == "" {
		bad["template"] = "empty, want auto, a template's name or a .jinja file"
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}
