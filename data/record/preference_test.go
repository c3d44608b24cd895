package record

import (
	"errors"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data/read"
)

// pairText is a pair as text: the roles and contents of prompt | chosen | rejected.
func pairText(e Record) string {
	if e.Rejected == nil {
		return "no pair"
	}
	var sides []string
	n := e.First
	for _, list := range [][]chat.Message{e.Messages[:n], e.Messages[n:], e.Rejected.Messages[n:]} {
		var parts []string
		for _, m := range list {
			parts = append(parts, m.Role[:1]+" "+m.Content)
		}
		sides = append(sides, strings.Join(parts, ", "))
	}
	return strings.Join(sides, " | ")
}

func parsePair(text string) (Record, error) {
	return Options{Format: preferenceFormat}.Layout(nil).Parse(read.Line{Text: []byte(text)})
}

func TestPairsAreReadInEveryForm(t *testing.T) {
	for name, c := range map[string]struct{ record, want string }{
		"text and a prompt": {`{"prompt": "hi", "chosen": "a", "rejected": "b"}`, "u hi | a a | a b"},
		"messages and a prompt of them": {`{"prompt": [` + system("s") + `, ` + user("hi") + `], "chosen": ` + assistant("a") +
			`, "rejected": [` + assistant("b") + `]}`, "s s, u hi | a a | a b"},
		"ShareGPT's names": {`{"conversations": [{"from": "human", "value": "hi"}], "chosen": {"from": "gpt", "value": ` +
			`"a"}, "rejected": {"from": "gpt", "value": "b"}}`, "u hi | a a | a b"},
		"a prompt under messages": {`{"messages": [` + user("hi") + `], "chosen": "a", "rejected": "b"}`, "u hi | a a | a b"},
		"instruction, input, system": {`{"system": "s", "instruction": "hi", "input": "there", "chosen": "a", "rejected": "b"}`,
			"s s, u hi\nthere | a a | a b"},
		"messages that are text, with the prompt in them": {`{"chosen": "[{\"role\": \"user\", \"content\": \"hi there\"}, {\"role\": ` +
			`\"assistant\", \"content\": \"a\"}]", "rejected": "[{\"role\": \"user\", \"content\": \"hi there\"}, {\"role\": ` +
			`\"assistant\", \"content\": \"b\"}]"}`, "u hi there | a a | a b"},
		"a prompt beside empty columns of others": {`{"prompt": "hi", "instruction": "", "messages": [], "chosen": "a", "rejected": "b"}`,
			"u hi | a a | a b"},
		"an instruction beside an empty prompt": {`{"prompt": "", "instruction": "hi", "chosen": "a", "rejected": "b"}`,
			"u hi | a a | a b"},
		"an input beside empty messages": {`{"messages": [], "input": "hi", "chosen": "a", "rejected": "b"}`,
			"u hi | a a | a b"},
		"an empty prompt beside whole conversations": {`{"prompt": "", ` +
			`"chosen": [` + user("hi") + `, ` + assistant("a") + `], "rejected": [` +
			user("hi") + `, ` + assistant("b") + `]}`, "u hi | a a | a b"},
		"an input beside an instruction of none": {`{"instruction": [], "input": "hi", "chosen": "a", "rejected": "b"}`,
			"u hi | a a | a b"},
		"an empty chosen beside messages": {`{"messages": [` + user("hi") + `, ` + assistant("a") + `], "chosen": "", "rejected": "b"}`,
			"u hi | a a | a b"},
		"instruction and history": {`{"instruction": "hi", "history": [["q", "x"]], "chosen": "a", "rejected": "b"}`,
			"u q, a x, u hi | a a | a b"},
		"the prompt found": {`{"chosen": [` + user("hi") + `, ` + assistant("a") + `], "rejected": [` + user("hi") + `, ` +
			assistant("b") + `]}`, "u hi | a a | a b"},
		"the prompt found behind turns": {`{"chosen": [` + user("q") + `, ` + assistant("x") + `, ` + user("hi") + `, ` + assistant("a") +
			`], "rejected": [` + user("q") + `, ` + assistant("x") + `, ` + user("hi") + `, ` + assistant("b") +
			`]}`, "u q, a x, u hi | a a | a b"},
		"a prompt beside messages": {`{"prompt": "hi", "messages": [` + user("hi") + `, ` + assistant("a") + `], "chosen": [` +
			user("hi") + `, ` + assistant("a") + `], "rejected": [` + user("hi") + `, ` + assistant("b") +
			`], "score_chosen": 9.5}`, "u hi | a a | a b"},
		"texts of one beginning": {`{"chosen": "Say something. Well then", "rejected": "Say something. Wise men"}`,
			"u Say something. | a Well then | a Wise men"},
		"transcripts of Anthropic's": {`{"chosen": "\n\nHuman: q\n\nAssistant: x\n\nHuman: hi\n\nAssistant: a", "rejected": ` +
			`"\n\nHuman: q\n\nAssistant: x\n\nHuman: hi\n\nAssistant: b"}`, "u q, a x, u hi | a a | a b"},
		"a transcript behind a system prompt": {`{"chosen": "You are S.\n\nHuman: hi\n\nAssistant: a b", "rejected": ` +
			`"You are S.\n\nHuman: hi\n\nAssistant: a c"}`, "s You are S., u hi | a a b | a a c"},
		"paragraphs in a transcript": {`{"chosen": "\n\nHuman: q\n\nr\n\n\n\nAssistant: a", "rejected": ` +
			`"\n\nHuman: q\n\nr\n\nAssistant: b\n\nc"}`, "u q\n\nr | a a | a b\n\nc"},
		"an input alone": {`{"system": "s", "input": "Capital?", "chosen": "It is Paris", "rejected": "It is Rome"}`,
			"s s, u Capital? | a It is Paris | a It is Rome"},
		"a question and its input": {`{"question": "q", "input": "c", "chosen": "a", "rejected": "b"}`, "u q\nc | a a | a b"},
		"a prompt and its context": {`{"prompt": "q", "context": "c", "chosen": "a", "rejected": "b"}`, "u q\nc | a a | a b"},
		"the prompt repeated": {`{"prompt": "hi", "chosen": [` + user("hi") + `, ` + assistant("a") + `], "rejected": [` +
			user("hi") + `, ` + assistant("b") + `]}`, "u hi | a a | a b"},
		"answers of several turns": {`{"prompt": "hi", "chosen": [` + assistant("a") + `, ` + user("more") + `, ` + assistant("c") +
			`], "rejected": "b"}`, "u hi | a a, u more, a c | a b"},
		"an answer that both go on with": {`{"prompt": [` + user("hi") + `, ` + assistant("x ") + `], "chosen": "a", "rejected": [` +
			assistant("b") + `]}`, "u hi | a x a | a x b"},
		"an answer behind a turn that both go on with": {`{"system": "s", "prompt": [` + user("q") + `, ` + assistant("x") + `, ` +
			user("hi") + `, ` + assistant("y\n") + `], "chosen": [` + assistant("a") + `], "rejected": "b"}`,
			"s s, u q, a x, u hi | a y\na | a y\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := parsePair(c.record)
			if err != nil || pairText(p) != c.want {
				t.Errorf("got %q, %v, want %q", pairText(p), err, c.want)
			}
		})
	}
}

func TestBrokenPairsSayWhy(t *testing.T) {
	for name, c := range map[string]struct{ record, reason string }{
		"equal answers": {`{"prompt": "hi", "chosen": "a", "rejected": "a"}`, "equal_answers"},
		"equal conversations": {`{"chosen": [` + user("hi") + `, ` + assistant("a") + `], "rejected": [` + user("hi") + `, ` +
			assistant("a") + `]}`, "equal_answers"},
		"an empty side":           {`{"prompt": "hi", "chosen": "a", "rejected": " "}`, "empty_answer"},
		"a side without messages": {`{"prompt": "hi", "chosen": "a", "rejected": []}`, "empty_answer"},
		"prompts that differ": {`{"chosen": [` + user("hi") + `, ` + assistant("a") + `], "rejected": [` + user("ho") + `, ` +
			assistant("b") + `]}`, "prompts_differ"},
		"a second question that differs": {`{"chosen": [` + user("q") + `, ` + user("hi") + `, ` + assistant("a") + `], "rejected": [` +
			user("q") + `, ` + user("ho") + `, ` + assistant("b") + `]}`, "prompts_differ"},
		"no prompt":   {`{"chosen": "a", "rejected": "b"}`, "no_prompt"},
		"two prompts": {`{"prompt": "hi", "instruction": "hi", "chosen": "a", "rejected": "b"}`, "invalid_prompt"},
		"a prompt that is answered": {`{"messages": [` + user("hi") + `, ` + assistant("x") + `], "chosen": "a", "rejected": "b"}`,
			"invalid_prompt"},
		"a prompt that is answered in both": {`{"chosen": [` + user("hi") + `, ` + assistant("x") + `, ` + assistant("a") +
			`], "rejected": [` + user("hi") + `, ` + assistant("x") + `, ` + assistant("b") + `]}`, "invalid_prompt"},
		"an answer that one side does not go on with": {`{"prompt": [` + user("hi") + `, ` + assistant("x") +
			`], "chosen": "a", "rejected": " "}`, "empty_answer"},
		"an empty answer to go on with": {`{"prompt": [` + user("hi") + `, ` + assistant(" ") + `], "chosen": "a", "rejected": "b"}`,
			"invalid_prompt"},
		"an answer that goes on with turns": {`{"prompt": [` + user("hi") + `, ` + assistant("x") + `], "chosen": [` + assistant("a") +
			`, ` + user("q") + `, ` + assistant("c") + `], "rejected": "b"}`, "invalid_prompt"},
		"reasoning in the middle of an answer": {`{"prompt": [` + user("hi") + `, ` + assistant("x") +
			`], "chosen": {"role": "assistant", "content": "a", "reasoning": "r"}, "rejected": "b"}`, "reasoning_not_read"},
		"the same text behind an answer": {`{"prompt": [` + user("hi") + `, ` + assistant("x") + `], "chosen": "a", "rejected": "a"}`,
			"equal_answers"},
		"history of three": {`{"instruction": "x", "history": [["a", "b", "c"]], "chosen": "a", "rejected": "b"}`,
			"invalid_history"},
		"an empty prompt":            {`{"prompt": [], "chosen": "a", "rejected": "b"}`, "empty_prompt"},
		"no rejected answer":         {`{"prompt": "hi", "chosen": "a"}`, "no_pair"},
		"an answer that is a number": {`{"prompt": "hi", "chosen": 1, "rejected": "b"}`, "invalid_chosen"},
		"an answer that is null":     {`{"prompt": "hi", "chosen": null, "rejected": "b"}`, "no_pair"},
		"a message that is null":     {`{"prompt": "hi", "chosen": [null], "rejected": "b"}`, "invalid_messages"},
		"an answer of the user":      {`{"prompt": "hi", "chosen": "a", "rejected": ` + user("b") + `}`, "prompts_differ"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsePair(c.record)
			var b *Error
			if !errors.As(err, &b) || b.Reason != c.reason {
				t.Errorf("got %v, want the reason %s", err, c.reason)
			}
		})
	}
}

func FuzzParsePair(f *testing.F) {
	f.Add([]byte(`{"conversations": [{"from": "human", "value": "hi"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": [` +
		assistant("b") + `]}`))
	f.Add([]byte(`{"instruction": "a", "input": "b", "history": [["a", "b"]], "system": "x", "chosen": "a", "rejected": "b"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parsePair(string(line))
		if err == nil && (e.First == 0 || len(e.Messages) <= e.First || len(e.Rejected.Messages) <= e.First) {
			t.Errorf("%q is a pair without a side", line)
		}
	})
}
