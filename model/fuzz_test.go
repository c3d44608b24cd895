package model

import (
	"testing"
	"time"
)

// FuzzConfig reads a hostile config.json. What is accepted must be of sizes
// that the rest can count on, and say the same when it is written and read
// again.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		`{"model_type":"llama","hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":9,` +
			`"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,` +
			`"original_max_position_embeddings":64}}`,
		`{"model_type":"qwen2","hidden_size":8,"intermediate_size":8,"num_hidden_layers":2,"num_attention_heads":2,` +
			`"num_key_value_heads":1,"vocab_size":9,"use_sliding_window":false,"rope_parameters":{"rope_theta":1e6}}`,
		`{"model_type":"qwen3","hidden_size":8,"intermediate_size":8,"num_hidden_layers":2,"num_attention_heads":2,"head_dim":8,` +
			`"vocab_size":9}`,
		`{"model_type":"glm4","hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,` +
			`"num_key_value_heads":2,"head_dim":8,"partial_rotary_factor":0.5,"attention_bias":true,"vocab_size":9}`,
		`{"model_type":"chatglm","hidden_size":8,"ffn_hidden_size":8,"num_layers":1,"num_attention_heads":2,` +
			`"multi_query_attention":true,"multi_query_group_num":2,"kv_channels":4,"padded_vocab_size":9,"seq_length":64,` +
			`"rope_ratio":500,"layernorm_epsilon":1e-5,"add_qkv_bias":true,"rmsnorm":true,"original_rope":true,` +
			`"auto_map":{"AutoConfig":"../../evil--x.Y"}}`,
		`{"model_type":"gemma3_text","hidden_size":8,"intermediate_size":8,"num_hidden_layers":2,"num_attention_heads":2,"head_dim":8,` +
			`"num_key_value_heads":1,"vocab_size":9,"sliding_window":4,"layer_types":["sliding_attention","full_attention"],` +
			`"rope_parameters":{"full_attention":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":16,"rope_theta":1e6},` +
			`"sliding_attention":{"rope_type":"default","rope_theta":1e4}},"query_pre_attn_scalar":8}`,
		`{"model_type":"phi3","hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1,` +
			`"num_key_value_heads":1,"vocab_size":9,"partial_rotary_factor":0.5,"original_max_position_embeddings":16,` +
			`"rope_scaling":{"type":"su","short_factor":[1,2],"long_factor":[3,4]}}`,
		`{"model_type":"smollm3","hidden_size":8,"intermediate_size":8,"num_hidden_layers":2,"num_attention_heads":2,` +
			`"num_key_value_heads":1,"vocab_size":9,"no_rope_layers":[1,0],"no_rope_layer_interval":3}`,
		`{"model_type":"granitemoehybrid","hidden_size":8,"shared_intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":2,` +
			`"num_key_value_heads":1,"vocab_size":9,"num_local_experts":0,"layer_types":["attention"],"logits_scaling":8}`,
		`{"model_type":"exaone4","hidden_size":8,"intermediate_size":8,"num_hidden_layers":4,"num_attention_heads":2,` +
			`"num_key_value_heads":1,"vocab_size":9,"sliding_window":4,"sliding_window_pattern":"LLLG"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		began := time.Now()
		c, err := ParseConfig(raw)
		if err != nil {
			return
		}
		if n := c.Parameters(); n < 1 || n > maxParams || c.Layers > maxLayers ||
			max(c.Hidden, c.FFN, c.Vocab, c.Heads, c.KVHeads, c.HeadDim) > maxDim {
			t.Fatalf("%+v has %d parameters", c, n)
		}
		if c.Heads%c.KVHeads != 0 {
			t.Fatalf("%d heads in %d groups", c.Heads, c.KVHeads)
		}
		for _, freq := range c.rotation(c.Rope).Freqs {
			if freq-freq != 0 {
				t.Fatalf("a frequency is %v", freq)
			}
		}
		var planned int64
		for _, p := range Empty(c).Params {
			planned += int64(p.Size())
		}
		if planned != c.Parameters() {
			t.Fatalf("%d values are planned, %d counted", planned, c.Parameters())
		}
		text, err := c.JSON("float32")
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseConfig(text)
		if err != nil {
			t.Fatalf("written as %s: %v", text, err)
		}
		if again.Parameters() != c.Parameters() || again.Type != c.Type || again.NormEps != c.NormEps || again.Rope.Theta != c.Rope.Theta {
			t.Fatalf("read again as %+v, want %+v", again, c)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}
