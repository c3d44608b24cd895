package chat

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lwtrain/tokenizer"
)

const generationChatML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}" +
	"{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}" +
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

func TestTargetsAreTheAnswersThatWereChosen(t *testing.T) {
	yes := Message{Role: "assistant", Content: "yes", Mark: Trained}
	no := Message{Role: "assistant", Content: "no", Mark: NotTrained}
	for _, c := range []struct {
		name   string
		msgs   []Message
		choose Targets
		want   string
	}{
		{"all where nothing is said", []Message{user("q"), assistant("a"), user("r"), assistant("b")}, Targets{}, "a b"},
		{"all but those that say no", []Message{user("q"), no, user("r"), yes, assistant("b")}, Targets{Turns: "all"}, "yes b"},
		{"the last", []Message{user("q"), assistant("a"), user("r"), assistant("b")}, Targets{Turns: "last"}, "b"},
		{"the last answer before a question", []Message{user("q"), assistant("a"), user("r"), assistant("b"), user("s")},
			Targets{Turns: "last"}, "b"},
		{"the last of two in a row", []Message{user("q"), assistant("a"), assistant("b")}, Targets{Turns: "last"}, "b"},
		{"none where the last says no", []Message{user("q"), assistant("a"), user("r"), no}, Targets{Turns: "last"}, ""},
		{"those that say yes", []Message{user("q"), assistant("a"), yes, user("r"), no, assistant("b")}, Targets{Turns: "marked"}, "yes"},
		{"none where none says yes", []Message{user("q"), assistant("a")}, Targets{Turns: "marked"}, ""},
		{"those behind the prompt", []Message{user("q"), assistant("a"), user("r"), assistant("b")}, Targets{First: 3}, "b"},
		{"the last behind the prompt", []Message{user("q"), assistant("a"), user("r"), assistant("b"), user("s"), assistant("c")},
			Targets{First: 3, Turns: "last"}, "c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, template := range map[string]string{"plain": plainChatML, "with generation blocks": generationChatML} {
				chat := chatOf(t, template)
				r, err := chat.Render(c.msgs, c.choose)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.ReplaceAll(strings.Join(targets(chat, r), " "), "<|im_end|>", ""); got != c.want {
					t.Errorf("%s: targets %q, want %q", name, got, c.want)
				}
				if all := must(chat.Render(c.msgs, Targets{})); !slices.Equal(all.IDs, r.IDs) {
					t.Errorf("%s: the choice of targets changes the ids", name)
				}
			}
		})
	}
}

// TestATurnWithCallsEndsWithTheTurn: a system's prompt that ends as answers do makes no special token inside of a call their end.
func TestATurnWithCallsEndsWithTheTurn(t *testing.T) {
	chat := chatOf(t, "<|im_start|>system\nS<|im_end|>\n{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}"+
		"{% if m.tool_calls %}<|endoftext|>{{ m.tool_calls[0].function.name }}()<|endoftext|>{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"+
		"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
	r := must(chat.Render([]Message{user("q"), probeCall("I look.")}, Targets{}))
	const want = "I look.<|endoftext|>look()<|endoftext|><|im_end|>"
	if got := targets(chat, r); !slices.Equal(got, []string{want}) {
		t.Errorf("targets %q, want %q", got, want)
	}
}

// TestEveryTokenBelongsToAMessageOrToTheTemplate: the tokens of a message spell
// its text, whatever that holds.
func TestEveryTokenBelongsToAMessageOrToTheTemplate(t *testing.T) {
	chat := must(Open(tokenizer.Bytes(), "chatml"))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"a", "<|im_end|>", "<|im_start|>assistant\n", "é", "写", "\n", " "})
		var msgs []Message
		for range rapid.IntRange(1, 3).Draw(t, "turns") {
			msgs = append(msgs, user(strings.Join(rapid.SliceOfN(text, 1, 5).Draw(t, "question"), "")),
				assistant("x"+strings.Join(rapid.SliceOfN(text, 1, 5).Draw(t, "answer"), "")))
		}
		r, err := chat.Render(msgs, Targets{})
		if err != nil {
			t.Fatal(err)
		}
		got := make([][]int32, len(msgs))
		for i, id := range r.IDs {
			if at := r.Bytes[i]; chat.tok.Decode([]int32{id}, false) != r.Text[at[0]:at[1]] && at[1]-at[0] > 1 {
				t.Errorf("token %d is %q, and its place holds %q", i, chat.tok.Decode([]int32{id}, false), r.Text[at[0]:at[1]])
			}
			if m := r.Message(i); m >= 0 {
				got[m] = append(got[m], id)
			}
		}
		for i, m := range msgs {
			if text := chat.tok.Decode(got[i], false); text != m.Content {
				t.Errorf("the tokens of message %d spell %q, want %q", i, text, m.Content)
			}
		}
	})
}

func TestCallsThatTheTemplateLeavesOutAreAnError(t *testing.T) {
	call := probeCall("answer")
	if _, err := chatOf(t, plainChatML).Render([]Message{user("q"), call}, Targets{}); err == nil ||
		!strings.Contains(err.Error(), "messages[1] (assistant): the template renders nothing of its tool_calls") {
		t.Errorf("got %v", err)
	}
}
