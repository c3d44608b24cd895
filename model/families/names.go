package families

import (
	"fmt"
	"maps"
	"strings"
)

// Names are those of a form's tensors in files.
type Names struct {
	Layer string // what stands before the names in a layer, with %d for its number
	// Of has, for each role, one name for the whole parameter or one for each of its
	// parts, without the ending that says whether weights or biases.
	Of                 map[Role][]string
	InverseFrequencies string // a buffer that the form's own loader looks for; "": none
}

// Tensor is the rows of a parameter (the values, of a vector) that a file stores as
// one tensor.
type Tensor struct {
	Name  string
	Row   int   // the first of the rows in the parameter
	Shape []int // rows and columns, or the length of a vector
}

// Rows is the number of rows, or of values of a vector.
func (t Tensor) Rows() int {
	if len(t.Shape) == 3 {
		return t.Shape[0] * t.Shape[2]
	}
	return t.Shape[0]
}

// Vector reports whether it is no matrix: the file stores one dimension, or three, of a convolution's taps.
func (t Tensor) Vector() bool { return len(t.Shape) != 2 }

// Tensors lays a parameter onto the tensors that files store it as: one for each
// part, or one for all.
func (n *Names) Tensors(p Parameter) []Tensor {
	prefix, role, ending := "", p.Role, ".weight"
	if p.Layer >= 0 {
		prefix = fmt.Sprintf(n.Layer, p.Layer)
	}
	if of, ok := biased[role]; ok {
		role, ending = of, ".bias"
	}
	if role == ALog || role == DtBias {
		ending = ""
	}
	names := n.Of[role]
	out := make([]Tensor, len(names))
	row := 0
	for i, rows := range p.Parts {
		t := &out[min(i, len(out)-1)]
		if t.Shape == nil {
			*t = Tensor{Name: prefix + names[i] + ending, Row: row, Shape: []int{0}}
			if p.Cols > 0 {
				t.Shape = append(t.Shape, p.Cols)
			}
		}
		t.Shape[0] += rows
		row += rows
	}
	if p.Taps > 0 {
		out[0].Shape = []int{row / p.Taps, 1, p.Taps}
	}
	return out
}

// Whole is the name of the tensor that a parameter outside of the layers is stored as.
func (n *Names) Whole(r Role) string { return n.Of[r][0] + ".weight" }

// modelPrefix is what stands before all names of a language model but the head's, where it is published alone.
const modelPrefix = "model."

// Packed are the names in a package of models, which has a prefix in the place of the language model's own, and the head
// under its name there. nil: the form knows no packages.
func (n *Names) Packed(prefix, head string) *Names {
	if !strings.HasPrefix(n.Layer, modelPrefix) {
		return nil
	}
	of := maps.Clone(n.Of)
	for _, role := range []Role{Embed, Norm} {
		of[role] = []string{prefix + strings.TrimPrefix(n.Of[role][0], modelPrefix)}
	}
	of[Head] = []string{head}
	return &Names{Layer: prefix + strings.TrimPrefix(n.Layer, modelPrefix), Of: of}
}

// common is what Llama began, and most families took over.
var common = Names{
	Layer: "model.layers.%d.",
	Of: map[Role][]string{
		Embed:         {"model.embed_tokens"},
		AttnNorm:      {"input_layernorm"},
		QKV:           {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
		QKNorm:        {"self_attn.q_norm", "self_attn.k_norm"},
		Out:           {"self_attn.o_proj"},
		AttnAfterNorm: {"post_self_attn_layernorm"},
		FFNNorm:       {"post_attention_layernorm"},
		GateUp:        {"mlp.gate_proj", "mlp.up_proj"},
		Down:          {"mlp.down_proj"},
		FFNAfterNorm:  {"post_mlp_layernorm"},
		Norm:          {"model.norm"},
		Head:          {"lm_head"},
	},
}

// renamed are names of a form that has others for a role; one stands for all of its parts.
func renamed(n Names, role Role, names ...string) *Names {
	n.Of = maps.Clone(n.Of)
	n.Of[role] = names
	return &n
}

// also are names of a form that has more roles.
func also(n Names, of map[Role][]string) *Names {
	n.Of = maps.Clone(n.Of)
	maps.Copy(n.Of, of)
	return &n
}

// glmGateUp is what GLM-4's own form calls gate and up.
const glmGateUp = "mlp.gate_up_proj"
