package chat

import (
	"slices"
	"testing"
)

// The tokens around a text are those of transformers' tokenizer(text), and eos_token where it puts
// none behind it.
func TestATextHasTheTokensThatItsTokenizerPutsAround(t *testing.T) {
	for name, c := range map[string]struct {
		tokenizer, eos, template string
		before                   []string
	}{
		"none, of Qwen's":          {"qwen", "<|endoftext|>", "chatml", nil},
		"Llama's begin":            {"llama3", "<|end_of_text|>", "llama3", []string{"<|begin_of_text|>"}},
		"GLM-4's two":              {"glm4", "<|endoftext|>", "glm4", []string{"[gMASK]", "<sop>"}},
		"none, of one without any": {"smollm2", "<|im_end|>", "chatml", nil},
	} {
		t.Run(name, func(t *testing.T) {
			chat := must(Open(fixture(t, c.tokenizer, c.eos), c.template))
			const text = "One.\n\nTwo <b>three</b>. \u4e00"
			got, err := chat.Text(text)
			if err != nil {
				t.Fatal(err)
			}
			want := chat.tok.Encode(text)
			for i, token := range c.before {
				if id, _ := chat.tok.ID(token); id != want[i] {
					t.Errorf("token %d of the tokenizer's is %d, want %s", i, want[i], token)
				}
			}
			end, _ := chat.tok.ID(c.eos)
			if want = append(want, end); !slices.Equal(got.IDs, want) {
				t.Errorf("ids %v, want %v", got.IDs, want)
			}
			if n := int32(len(want)); !slices.Equal(got.Target, []Span{{0, n}}) || len(got.Bytes) != len(want) {
				t.Errorf("targets %v of %d tokens with %d places", got.Target, n, len(got.Bytes))
			}
			if got.Message(len(c.before)) != 0 || got.Message(len(want)-1) != -1 || got.Token(len(want)-1) != c.eos {
				t.Errorf("the text's first token is of message %d, the end %q of %d",
					got.Message(len(c.before)), got.Token(len(want)-1), got.Message(len(want)-1))
			}
		})
	}
}
