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
	// the model that log-ratios are taken against: initial (the one training starts from), base (that without the
	// adapters of lora.from), none, or another, as model.path names one
	Reference string `yaml:"reference" words:"initial|base|none"`
	// compute a pair's prompt once, for both answers, with the native engine; auto: where that saves a twentieth of the
	// pair's work; true: wherever it can be, else refuse. The losses are the same
	SharePrompts string `yaml:"share_prompts" later:"0.5" before:"false" enum:"auto|true|false"`
}

// What Reference says besides the name of a model.
const (
	Initial     = "initial" // the model that training starts from
	Base        = "base"    // it without its adapters
	NoReference = "none"
)

// What SharePrompts says.
const (
	WhereItPays = "auto"
	Wherever    = "true"
	Nowhere     = "false"
)

// Default is TRL's, LLaMA-Factory's margin for SimPO, and lambda as in DPOP's
// paper.
func Default() Options {
	return Options{
		Beta: 0.1, LossType: []string{"sigmoid"}, LDAlpha: 1, SimPOGamma: 0.5, DPOPLambda: 50,
		DesirableWeight: 1, UndesirableWeight: 1, Reference: Initial,
		SharePrompts: WhereItPays,
	}
}
