package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
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
	noStates = "state-space models (Mamba, RWKV) are not implemented; attention is"
	noImages = "vision and audio models are not implemented, but for the " +
		"language models of packages with text_config, where their family is known"
	noFuture = "bidirectional attention (embedding models) is not implemented; causal language models are"
	noHeads  = "classification and reward heads are not implemented; language models are"
)

// lacks are what families that are not known are made of, by parts of their model_type, or of the keys of their config.json.
var lacks = []struct {
	hint        string
	names, keys []string
}{
	{noExperts, []string{"moe", "mixtral", "deepseek_v", "dbrx", "gpt_oss", "jamba", "arctic", "minimax", "qwen3_next", "llama4"},
		[]string{"expert", "moe_"}},
	{"attention sinks are not implemented", []string{"gpt_oss"}, []string{"attention_sink", "sink_bias"}},
	{"multi-head latent attention (MLA) is not implemented", nil, []string{"kv_lora_rank"}},
	{noStates, []string{"mamba", "rwkv", "falcon_h1", "bamba", "jamba", "nemotron_h", "recurrent_gemma", "xlstm"},
		[]string{"mamba_", "ssm_", "state_size", "lru_width"}},
	{"linear attention is not implemented, but for Qwen 3.5's", nil, []string{"linear_attn", "linear_num_"}},
	{noImages, []string{"_vl", "vision", "llava", "omni", "audio", "image", "clip", "glm4v", "mllama"},
		[]string{"vision", "audio", "image_token"}},
	{"encoders are not implemented; decoders are", []string{"bert", "t5", "bart", "electra"}, []string{"is_encoder_decoder"}},
	{"logit softcapping (Gemma 2) is not implemented", nil, []string{"logit_softcapping"}},
}

// unknownType refuses a model_type, with what its config.json asks for that is not there.
func unknownType(kind string, file map[string]json.RawMessage) error {
	var hints []string
	for _, of := range lacks {
		part := func(of string) func(part string) bool {
			return func(part string) bool { return strings.Contains(strings.ToLower(of), part) }
		}
		there := slices.ContainsFunc(of.names, part(kind))
		for key, value := range file {
			switch string(value) {
			case "null", "false", "0", "0.0", "[]", "{}":
			default:
				there = there || slices.ContainsFunc(of.keys, part(key))
			}
		}
		if there {
			hints = append(hints, of.hint)
		}
	}
	if hints == nil {
		hints = []string{"other families are not implemented"}
	}
	return notImplemented(strings.Join(hints, "; "), "model_type is %.80q, want one of: %s", kind, families.Types())
}

// unsupported refuses settings of a config.json that change what is computed.
func (f *configFile) unsupported(family *families.Family) error {
	switch {
	case len(f.Quantised) > 0 && f.Quantised[0] != 'n' && !scaled(f.Quantised):
		return notImplemented(noQuantised+"; where the weights are so, take quantization_config out of config.json",
			"quantization_config is there (%.80s), want weights that are not quantised", f.Quantised)
	case f.pattern.UseWindow && family.Windowed == nil:
		return notImplemented("sliding-window attention is not implemented for this model_type; with use_sliding_window: false the model "+
			"attends to the whole of a text", "use_sliding_window is true, want false")
	case family.Strange(f.pattern) != "":
		return notImplemented("chunked and linear attention and state-space layers (Mamba) are not implemented for this model_type, and "+
			"sliding windows where transformers has them", "layer_types has %.40q, want %s", family.Strange(f.pattern), family.Kinds())
	case f.BothWays:
		return notImplemented(noFuture, "use_bidirectional_attention is true, want false")
	case len(f.PerLayer) > 0:
		return notImplemented("layers of different sizes are not implemented", "per_layer_config is there, want none")
	case f.Causal != nil && !*f.Causal:
		return notImplemented(noFuture, "is_causal is false, want true")
	case f.recurrent.Bias:
		return notImplemented("biases of convolutions are not implemented", "conv_bias is true, want false")
	case f.MLPBias:
		return notImplemented("biases in the feed-forward layers are not implemented", "mlp_bias is true, want false")
	case f.CapLogits != 0 || f.CapScores != 0:
		return notImplemented("logit softcapping (Gemma 2) is not implemented",
			"final_logit_softcapping is %g and attn_logit_softcapping %g, want null", f.CapLogits, f.CapScores)
	case f.Act != "" && f.Act != "silu" && f.Act != "swish" && f.Act != GELU: // two names of one
		return notImplemented("other activations are not implemented", "hidden_act is %.40q, want \"silu\" or %q", f.Act, GELU)
	case f.Act == GELU && family.Recurrent == families.LinearAttention:
		return notImplemented("other activations of the convolutions are not implemented", "hidden_act is %q, want \"silu\"", f.Act)
	case f.Experts > 1 || f.LocalExperts > 0 || f.RoutedExperts > 1:
		return notImplemented(noExperts, "%d experts, want none", max(f.Experts, f.LocalExperts, f.RoutedExperts))
	}
	return nil
}

// GELU is the name of its approximation by tanh, in config.json.
const GELU = "gelu_pytorch_tanh"

const (
	noAdapters    = "its tensors are no model's: an adapter is a folder of its own, named by lora.from"
	adapterAsBase = "train its base (model.path) with lora.from: this folder; generate, eval, pairs and export take it as it is"
)

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

var layerNumber = regexp.MustCompile(`\.[0-9]+\.`)

// noPlace is the error of a tensor that the architecture has no place for: one of a further layer of the same kind tells that the
// config is another one's, not that something is not implemented.
func (c Config) noPlace(err error, name string, wanted map[string]bool) error {
	kind := layerNumber.ReplaceAllString(name, ".N.")
	for w := range wanted {
		if kind != name && layerNumber.ReplaceAllString(w, ".N.") == kind {
			return fault.Hint(err, fmt.Sprintf("the files have more layers than config.json says (num_hidden_layers: %d): "+
				"is it the config of this model?", c.Layers))
		}
	}
	return fault.Hint(unsupported{err}, c.tensorHint(name))
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
