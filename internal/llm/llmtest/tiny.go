package llmtest

import (
	"fmt"
	"testing"

	"lwtrain/chat"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Tiny is a fresh model of bytes for so many positions, with its tokenizer and template. Its answers are of all
// kinds of bytes; one that loops says one token again and again instead, without an end.
func Tiny(t *testing.T, positions int, loops bool) (*model.Model, *tokenizer.Tokenizer, *chat.Template) {
	t.Helper()
	deviation := 1.
	if loops {
		deviation = 0.02
	}
	c, err := model.ParseConfig(fmt.Appendf(nil, `{"model_type": "llama", "vocab_size": 259, "hidden_size": 16, "intermediate_size": 24,
		"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": %d,
		"rms_norm_eps": 1e-5, "initializer_range": %g, "tie_word_embeddings": %t}`, positions, deviation, loops))
	if err != nil {
		t.Fatal(err)
	}
	tok := tokenizer.Bytes()
	template, err := chat.Open(tok, "chatml")
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(c, 1)
	t.Cleanup(m.Free)
	return m, tok, template
}
