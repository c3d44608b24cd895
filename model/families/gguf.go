package families

// GGUF is how GGUF files have a family.
type GGUF struct {
	Architecture string // general.architecture, and what stands before the keys of its sizes
	Names        *Names
	// Interleaved: rows of query and key matrices are in another order than in
	// Hugging Face's files, so that the pairs that are turned together are neighbours.
	Interleaved bool
	// FactorsOfRope: the scaling of Llama 3.1 has a place in the files, [RopeFactors].
	FactorsOfRope bool
	// LongFactors: longrope has a place in the files.
	LongFactors bool
	// Yarn has one, and with YarnKeys between which numbers of turns it stretches, and how queries
	// grow: llama.cpp wants such files to have it.
	Yarn, YarnKeys bool
	// Square: llama.cpp wants as many values of all heads as of a hidden state.
	Square bool
	// Unbiased: the files have no place for biases of attention.
	Unbiased bool
	// Tied: llama.cpp takes the embedding table for the head; Untied: never.
	Tied, Untied bool
	// Pattern is which layers llama.cpp takes to attend in which way; with Window the files say
	// how far those with a window see. LocalTheta is the base that it takes for these; OneBase: it
	// takes that of the others.
	// QueryScalar: query_pre_attn_scalar is taken to be the size of a head.
	QueryScalar bool
	Pattern     Pattern
	Window      bool
	// WindowLayers: llama.cpp has windows in models of so many layers, and in no others; 0: in any.
	WindowLayers int
	LocalTheta   float64
	OneBase      bool
	Scales       []ScaleKey
	// Config holds the keys of config.json that are the same for every model of the
	// family, SaysHeadDim whether there is a head_dim among the others.
	Config      map[string]any
	SaysHeadDim bool
}

// Key is a size of a model under its names: in config.json, and in the metadata of a
// GGUF file behind the architecture's name.
type Key struct{ Config, GGUF string }

// ScaleKey is one of [Scales] under its names.
type ScaleKey struct {
	Key
	Of func(Scales) float64 // its value, as both files have it
}

// The sizes that both files have.
var (
	HiddenKey    = Key{"hidden_size", "embedding_length"}
	FFNKey       = Key{"intermediate_size", "feed_forward_length"}
	LayersKey    = Key{"num_hidden_layers", "block_count"}
	HeadsKey     = Key{"num_attention_heads", "attention.head_count"}
	KVHeadsKey   = Key{"num_key_value_heads", "attention.head_count_kv"}
	HeadDimKey   = Key{"head_dim", "attention.key_length"}
	MaxTokensKey = Key{"max_position_embeddings", "context_length"}
	RopeThetaKey = Key{"rope_theta", "rope.freq_base"}
)

// Keys of GGUF files that config.json has in another form, or not at all.
const (
	ValueDimKey    = "attention.value_length"
	RotaryDimKey   = "rope.dimension_count"
	RopeScalingKey = "rope.scaling.type" // "none", "linear" or "yarn"
	RopeFactorKey  = "rope.scaling.factor"
	RopeContextKey = "rope.scaling.original_context_length" // of Llama 3.1's scaling
	ExpertsKey     = "expert_count"
	WindowKey      = "attention.sliding_window"
	WindowedKey    = "attention.sliding_window_pattern" // a boolean for each layer, or one of how many has no window
	LocalThetaKey  = "rope.freq_base_swa"               // of layers with a window
	CausalKey      = "attention.causal"
	CapLogitsKey   = "final_logit_softcapping"
	CapScoresKey   = "attn_logit_softcapping"
	VocabKey       = "vocab_size"
)

// LongFactors and ShortFactors are the tensors of longrope's factors; AttentionFactorKey is what turned values are multiplied by.
const (
	LongFactors        = "rope_factors_long.weight"
	ShortFactors       = "rope_factors_short.weight"
	AttentionFactorKey = "rope.scaling.attn_factor"
)

// Keys of layers that carry a state in the place of attention.
const (
	ConvTapsKey    = "shortconv.l_cache"
	DeltaTapsKey   = "ssm.conv_kernel"
	DeltaDimKey    = "ssm.state_size" // of a head, of keys and of values
	DeltaKeysKey   = "ssm.group_count"
	DeltaValuesKey = "ssm.time_step_rank"
	DeltaWidthKey  = "ssm.inner_size"             // of the values of all heads
	RecurrentKey   = "attention.recurrent_layers" // a boolean for each layer
	IntervalKey    = "full_attention_interval"    // one of so many layers attends, the last of them
	SectionsKey    = "rope.dimension_sections"    // of positions in pictures
	NextKey        = "nextn_predict_layers"       // layers behind the others that predict further tokens
)

// Sections are those of Qwen 3.5: of a text, all pairs are turned by its tokens' positions.
var Sections = []int32{11, 11, 10, 0}

// Keys of yarn. What turned values are multiplied by is [AttentionFactorKey] times mscale(1), as
// [RopeScaling] has it, over mscale(YarnLogKey) where the file says that.
const (
	YarnFastKey  = "rope.scaling.yarn_beta_fast"
	YarnSlowKey  = "rope.scaling.yarn_beta_slow"
	YarnLogKey   = "rope.scaling.yarn_log_multiplier"
	QueryBetaKey = "attention.temperature_scale" // [RopeScaling.QueryBeta]
)

// RopeFactors is the tensor that holds [Rope.Factors] where they are not all 1.
const RopeFactors = "rope_freqs.weight"

// ggufNames are those of GGUF files, whatever the family.
var ggufNames = Names{
	Layer: "blk.%d.",
	Of: map[Role][]string{
		Embed:         {"token_embd"},
		AttnNorm:      {"attn_norm"},
		QKV:           {"attn_q", "attn_k", "attn_v"},
		QKNorm:        {"attn_q_norm", "attn_k_norm"},
		Out:           {"attn_output"},
		AttnAfterNorm: {"post_attention_norm"},
		FFNNorm:       {"ffn_norm"},
		GateUp:        {"ffn_gate", "ffn_up"},
		Down:          {"ffn_down"},
		FFNAfterNorm:  {"post_ffw_norm"},
		Norm:          {"output_norm"},
		Head:          {"output"},
	},
}

// lfm2Names are those of GGUF files of LFM2, whose last norm has the name of one behind the embeddings.
var lfm2Names = renamed(*also(ggufNames, map[Role][]string{
	In:        {"shortconv.in_proj"},
	Taps:      {"shortconv.conv"},
	LinearOut: {"shortconv.out_proj"},
}), Norm, "token_embd_norm")

// qwen35Names are those of Qwen 3.5.
var qwen35Names = renamed(*also(ggufNames, map[Role][]string{
	In:         {"attn_qkv"},
	Gates:      {"attn_gate", "ssm_beta", "ssm_alpha"},
	Taps:       {"ssm_conv1d"},
	ALog:       {"ssm_a"},
	DtBias:     {"ssm_dt.bias"},
	ReadWeight: {"ssm_norm"},
	LinearOut:  {"ssm_out"},
}), FFNNorm, "post_attention_norm")

// glmNames are those of GGUF files of GLM-4.
var glmNames = renamed(ggufNames, GateUp, "ffn_up")

// FusedQKV are the names of a file that stores query, key and value as one tensor.
func (g *GGUF) FusedQKV() *Names { return renamed(*g.Names, QKV, "attn_qkv") }
