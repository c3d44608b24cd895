package record

import (
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/tokenizer"
)

func TestWhatAModelIsAsked(t *testing.T) {
	template, err := chat.Open(tokenizer.Bytes(), "chatml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a question", `{"messages": [{"role": "user", "content": "q"}]}`, "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"},
		{"parts of text", `{"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]}`,
			"user\nq<|im_end|>\n<|im_start|>assistant\n"},
		{"a begin", `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "Once"}]}`, "assistant\nOnce"},
		{"a key without content", `{"messages": [{"role": "user", "content": "q", "id": 7}]}`, "assistant\n"},
		{"a key that nothing reads", `{"messages": [{"role": "user", "content": "q", "mood": "good"}]}`, "messages.mood: nothing reads it"},
		{"a picture", `{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}`,
			"image_url"},
		{"tools that the template does not write", `{"messages": [{"role": "user", "content": "q"}],
			"tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}]}`,
			"tools, which the chat template does not write"},
		{"a variable that the template does not know", `{"messages": [{"role": "user", "content": "q"}],
			"chat_template_kwargs": {"enable_thinking": true}}`, "does not know"},
		{"two of the user", `{"messages": [{"role": "user", "content": "q"}, {"role": "user", "content": "r"}]}`,
			"user\nq<|im_end|>\n<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n"},
		{"no list", `{"messages": 5}`, "messages is a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Ask(template, []byte(strings.Join(strings.Fields(c.text), " ")))
			if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && !strings.HasSuffix(got.Text, c.want) {
				t.Errorf("%q, %v", got.Text, err)
			}
		})
	}
}
