package families

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Kinds of layers that carry a state from token to token in the place of attention.
const (
	LinearAttention = "linear_attention" // the gated delta rule, behind a convolution
	Convolution     = "conv"             // a convolution between gates
)

// Recurrence are the sizes of such layers.
type Recurrence struct {
	Taps             int // tokens that a convolution sees, the newest included
	Keys, Values     int // heads of the gated delta rule; 0: convolutions alone
	KeyDim, ValueDim int
	At               []bool // the layers that they are; nil: none
}

// Is reports whether a layer has a state in the place of attention.
func (r Recurrence) Is(layer int) bool { return r.At != nil && r.At[layer] }

// Any reports whether a layer does.
func (r Recurrence) Any() bool { return slices.Contains(r.At, true) }

// RecurrentKeys is what config.json says of them.
type RecurrentKeys struct {
	LinearTaps *int `json:"linear_conv_kernel_dim"`
	Keys       *int `json:"linear_num_key_heads"`
	Values     *int `json:"linear_num_value_heads"`
	KeyDim     *int `json:"linear_key_head_dim"`
	ValueDim   *int `json:"linear_value_head_dim"`
	Taps       *int `json:"conv_L_cache"`
	Bias       bool `json:"conv_bias"`
}

// Of says which layers are recurrent of a family whose such layers are of a kind, and of what sizes.
func (k RecurrentKeys) Of(recurrent string, p Pattern, layers int) (r Recurrence, err error) {
	if recurrent == "" {
		return r, nil
	}
	r.At = make([]bool, layers)
	for i, kind := range p.Types {
		r.At[i] = kind == recurrent
	}
	type size struct {
		key      string
		from, to *int
		most     int
	}
	sizes := []size{{"conv_L_cache", k.Taps, &r.Taps, 64}}
	if recurrent == LinearAttention {
		sizes = []size{
			{"linear_conv_kernel_dim", k.LinearTaps, &r.Taps, 64},
			{"linear_num_key_heads", k.Keys, &r.Keys, 1 << 12}, {"linear_num_value_heads", k.Values, &r.Values, 1 << 12},
			{"linear_key_head_dim", k.KeyDim, &r.KeyDim, 1 << 10}, {"linear_value_head_dim", k.ValueDim, &r.ValueDim, 1 << 10},
		}
	}
	for _, s := range sizes {
		if s.from == nil || *s.from < 1 || *s.from > s.most {
			return r, fmt.Errorf("%s is %s, want 1 to %d", s.key, number(s.from), s.most)
		}
		*s.to = *s.from
	}
	if r.Keys > 0 && r.Values%r.Keys != 0 {
		return r, fmt.Errorf("linear_num_value_heads is %d, want a multiple of linear_num_key_heads (%d)", r.Values, r.Keys)
	}
	return r, nil
}

// typesFrom says which layers a config.json means that lists no layer_types.
func typesFrom(file map[string]json.RawMessage, kind func(layer int) string) error {
	if raw, there := file["layer_types"]; there && string(raw) != "null" {
		return nil
	}
	layers, err := wholeKey(file, "num_hidden_layers", 0)
	if err != nil {
		return err
	}
	const most = 1 << 12
	types := make([]string, min(max(layers, 0), most))
	for i := range types {
		types[i] = kind(i)
	}
	file["layer_types"], err = json.Marshal(types)
	return err
}

// wholeKey is a whole number of a config.json.
func wholeKey(file map[string]json.RawMessage, key string, otherwise int) (int, error) {
	raw, there := file[key]
	if !there || string(raw) == "null" {
		return otherwise, nil
	}
	n := otherwise
	if json.Unmarshal(raw, &n) != nil {
		return 0, fmt.Errorf("%s is %.40s, want a whole number", key, raw)
	}
	return n, nil
}
