package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/model/families"
)

// What models ask for and no forward pass here computes. To fetch such a model again does not
// help: the hint says that it is not implemented, and what is.

// notImplemented is an error with that hint.
func notImplemented(hint, format string, args ...any) error {
	return fault.Hint(unsupported{fmt.Errorf(format, args...)}, hint)
}

// unsupported marks what is in order and not implemented.
type unsupported struct{ error }

func (u unsupported) Unwrap() error { return u.error }

// IsUnsupported reports whether an error is about a model that is in order, and that no forward pass here computes.
func IsUnsupported(err error) bool {
	var u unsupported
	return errors.As(err, &u)
}

const (
	noExperts   = "mixtures of experts are not implemented; dense decoders are"
	noQuantised = "quantised weights are not implemented, but for GGUF files and FP8 with scales (quant_method fp8): " +
		"take the model as it was before, in bf16 or float32"
	noImages = "models that see or hear are not implemented, but for the " +
		"language models of packages with text_config, where their family is known"
	noHeads = "heads that classify or rate are not implemented; language models are"
)

// unknownType refuses a model_type.
func unknownType(kind string) error {
	hint := "other families are not implemented"
	lower := strings.ToLower(kind)
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(lower, p) })
	}
	switch {
	case has("moe", "mixtral", "deepseek", "dbrx", "gpt_oss", "jamba", "arctic", "minimax", "qwen3_next", "llama4"):
		hint = noExperts
	case has("_vl", "vision", "llava", "omni", "audio", "image", "clip", "glm4v", "mllama"):
		hint = noImages
	case has("bert", "t5", "bart", "electra"):
		hint = "encoders are not implemented; decoders are"
	}
	return notImplemented(hint, "model_type is %.80q, want one of: %s", kind, families.Types())
}

// unsupported refuses settings of a config.json that change what is computed.
func (f *configFile) unsupported(family *families.Family) error {
	switch {
	case len(f.Quantised) > 0 && f.Quantised[0] != 'n' && !scaled(f.Quantised):
		return notImplemented(noQuantised+"; where the weights are so, take quantization_config out of config.json",
			"quantization_config is there (%.80s), want weights that are not quantised", f.Quantised)
	case f.Window:
		return notImplemented("attention in a window is not implemented; with use_sliding_window: false the model attends to all of a text",
			"use_sliding_window is true, want false")
	case slices.ContainsFunc(f.LayerTypes, func(kind string) bool { return kind != "full_attention" }):
		return notImplemented("attention in a window, in chunks or of a linear kind is not implemented; full attention is",
			"layer_types has %.40q, want full_attention alone", other(f.LayerTypes, "full_attention"))
	case f.RopeParameters != nil && len(f.RopeParameters.Full) > 0:
		return notImplemented("frequencies by kinds of layers are not implemented",
			"rope_parameters has full_attention, want one set for all layers")
	case f.MLPBias:
		return notImplemented("biases in the feed-forward layers are not implemented", "mlp_bias is true, want false")
	case f.Act != "" && f.Act != "silu":
		return notImplemented("other activations than SwiGLU's are not implemented", "hidden_act is %.40q, want \"silu\"", f.Act)
	case f.Experts > 1 || f.LocalExperts > 1 || f.RoutedExperts > 1:
		return notImplemented(noExperts, "%d experts, want none", max(f.Experts, f.LocalExperts, f.RoutedExperts))
	}
	if rotary := cmp.Or(f.rotary(), &family.Rotary); family.Rotary == 1 && *rotary != 1 {
		return notImplemented("positions in a part of each head are not implemented for this model_type, here as in transformers",
			"partial_rotary_factor is %g, want 1", *rotary)
	}
	return f.twice()
}

// rotary is the share of each head that is turned, nil where the file does not say.
func (f *configFile) rotary() *float64 {
	if p := f.RopeParameters; p != nil && p.Rotary != nil {
		return p.Rotary
	}
	return f.Rotary
}

// twice refuses what is said of positions once as transformers 5 writes it and once as versions before, and not the same.
func (f *configFile) twice() error {
	p := f.RopeParameters
	if p == nil {
		return nil
	}
	const hint = "transformers 5 reads rope_parameters, versions before the other keys: take out those that are wrong"
	for _, x := range []struct {
		key        string
		old, young *float64
	}{{"rope_theta", f.RopeTheta, p.Theta}, {"partial_rotary_factor", f.Rotary, p.Rotary}} {
		if x.old != nil && x.young != nil && *x.old != *x.young {
			return fault.Hint(fmt.Errorf("%s is %g, and in rope_parameters it is %g", x.key, *x.old, *x.young), hint)
		}
	}
	if f.RopeScaling != nil && plainScaling(*f.RopeScaling) != plainScaling(p.RopeScaling) {
		return fault.Hint(fmt.Errorf("rope_scaling (%s) and rope_parameters (%s) stretch positions in different ways",
			cmp.Or(f.RopeScaling.Type, f.RopeScaling.OldType, "default"), cmp.Or(p.Type, p.OldType, "default")), hint)
	}
	return nil
}

// plainScaling is a scaling that equals all that do the same.
func plainScaling(s families.RopeScaling) families.RopeScaling {
	s.Type, s.OldType = cmp.Or(s.Type, s.OldType, "default"), ""
	if s.Type == "default" {
		return families.RopeScaling{Type: s.Type}
	}
	return s
}

const (
	noAdapters    = "its tensors are no model's: an adapter is a folder of its own, named by lora.from"
	adapterAsBase = "train its base (model.path) with lora.from: this folder; generate, eval, pairs and export take it as it is"
)

// other is the first of list that is not known.
func other(list []string, known string) string {
	return list[slices.IndexFunc(list, func(s string) bool { return s != known })]
}

// checkScaling refuses ways to stretch rotary frequencies.
func (c Config) checkScaling() error {
	s := c.Rope.Scaling
	switch {
	case s == nil:
		return nil
	case s.Type == "linear" && s.Factor >= 1 && !math.IsInf(s.Factor, 0):
		return nil
	case s.Type == "linear":
		return fmt.Errorf("rope_scaling factor is %g, want at least 1", s.Factor)
	case s.Type != "llama3":
		hint := "this way to stretch positions is not implemented; llama3 and linear are"
		if c.MaxTokens > 0 {
			hint += fmt.Sprintf(", and without rope_scaling the model has its own positions (max_position_embeddings says %d)", c.MaxTokens)
		}
		return notImplemented(hint, "rope_scaling type is %.80q, want llama3 or linear", s.Type)
	case s.Factor < 1 || s.LowFreqFactor <= 0 || s.HighFreqFactor <= s.LowFreqFactor || s.OriginalMax <= 0:
		return fmt.Errorf("rope_scaling is %+v, want factor >= 1, 0 < low_freq_factor < high_freq_factor, "+
			"original_max_position_embeddings > 0", *s)
	}
	return nil
}

// ignored warns of settings that are read past: dropout.
func ignored(file map[string]json.RawMessage) (warnings []string) {
	for _, key := range slices.Sorted(maps.Keys(file)) {
		var p float64
		dropout := strings.Contains(key, "dropout") || strings.HasSuffix(key, "pdrop")
		if dropout && !strings.Contains(key, "classifier") && json.Unmarshal(file[key], &p) == nil && p > 0 {
			warnings = append(warnings, fmt.Sprintf("%s is %g, and dropout is not implemented: the model is trained without it", key, p))
		}
	}
	return warnings
}

// tensorHint says why files may hold a tensor that the architecture has no place for; "" where
// nothing is known.
func (c Config) tensorHint(name string) string {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(name, p) })
	}
	_, quantised := c.file["quantization_config"]
	switch {
	case quantised || has(".qweight", ".qzeros", ".scales", ".g_idx", "weight_scale", ".absmax", "quant_state", ".quant_map", ".SCB"):
		return noQuantised
	case has(".experts.", ".block_sparse_moe.", ".shared_expert", ".router."):
		return noExperts
	case has("lora_", "modules_to_save"):
		return noAdapters
	case has("vision", "visual", "audio", "multi_modal"):
		return noImages
	case has("score.", "v_head", "classifier"):
		return noHeads
	case strings.HasSuffix(name, ".bias"):
		return "biases there are not implemented for this model_type"
	}
	return "what this tensor does is not implemented for this model_type"
}
