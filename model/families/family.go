package families

import "encoding/json"

// Family is what a model_type sets apart from the common decoder: token embeddings,
// pre-norm layers of grouped-query attention with rotary positions and of SwiGLU, a
// final norm, a head. The forward pass is written once, in package model; only
// switches, names and defaults differ.
type Family struct {
	Type string // model_type in config.json

	QKVBias     bool    // biases on query, key and value even if attention_bias says nothing
	BiasFixed   bool    // attention_bias is not looked at
	OutBias     bool    // attention_bias also puts one on the output projection
	QKNorm      bool    // RMSNorm over each query and key head before the rotation
	BranchNorms bool    // norms on what attention and feed-forward return, before the residual addition
	Interleaved bool    // rotary pairs are neighbours, not halves
	Rotary      float64 // share of each head that is turned, unless partial_rotary_factor says
	HeadDim     int     // unless head_dim says; 0: hidden_size / num_attention_heads

	Carried []string // prefixes of tensors of parts that are not implemented, which are carried along

	Twin      string // the family of transformers' own classes that computes the same under other names; "": this one
	Names     *Names // in Hugging Face's files
	GGUF      *GGUF
	Shapes    map[string]string
	Keys      [][2]string                                   // of its config.json, where they are not the common ones, and these
	Translate func(file map[string]json.RawMessage) error   // says what else in it differs in common keys; nil: nothing
	Warning   func(ropeTheta float64, maxTokens int) string // what looks wrong in its config.json; nil: nothing can
}
