package train

import (
	"context"
	"strings"
	"testing"

	"lwtrain/model"
	"lwtrain/model/families"
)

// smallFamily is the config.json of a small model of a family.
func smallFamily(t *testing.T, kind string) string {
	t.Helper()
	sizes := `"hidden_size":32,"num_hidden_layers":4,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":16,"vocab_size":261,` +
		`"intermediate_size":40,"max_position_embeddings":4096,"initializer_range":0.1,"num_local_experts":0`
	yarn := `"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":64}`
	more := map[string]string{
		"llama": yarn, "qwen2": `"use_sliding_window":true,"sliding_window":20,"max_window_layers":1`, "qwen3": yarn, "glm": "", "glm4": "",
		"chatglm": `"num_layers":4,"padded_vocab_size":261,"ffn_hidden_size":40,"kv_channels":16,"multi_query_group_num":1,` +
			`"multi_query_attention":true,"rmsnorm":true`,
		"mistral":          `"sliding_window":20`,
		"ministral":        `"sliding_window":20,"layer_types":["full_attention","sliding_attention","sliding_attention","full_attention"]`,
		"smollm3":          `"no_rope_layers":[1,0,1,0]`,
		"granite":          `"embedding_multiplier":4,"attention_multiplier":0.2,"residual_multiplier":0.5,"logits_scaling":2`,
		"granitemoehybrid": `"layer_types":["attention","attention","attention","attention"],"position_embedding_type":"rope"`,
		"olmo2":            "", "olmo3": `"sliding_window":20,` + yarn, "gemma3_text": `"sliding_window":20`,
		"ministral3": `"sliding_window":null,"rope_parameters":{"rope_type":"yarn","rope_theta":1e6,"factor":4,` +
			`"original_max_position_embeddings":16,"llama_4_scaling_beta":0.1}`,
		"exaone4": `"sliding_window":20`, "hunyuan_v1_dense": `"rope_scaling":{"type":"dynamic","alpha":100,"factor":1}`,
		"cohere": `"logit_scale":0.5`, "cohere2": `"sliding_window":20,"logit_scale":0.5`,
		"phi3": `"original_max_position_embeddings":100,"rope_scaling":{"type":"longrope","short_factor":[1,1,1,1,1,1,1,1],` +
			`"long_factor":[1,2,3,4,5,6,7,8]}`,
		"qwen3_5_text": `"linear_num_key_heads":1,"linear_num_value_heads":2,"linear_key_head_dim":16,"linear_value_head_dim":16`,
		"lfm2":         `"layer_types":["conv","full_attention","conv","conv"]`,
	}
	extra, ok := more[kind]
	if !ok {
		t.Fatalf("no model of %s, want one that is packed here", kind)
	}
	return strings.ReplaceAll(`{"model_type":"`+kind+`",`+sizes+`,`+extra+`}`, ",}", "}")
}

// TestPackedEqualsAloneForEveryFamily walks over the families: each that says it is proved is, and each is. Windows, stretched
// positions and queries that grow begin anew with a document.
func TestPackedEqualsAloneForEveryFamily(t *testing.T) {
	set, chat := fixture(t, 1)
	for _, kind := range strings.Split(families.Types(), ", ") {
		t.Run(kind, func(t *testing.T) {
			c, err := model.ParseConfig([]byte(smallFamily(t, kind)))
			if err != nil {
				t.Fatal(err)
			}
			j := job(t, set, chat, "")
			j.Model, j.Packing.Capacity = model.New(c, 1), 700
			r, err := SelftestPacking(context.Background(), j.ready(t), 3)
			if err != nil || !r.OK() || r.Documents < 2 || !c.Proved {
				t.Errorf("%+v, %v; proved: %t", r, err, c.Proved)
			}
		})
	}
}
