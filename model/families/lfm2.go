package families

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/plainjson"
)

// lfm2 is LFM2: short convolutions between gates, and some layers of attention.
var lfm2 = Family{
	Type: "lfm2", Proved: true, BiasFixed: true, QKNorm: true, Rotary: 1, Theta: 1e6, Recurrent: Convolution,
	Keys: [][2]string{{"block_ff_dim", "intermediate_size"}, {"norm_eps", "rms_norm_eps"}, {"tie_embedding", "tie_word_embeddings"}},
	Defaults: map[string]string{
		"num_key_value_heads": "8", "norm_eps": "1e-5", "tie_word_embeddings": "true", "conv_L_cache": "3", "block_multiple_of": "256",
		"block_auto_adjust_ff_dim": "true", "max_position_embeddings": "128000",
	},
	Translate: translateLFM2,
	Names: &Names{
		Layer: "model.layers.%d.",
		Of: map[Role][]string{
			Embed:     {"model.embed_tokens"},
			AttnNorm:  {"operator_norm"},
			QKV:       {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
			QKNorm:    {"self_attn.q_layernorm", "self_attn.k_layernorm"},
			Out:       {"self_attn.out_proj"},
			In:        {"conv.in_proj"},
			Taps:      {"conv.conv"},
			LinearOut: {"conv.out_proj"},
			FFNNorm:   {"ffn_norm"},
			GateUp:    {"feed_forward.w1", "feed_forward.w3"},
			Down:      {"feed_forward.w2"},
			Norm:      {"model.embedding_norm"},
			Head:      {"lm_head"},
		},
	},
	GGUF: &GGUF{
		Architecture: "lfm2", Names: lfm2Names, Square: true,
		Config: map[string]any{
			"architectures": []string{"Lfm2ForCausalLM"}, "block_auto_adjust_ff_dim": false, "conv_bias": false,
		},
	},
	Shapes: map[string]string{
		"lfm2-350m": `"hidden_size":1024,"num_hidden_layers":16,"num_attention_heads":16,"num_key_value_heads":8,"block_ff_dim":6656,
			"vocab_size":65536,"full_attn_idxs":[2,5,8,10,12,14]`,
		"lfm2-1.2b": `"hidden_size":2048,"num_hidden_layers":16,"num_attention_heads":32,"num_key_value_heads":8,"block_ff_dim":12288,
			"vocab_size":65536,"full_attn_idxs":[2,5,8,10,12,14]`,
	},
}

// translateLFM2 says which layers attend, and how wide feed-forward layers are: two thirds of what is written, times a
// factor, in whole multiples.
func translateLFM2(file map[string]json.RawMessage) error {
	delete(file, "hidden_act") // transformers does not look at it here
	var k struct {
		Full     []int    `json:"full_attn_idxs"`
		Width    float64  `json:"intermediate_size"`
		Adjust   bool     `json:"block_auto_adjust_ff_dim"`
		Factor   *float64 `json:"block_ffn_dim_multiplier"`
		Multiple float64  `json:"block_multiple_of"`
	}
	raw, err := json.Marshal(file)
	if err == nil {
		err = plainjson.Unmarshal(raw, &k)
	}
	if err != nil {
		return err
	}
	err = typesFrom(file, func(layer int) string {
		if k.Full == nil || slices.Contains(k.Full, layer) {
			return FullAttention
		}
		return Convolution
	})
	if err != nil || !k.Adjust {
		return err
	}
	factor := 1.0
	if k.Factor != nil {
		factor = *k.Factor
	}
	const most = 1 << 20
	if !(k.Width >= 1 && k.Width <= most && k.Multiple >= 1 && k.Multiple <= most && factor > 0 && factor <= most) {
		return fmt.Errorf("block_ff_dim is %g, block_multiple_of %g and block_ffn_dim_multiplier %g, want sizes of a model", k.Width,
			k.Multiple, factor)
	}
	width := math.Floor(2 * k.Width / 3)
	if _, there := file["block_ffn_dim_multiplier"]; !there || k.Factor != nil {
		width = math.Ceil(math.Floor(factor*width)/k.Multiple) * k.Multiple
	}
	file["intermediate_size"], err = json.Marshal(int(width))
	return err
}
