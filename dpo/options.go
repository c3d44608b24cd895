// Package dpo trains a model on preferences: pairs of a chosen and a rejected
// answer (Rafailov et al. 2023, arXiv:2305.18290), or single answers that are
// labelled desirable or undesirable (KTO, Ethayarajh et al. 2024,
// arXiv:2402.01306).
//
// [Options.Loss] and [Options.KTO] are pure functions of an answer's summed
// log-probabilities. [Grad.Weigh] turns their gradients into the weights of a
// pack's tokens, so the graph that fine-tunes trains on preferences too.
// docs/dpo.md has each loss's formula, source and use.
package dpo

import (
	"fmt"
	"slices"
	"strings"
)

// Options say how a model is trained on preference pairs. Each field is a key
// of the YAML: package configs shows its comment to users (once `go generate
// ./configs` has read it) and checks values by its tags.
type Options struct {
	// strength of the pull towards the reference model: reward is beta times the log-ratio
	Beta float64 `yaml:"beta" above:"0"`
	// the preference loss, or a list of losses that are added up; sigmoid is DPO's own
	LossType []string `yaml:"loss_type"`
	// weight of each loss of loss_type, in its order; empty: 1 each
	LossWeights []float64 `yaml:"loss_weights" above:"0"`
	// probability that a pair's labels are swapped (cDPO with sigmoid, sigmoid_norm and rdpo; robust)
	LabelSmoothing float64 `yaml:"label_smoothing" min:"0" below:"0.5"`
	// LD-DPO: weight of the longer answer's tokens beyond the shorter
	// one's length, in policy and reference; 1: none is damped
	LDAlpha float64 `yaml:"ld_alpha" min:"0" max:"1"`
	// reward margin of loss_type simpo
	SimPOGamma float64 `yaml:"simpo_gamma" min:"0"`
	// penalty of loss_type dpop on a chosen answer that is less probable than under the reference
	DPOPLambda float64 `yaml:"dpop_lambda" min:"0"`
	// reward that loss_type rdpo takes off an answer for each of its tokens; below 0 it favours length
	RDPOAlpha float64 `yaml:"rdpo_alpha"`
	// weight of the desirable answers of loss_type kto
	DesirableWeight float64 `yaml:"desirable_weight" min:"0"`
	// weight of the undesirable answers of loss_type kto
	UndesirableWeight float64 `yaml:"undesirable_weight" min:"0"`
	// weight of the cross-entropy on the chosen answer (mean over its tokens), added to the loss
	SFTWeight float64 `yaml:"sft_weight" min:"0"`
	// the model that log-ratios are taken against: initial (the one training starts from), none, or a model folder
	Reference string `yaml:"reference" words:"initial|none"`
}

// Default is TRL's, LLaMA-Factory's margin for SimPO, and lambda as in DPOP's
// paper.
func Default() Options {
	return Options{
		Beta: 0.1, LossType: []string{"sigmoid"}, LDAlpha: 1, SimPOGamma: 0.5, DPOPLambda: 50,
		DesirableWeight: 1, UndesirableWeight: 1, Reference: "initial",
	}
}

// Enums are the names that a key takes, by the key.
func (Options) Enums() map[string][]string {
	return map[string][]string{"loss_type": lossNames(func(lossType) bool { return true })}
}

// NeedsReference reports whether a loss takes log-ratios to a reference model.
func (o Options) NeedsReference() bool {
	return o.any(func(l lossType) bool { return l.reference })
}

// Labelled reports whether the loss is of single labelled answers, not of pairs.
func (o Options) Labelled() bool { return slices.Contains(o.LossType, "kto") }

// Validate returns what is wrong between the options, by key; nil when nothing
// is. The bounds of each option alone are in its tags.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	is := strings.Join(o.LossType, ", ")
	has := func(names ...string) bool {
		return slices.ContainsFunc(o.LossType, func(name string) bool { return slices.Contains(names, name) })
	}
	for i, name := range o.LossType {
		if _, ok := lossOf(name); !ok {
			bad["loss_type"] = fmt.Sprintf("%q, want one that there is", name)
		} else if slices.Contains(o.LossType[:i], name) {
			bad["loss_type"] = name + " twice, want it once, with its weight in loss_weights"
		}
	}
	switch {
	case len(o.LossType) == 0:
		bad["loss_type"] = "empty, want at least one loss"
	case has("kto") && len(o.LossType) > 1:
		bad["loss_type"] = is + ", but kto takes labelled answers and the others pairs, want kto alone"
	}
	if n := len(o.LossWeights); n > 0 && n != len(o.LossType) {
		bad["loss_weights"] = fmt.Sprintf("%d of them, want %d, one for each of loss_type (%s)", n, len(o.LossType), is)
	}
	o.checkRead(bad, is)
	if has("rdpo") && o.RDPOAlpha == 0 {
		bad["rdpo_alpha"] = "0, which makes rdpo plain sigmoid, want about 1 over the usual difference of lengths in tokens"
	}
	if has("kto") && o.DesirableWeight == 0 && o.UndesirableWeight == 0 {
		bad["desirable_weight"] = "0, and undesirable_weight as well, want one of them above 0, else nothing is learnt"
	}
	switch {
	case o.Reference == "":
		bad["reference"] = "empty, want initial, none or a model folder"
	case o.Reference == "none" && o.NeedsReference():
		bad["reference"] = "none, but loss_type " + is + " needs one, want initial or a model folder"
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}

// checkRead finds options that differ from their defaults and that the losses, whose names
// are is, do not read.
func (o Options) checkRead(bad map[string]string, is string) {
	d := Default()
	for key, v := range map[string][2]float64{
		"simpo_gamma": {o.SimPOGamma, d.SimPOGamma}, "dpop_lambda": {o.DPOPLambda, d.DPOPLambda}, "rdpo_alpha": {o.RDPOAlpha, d.RDPOAlpha},
		"desirable_weight":   {o.DesirableWeight, d.DesirableWeight},
		"undesirable_weight": {o.UndesirableWeight, d.UndesirableWeight},
		"label_smoothing":    {o.LabelSmoothing, d.LabelSmoothing},
		"ld_alpha":           {o.LDAlpha, d.LDAlpha}, "sft_weight": {o.SFTWeight, d.SFTWeight},
	} {
		reads := func(l lossType) bool { return slices.Contains(l.reads, key) }
		refuses := func(l lossType) bool { return slices.Contains(l.refuses, key) }
		only, without := lossNames(reads), lossNames(refuses)
		switch {
		case v[0] == v[1]:
		case len(only) > 0 && !o.any(reads):
			bad[key] = fmt.Sprintf("%g, want %g, or loss_type %s: %s does not read it", v[0], v[1], strings.Join(only, ", "), is)
		case o.any(refuses):
			bad[key] = fmt.Sprintf("%g, want %g, or a loss_type other than %s: %s does not take it", v[0], v[1], strings.Join(without, ", "), is)
		}
	}
}
