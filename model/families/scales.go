package families

// Scales are what is multiplied on its way through the decoder.
type Scales struct {
	Embedding float64 // embeddings
	Attention float64 // products of queries and keys
	Residual  float64 // what attention and feed-forward return
	Logits    float64 // logits
}

// ScaleKeys is what config.json says of them.
type ScaleKeys struct {
	Embedding *float64 `json:"embedding_multiplier"`
	Attention *float64 `json:"attention_multiplier"`
	Residual  *float64 `json:"residual_multiplier"`
	Logits    *float64 `json:"logits_scaling"` // divides them
	Logit     *float64 `json:"logit_scale"`    // multiplies them
	Query     *float64 `json:"query_pre_attn_scalar"`
}

// say puts what a key says into v.
func say(v, key *float64) {
	if key != nil {
		*v = *key
	}
}
