package families

import "fmt"

// Kinds of layers, as layer_types of config.json has them.
const (
	FullAttention    = "full_attention"
	SlidingAttention = "sliding_attention"
)

// Pattern is what config.json says of how its layers attend.
type Pattern struct {
	Types      []string `json:"layer_types"`
	Window     *int     `json:"sliding_window"` // in tokens
	UseWindow  bool     `json:"use_sliding_window"`
	FullLayers int      `json:"max_window_layers"`      // layers before any has a window
	Every      int      `json:"sliding_window_pattern"` // one of so many has none
	Turned     []int    `json:"no_rope_layers"`         // 0: by no positions
	TurnedEach int      `json:"no_rope_layer_interval"` // one of so many is not
	Positions  *string  `json:"position_embedding_type"`
}

// Attention is how a layer attends.
type Attention struct {
	Window int  // tokens that one sees at most, itself included; 0: all before it
	Turned bool // queries and keys are, by their positions
	Local  bool // by the frequencies of layers with a window
}

// number is one that may not be there, for a message.
func number(n *int) string {
	if n == nil {
		return "null"
	}
	return fmt.Sprint(*n)
}
