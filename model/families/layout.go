package families

import "fmt"

// Dims are the sizes of a decoder, in values and not in bytes, and the parts that
// it has.
type Dims struct {
	Hidden  int // hidden_size
	FFN     int // intermediate_size
	Layers  int // num_hidden_layers
	Heads   int // num_attention_heads
	KVHeads int // num_key_value_heads
	HeadDim int // head_dim, else hidden_size / num_attention_heads
	Vocab   int // vocab_size

	Tied        bool // tie_word_embeddings: the head is the embedding table
	QKVBias     bool // on query, key and value
	OutBias     bool // on the output projection of attention
	QKNorm      bool // RMSNorm over each query and key head
	WideNorm    bool // and that over all queries and all keys of a token
	BranchNorms bool // RMSNorm on what attention and feed-forward return
	PostNorms   bool // and none before them
	Parallel    bool // feed-forward has no norm of its own: it reads what attention does
	Gated       bool // each query head has a gate behind it, for what it attends to

	Recurrence
}

// Role is what a parameter does in the decoder.
type Role string

// The roles. What is read together is one parameter: query, key and value; the
// norms of query and key; gate and up.
const (
	Embed         Role = "embed"
	AttnNorm      Role = "attn_norm"
	QKV           Role = "qkv"
	QKVBias       Role = "qkv_bias"
	QKNorm        Role = "qk_norm"
	Out           Role = "out"
	In            Role = "in"         // of a recurrent layer: queries, keys and values of the delta rule, gates and input of a convolution
	Gates         Role = "gates"      // of the delta rule: of outputs, of rates of learning, of those of forgetting
	Taps          Role = "taps"       // of a convolution
	ALog          Role = "a_log"      // of the delta rule: the logs of what its rates of forgetting are multiplied by
	DtBias        Role = "dt_bias"    // and what is added to them
	ReadWeight    Role = "read"       // of the norm of what it reads
	LinearOut     Role = "linear_out" // of a recurrent layer
	OutBias       Role = "out_bias"
	AttnAfterNorm Role = "attn_after_norm" // a branch norm
	FFNNorm       Role = "ffn_norm"
	GateUp        Role = "gate_up"
	Down          Role = "down"
	FFNAfterNorm  Role = "ffn_after_norm" // a branch norm
	Norm          Role = "norm"
	Head          Role = "head"
)

// biased are the matrices that biases belong to, and have their names.
var biased = map[Role]Role{QKVBias: QKV, OutBias: Out}

// Parameter is a parameter of the decoder: a matrix, or a vector of a norm's weights
// or of biases.
type Parameter struct {
	Role  Role
	Layer int   // -1: outside of the layers
	Parts []int // rows of a matrix or values of a vector, for each of the parts that are read together
	Cols  int   // columns of a matrix; 0: a vector
	Taps  int   // of a vector that files have as [values / Taps, 1, Taps]; 0: it is one there
}

// String is the parameter's name: "embed", "3.qkv_bias".
func (p Parameter) String() string {
	if p.Layer < 0 {
		return string(p.Role)
	}
	return fmt.Sprintf("%d.%s", p.Layer, p.Role)
}

// Size returns the rows and columns; a vector is one row.
func (p Parameter) Size() (rows, cols int) {
	for _, n := range p.Parts {
		rows += n
	}
	if p.Cols == 0 {
		return 1, rows
	}
	return rows, p.Cols
}

// Layout lists the parameters of the decoder in the order of the forward pass. Where
// the head is tied to the embedding table it has none of its own.
func (d Dims) Layout() []Parameter {
	layer := -1
	var out []Parameter
	matrix := func(role Role, cols int, rows ...int) {
		out = append(out, Parameter{Role: role, Layer: layer, Parts: rows, Cols: cols})
	}
	vector := func(role Role, sizes ...int) { out = append(out, Parameter{Role: role, Layer: layer, Parts: sizes}) }
	q, kv := d.Heads*d.HeadDim, d.KVHeads*d.HeadDim
	attention := func() {
		wide := q
		if d.Gated {
			wide *= 2
		}
		matrix(QKV, d.Hidden, wide, kv, kv)
		if d.QKVBias {
			vector(QKVBias, wide, kv, kv)
		}
		switch {
		case d.QKNorm && d.WideNorm:
			vector(QKNorm, q, kv)
		case d.QKNorm:
			vector(QKNorm, d.HeadDim, d.HeadDim)
		}
		matrix(Out, q, d.Hidden)
		if d.OutBias {
			vector(OutBias, d.Hidden)
		}
	}
	recurrent := func() {
		keys, values := d.Keys*d.KeyDim, d.Values*d.ValueDim
		width, read := 2*keys+values, values
		if d.Values == 0 {
			width, read = d.Hidden, d.Hidden
			matrix(In, d.Hidden, 3*d.Hidden)
		} else {
			matrix(In, d.Hidden, width)
			matrix(Gates, d.Hidden, values, d.Values, d.Values)
			vector(ALog, d.Values)
			vector(DtBias, d.Values)
			vector(ReadWeight, d.ValueDim)
		}
		out = append(out, Parameter{Role: Taps, Layer: layer, Parts: []int{width * d.Taps}, Taps: d.Taps})
		matrix(LinearOut, read, d.Hidden)
	}
	matrix(Embed, d.Hidden, d.Vocab)
	for layer = range d.Layers {
		if !d.PostNorms {
			vector(AttnNorm, d.Hidden)
		}
		if d.Is(layer) {
			recurrent()
		} else {
			attention()
		}
		if d.BranchNorms {
			vector(AttnAfterNorm, d.Hidden)
		}
		if !d.PostNorms && !d.Parallel {
			vector(FFNNorm, d.Hidden)
		}
		matrix(GateUp, d.Hidden, d.FFN, d.FFN)
		matrix(Down, d.FFN, d.Hidden)
		if d.BranchNorms {
			vector(FFNAfterNorm, d.Hidden)
		}
	}
	layer = -1
	vector(Norm, d.Hidden)
	if !d.Tied {
		matrix(Head, d.Hidden, d.Vocab)
	}
	return out
}
