// Package experiment shows by what the length of a model's answers is bounded, as LongWriter's
// controlled experiment did (arXiv:2408.07055, section 2): models that are trained on the same
// documents, cut at different lengths, are asked the same prompts. It holds what such an
// experiment is made of and what follows from its answers; package lengthcap trains, reads and asks.
package experiment

import (
	"fmt"
	"slices"
)

// Options say what is compared. Each field is a key of the YAML.
type Options struct {
	// words in the longest answers that the models are trained on, from the shortest to the longest
	Caps []int `yaml:"caps" min:"1" max:"1000000"`
	// cut: the same documents, each cut behind a sentence; filter: those whose answers are not longer, as in the paper
	Mode string `yaml:"mode" enum:"cut|filter"`
	// time that all of it may take on this machine; target tokens and prompts are fitted to it
	Hours float64 `yaml:"hours" above:"0" max:"10000"`
	// how often each model is trained, with other random choices
	Seeds int `yaml:"seeds" min:"1" max:"100"`
	// target tokens that each model sees, but for the controls; fewer where experiment.hours does not allow them
	TargetTokens int `yaml:"target_tokens" min:"1"`
	// prompts that all models answer, a .jsonl file as of eval.tasks; empty: those that ship with lwtrain
	Prompts string `yaml:"prompts" identity:"none"`
	// answers of each model to each prompt
	Samples int `yaml:"samples" min:"1" max:"1024"`
	// randomness of the answers
	Temperature float64 `yaml:"temperature" min:"0" max:"100"`
	// sample from the most probable tokens that together reach this probability; below 1 it may cut off the token
	// that ends an answer
	TopP float64 `yaml:"top_p" above:"0" max:"1"`
	// answers written together
	Batch int `yaml:"batch" identity:"none" min:"1" max:"1024"`
}

// Default is what holds where nothing else is said.
func Default() Options {
	return Options{
		Caps: []int{60, 300, 900}, Mode: "cut", Hours: 2, Seeds: 1, TargetTokens: 20_000, Samples: 1, Temperature: 0.8, TopP: 1, Batch: 16,
	}
}

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o Options) Validate() map[string]string {
	switch {
	case len(o.Caps) < 2:
		return map[string]string{"caps": fmt.Sprintf("%v, want at least two lengths to compare", o.Caps)}
	case !slices.IsSorted(o.Caps) || len(slices.Compact(slices.Clone(o.Caps))) < len(o.Caps):
		return map[string]string{"caps": fmt.Sprintf("%v, want each longer than the one before", o.Caps)}
	}
	return nil
}

// Longest is the largest cap.
func (o Options) Longest() int { return o.Caps[len(o.Caps)-1] }
