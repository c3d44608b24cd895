package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/graph"
)

// recurrentModels are small models with layers that have a state, by name; their delta rule goes in chunks or, of sizes
// that no vector has, token by token.
func recurrentModels(t *testing.T) map[string]*Model {
	t.Helper()
	const sizes = `"vocab_size":259,"hidden_size":48,"intermediate_size":64,"num_hidden_layers":4,"num_attention_heads":4,
		"num_key_value_heads":2,"max_position_embeddings":512,"initializer_range":0.3,"tie_word_embeddings":true,`
	delta := func(keys, values, key, value int) string {
		return fmt.Sprintf(`{"model_type":"qwen3_5_text",`+sizes+`"head_dim":16,"linear_num_key_heads":%d,"linear_num_value_heads":%d,
			"linear_key_head_dim":%d,"linear_value_head_dim":%d}`, keys, values, key, value)
	}
	out := map[string]*Model{}
	for name, config := range map[string]string{
		"qwen3_5":               delta(2, 4, 16, 32),
		"qwen3_5 of odd sizes":  delta(2, 2, 6, 10),
		"lfm2":                  `{"model_type":"lfm2",` + sizes + `"full_attn_idxs":[2]}`,
		"lfm2 without its past": `{"model_type":"lfm2",` + sizes + `"full_attn_idxs":[0],"conv_L_cache":1}`,
	} {
		c, err := ParseConfig([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = New(c, 1)
		t.Cleanup(out[name].Free)
	}
	return out
}

func TestATextOfARecurrentModelIsTheSameWhateverIsBesideIt(t *testing.T) {
	for name, m := range recurrentModels(t) {
		for _, precision := range []string{"float32", "bf16"} {
			if precision == "bf16" {
				m.UseHalf()
			}
			var requests []Request
			for i := range 24 {
				requests = append(requests, Request{
					Prompt: prompt(1+i/2*i%190, i/3), MaxNewTokens: 5 + i%13,
					Sampling: Sampling{Temperature: 1, TopP: 0.9, Seed: uint64(i)},
				})
			}
			var alone []Generated
			for _, r := range requests { // with no prompt shared
				one, err := NewGenerator(m).Generate(t.Context(), []Request{r}, 1)
				if err != nil {
					t.Fatal(err)
				}
				alone = append(alone, one...)
			}
			for _, batch := range []int{1, 3, 24} {
				got, err := NewGenerator(m).Generate(t.Context(), requests, batch)
				if err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if !slices.Equal(got[i].IDs, alone[i].IDs) {
						t.Errorf("%s, %s, %d at a time: text %d is %v, alone %v", name, precision, batch, i, got[i], alone[i])
					}
				}
			}
		}
	}
}

func TestAThreadOfARecurrentModelIsTheSameTextWhateverWasKept(t *testing.T) {
	for name, m := range recurrentModels(t) {
		thread := NewGenerator(m).Thread(400)
		defer thread.Free()
		ids, before := prompt(150, 3), 0
		for turn := range 4 {
			r := Request{Prompt: ids, MaxNewTokens: 20, Sampling: Sampling{Temperature: 1, Seed: uint64(turn)}}
			var read []float32
			r.Look = func(_ int32, logits []float32) {
				if read == nil {
					read = slices.Clone(logits)
				}
			}
			got, kept, err := thread.Continue(t.Context(), r)
			if err != nil || kept != before {
				t.Fatalf("%s, turn %d: %v, %d tokens kept, want %d", name, turn, err, kept, before)
			}
			g := NewGenerator(m)
			s := g.newSlot(&text{}, len(ids))
			want := slices.Clone(g.prefill(s, ids))
			s.free()
			if d := apart(read, want); d > 1e-3 {
				t.Errorf("%s, turn %d: logits of what was read in pieces lie %.2g from those read at once", name, turn, d)
			}
			fresh := NewGenerator(m).Thread(400)
			again, _, err := fresh.Continue(t.Context(), r)
			fresh.Free()
			if err != nil || !slices.Equal(got.IDs, again.IDs) {
				t.Errorf("%s, turn %d: %v, without what was kept %v (%v)", name, turn, got.IDs, again.IDs, err)
			}
			before = len(ids) + len(got.IDs) - 1
			ids = slices.Concat(ids, got.IDs, prompt(7, turn))
			if turn == 2 { // another beginning: states can not be taken back
				ids, before = slices.Concat(ids[:9], []int32{5}, ids[10:]), 0
			}
		}
	}
}

// TestPacksOfRecurrentModelsAreTheirDocuments also trains: what lies before a document changes no byte of its losses.
func TestPacksOfRecurrentModelsAreTheirDocuments(t *testing.T) {
	for name, m := range recurrentModels(t) {
		document := func(n, seed int) doc {
			d := doc{ids: prompt(n, seed)}
			for i := range n {
				d.weights = append(d.weights, float32(i%3))
			}
			return d
		}
		second := document(150, 2)
		g := m.Graph(300, graph.Float32, nil)
		prog, err := g.Compile(graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		losses := func(before int) []float64 {
			fill(g.Inputs(), document(before, 1), second, document(7, 3))
			if err := prog.RunAll(); err != nil {
				t.Fatal(err)
			}
			return slices.Clone(g.NLL()[before : before+len(second.ids)-1])
		}
		want := losses(0)
		for _, before := range []int{1, 3, 64, 100} {
			for i, got := range losses(before) {
				if math.Abs(got-want[i]) > 1e-5 {
					t.Fatalf("%s: behind %d tokens the loss at %d is %v, want %v", name, before, i, got, want[i])
				}
			}
		}
	}
}

func TestWhatRecurrentFamiliesCanNotBeIsRefused(t *testing.T) {
	const sizes = `"vocab_size":96,"hidden_size":32,"intermediate_size":64,"num_hidden_layers":3,"num_attention_heads":4,` +
		`"num_key_value_heads":2,`
	for _, c := range []struct{ name, json, want string }{
		{"value heads that do not divide",
			`{"model_type":"qwen3_5_text",` + sizes + `"linear_num_key_heads":3,"linear_num_value_heads":4}`,
			"linear_num_value_heads is 4, want a multiple of linear_num_key_heads (3)"},
		{"no taps", `{"model_type":"lfm2",` + sizes + `"conv_L_cache":0}`, "conv_L_cache is 0, want 1 to 64"},
		{"heads beyond measure", `{"model_type":"qwen3_5_text",` + sizes + `"linear_key_head_dim":100000}`,
			"linear_key_head_dim is 100000"},
		{"a kind of layers of another family",
			`{"model_type":"lfm2",` + sizes + `"layer_types":["conv","linear_attention","conv"]}`,
			`layer_types has "linear_attention"`},
		{"too few kinds", `{"model_type":"lfm2",` + sizes + `"layer_types":["conv"]}`,
			"layer_types has 1 kinds, want one for each of 3 layers"},
		{"biases", `{"model_type":"lfm2",` + sizes + `"conv_bias":true}`, "conv_bias is true, want false"},
		{"no pattern", `{"model_type":"qwen3_5_text",` + sizes + `"full_attention_interval":0}`,
			"full_attention_interval is 0, want at least 1"},
		{"a width beyond measure", `{"model_type":"lfm2",` + sizes + `"block_ff_dim":1e300}`, "block_ff_dim is 1e+300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseConfig([]byte(c.json)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
