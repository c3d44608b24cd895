package dpo

import (
	"fmt"
	"slices"
	"strings"
)

// Enums are the names that a key takes, by the key.
func (Options) Enums() map[string][]string {
	return map[string][]string{"loss_type": lossNames(func(lossType) bool { return true })}
}

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
	if has("kto") && o.SharePrompts == Wherever {
		bad["share_prompts"] = "true, and loss_type kto has no pairs, want auto or false"
	}
	switch {
	case o.Reference == "":
		bad["reference"] = "empty, want initial, base, none or a model"
	case o.Reference == NoReference && o.NeedsReference():
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
			bad[key] = fmt.Sprintf("%g, want %g, or loss_type %s: %s does not read it",
				v[0], v[1], strings.Join(only, ", "), is)
		case o.any(refuses):
			bad[key] = fmt.Sprintf("%g, want %g, or a loss_type other than %s: %s does not take it",
				v[0], v[1], strings.Join(without, ", "), is)
		}
	}
}
