package model

import (
	"fmt"
	"slices"
)

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
	// an adapter's folder in PEFT's format to go on from; its rank, alpha, targets and variant hold
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
	return nil
}
