package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lwtrain/model/families"
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
	// how positions are stretched for texts longer than the model has seen: rope_type (linear, yarn, llama3; default: they
	// go on as they are) and factor, with keys of config.json's rope_scaling; what is saved then says so, and takes
	// texts of factor times the length
	RopeScaling map[string]any `yaml:"rope_scaling" later:"0.5"`
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
func Default() Options {
	return Options{RopeScaling: map[string]any{}, Template: "auto", TemplateDate: "2024-07-26"}
}

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
	if len(o.RopeScaling) > 0 {
		if err := checkStretch(o.RopeScaling); err != nil {
			bad["rope_scaling"] = err.Error()
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

// LoRA says which low-rank adapters a model gets (Hu et al. 2021, arXiv:2106.09685): beside a
// matrix W [N, K] that stays as it is, B A of A [rank, K] and B [N, rank] is trained, and
// W + scale B A takes the place of W. Each field is a key of the YAML, as in [Options].
type LoRA struct {
	// rows of A and columns of B; 0: no adapters, all parameters are trained
	Rank int `yaml:"rank" min:"0" max:"4096"`
	// how much an adapter adds: the scale is alpha / rank
	Alpha float64 `yaml:"alpha" above:"0" max:"1e6"`
	// share of an adapter's inputs that are 0 in a step, by chance; the same ones wherever a step computes a text
	// more than once
	Dropout float64 `yaml:"dropout" min:"0" below:"1"`
	// the matrices that get one: all-linear (those of all layers), or names as PEFT's target_modules has them: [q_proj, v_proj]
	Target []string `yaml:"target"`
	// lora; rslora: the scale is alpha / sqrt(rank); dora: the length of each row of W + scale B A is trained, too
	Variant string `yaml:"variant" enum:"lora|rslora|dora"`
	// modules outside of the layers that are trained as a whole beside the adapters, as PEFT has it: [embed_tokens, lm_head], norm
	ModulesToSave []string `yaml:"modules_to_save" later:"0.5"`
	// an adapter's folder in PEFT's format to go on from; its rank, alpha, targets, variant and modules hold
	From string `yaml:"from" identity:"none"`
}

// The variants of [LoRA].
const (
	PlainLoRA = "lora"
	RsLoRA    = "rslora" // Kalajdzievski 2023, arXiv:2312.03732
	DoRA      = "dora"   // Liu et al. 2024, arXiv:2402.09353
)

// AllLinear is the target that stands for the matrices of all layers.
const AllLinear = "all-linear"

// DefaultLoRA is no adapters; alpha and targets are those of Schulman et al. 2025, LoRA Without Regret.
func DefaultLoRA() LoRA {
	return LoRA{Alpha: 32, Target: []string{AllLinear}, Variant: PlainLoRA}
}

// On reports whether there are adapters.
func (o LoRA) On() bool { return o.Rank > 0 || o.From != "" }

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o LoRA) Validate() map[string]string {
	if len(o.Target) == 0 {
		return map[string]string{"target": "empty, want all-linear or names of matrices"}
	}
	if slices.Contains(o.Target, AllLinear) && len(o.Target) > 1 {
		return map[string]string{"target": fmt.Sprintf("%v, want all-linear alone or names of matrices", o.Target)}
	}
	if len(o.ModulesToSave) > 0 && !o.On() {
		return map[string]string{"modules_to_save": fmt.Sprintf("%v, and there are no adapters (rank is 0), want none: all modules are "+
			"trained as a whole", o.ModulesToSave)}
	}
	return nil
}

// ShapeNames lists what [Shape] knows.
func ShapeNames() []string { return slices.Sorted(maps.Keys(families.Shapes())) }

// Shape is the architecture of a published model, by name.
func Shape(name string) (Config, error) {
	s, ok := families.Shapes()[name]
	if !ok {
		return Config{}, fmt.Errorf("shape %q, want one of: %s", name, strings.Join(ShapeNames(), ", "))
	}
	return ParseConfig([]byte("{" + s + "}"))
}
