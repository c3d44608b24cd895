// Package dpo trains a model on preferences: pairs of a chosen and a rejected
// answer (Rafailov et al. 2023, arXiv:2305.18290).
package dpo

// Options say how a model is trained on preference pairs. The tags doc, enum,
// min, max, above and below describe each key of the YAML: package configs
// checks values by them and makes the JSON Schema from them.
type Options struct {
	Beta           float64 `yaml:"beta" above:"0" doc:"strength of the pull towards the reference model: reward is beta times the log-ratio"`
	LossType       string  `yaml:"loss_type" enum:"sigmoid|hinge|ipo|robust|simpo|orpo" doc:"the preference loss; sigmoid is DPO's own"`
	LabelSmoothing float64 `yaml:"label_smoothing" min:"0" below:"0.5" doc:"probability that a pair's labels are swapped (cDPO with sigmoid, and robust)"`
	SimPOGamma     float64 `yaml:"simpo_gamma" min:"0" doc:"reward margin of loss_type simpo"`
	SFTWeight      float64 `yaml:"sft_weight" min:"0" doc:"weight of the cross-entropy on the chosen answer, added to the loss"`
	Reference      string  `yaml:"reference" doc:"the model that log-ratios are taken against: initial (the one training starts from), none, or a model folder"`
}

// Default is TRL's, and LLaMA-Factory's margin for SimPO.
func Default() Options {
	return Options{Beta: 0.1, LossType: "sigmoid", SimPOGamma: 0.5, Reference: "initial"}
}

// Validate returns what is wrong between the options, by key; nil when nothing
// is. The bounds of each option alone are in its tags.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	if o.SimPOGamma != Default().SimPOGamma && o.LossType != "simpo" {
		bad["simpo_gamma"] = "only loss_type simpo has a margin, want loss_type: simpo or no simpo_gamma (loss_type is " + o.LossType + ")"
	}
	if o.LabelSmoothing > 0 && o.LossType != "sigmoid" && o.LossType != "robust" {
		bad["label_smoothing"] = "loss_type " + o.LossType + " has none, want 0, or loss_type sigmoid or robust"
	}
	switch o.LossType {
	case "simpo", "orpo":
	default:
		if o.Reference == "none" {
			bad["reference"] = "none, but loss_type " + o.LossType + " needs one, want initial or a model folder"
		}
	}
	if o.Reference == "" {
		bad["reference"] = "empty, want initial, none or a model folder"
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}
