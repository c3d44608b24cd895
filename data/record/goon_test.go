package record

import (
	"slices"
	"testing"

	"lwtrain/data/read"
	"lwtrain/tokenizer"
)

func TestOfAnAnswerThatGoesOnTheRestAloneIsATarget(t *testing.T) {
	prompt := `"prompt": [` + user("q") + `, ` + assistant("One.\n\n") + `]`
	const before = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nOne.\n\n"
	for name, c := range map[string]struct {
		record  string
		targets []string
		words   int32
	}{
		"of both sides of a pair": {`{` + prompt + `, "chosen": "Two three.", "rejected": [` + assistant("Two?") + `]}`,
			[]string{"Two three.<|im_end|>", "Two?<|im_end|>"}, 2},
		"of a labelled answer":        {`{` + prompt + `, "completion": "Two.", "label": true}`, []string{"Two.<|im_end|>"}, 1},
		"of a completion to a prompt": {`{` + prompt + `, "completion": [` + assistant("Two.") + `]}`, []string{"Two.<|im_end|>"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			layout := Options{}.Layout(template(t, "chatml"))
			line := read.Line{Number: 1, Text: []byte(c.record)}
			layout.Settle([]read.Line{line})
			kept, unread, err := NewRenderer(layout, template(t, "chatml")).Tokenise(line)
			if err != nil || len(unread) > 0 || len(kept) != len(c.targets) {
				t.Fatalf("%d kept, unread %v, %v", len(kept), unread, err)
			}
			tok := tokenizer.Bytes()
			for i, k := range kept {
				if want := tok.EncodeText(before); !slices.Equal(k.IDs[:k.Prompt()], want) {
					t.Errorf("the prompt is %q, want %q", tok.Decode(k.IDs[:k.Prompt()], false), before)
				}
				if len(k.Target) != 1 || tok.Decode(k.IDs[k.Target[0][0]:k.Target[0][1]], false) != c.targets[i] {
					t.Errorf("the targets are %v of %q, want %q", k.Target, tok.Decode(k.IDs, false), c.targets[i])
				}
			}
			if kept[0].Words != c.words {
				t.Errorf("%d words, want %d", kept[0].Words, c.words)
			}
		})
	}
}

func TestACallBehindATextIsATurnOfItsOwn(t *testing.T) {
	layout := Options{}.Layout(nil)
	line := read.Line{Number: 1, Text: []byte(`{"prompt": [` + user("q") + `, ` + assistant("I look.") +
		`], "completion": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]}`)}
	layout.Settle([]read.Line{line})
	r, err := layout.Parse(line)
	if err != nil || len(r.Messages) != 3 || r.Messages[1].Given+r.Messages[2].Given > 0 {
		t.Errorf("%v, %+v", err, r.Messages)
	}
}

func TestAnAnswerThatGoesOnIsCutBehindItsBegin(t *testing.T) {
	layout := Options{Cut: Cut{Words: 3}}.Layout(nil)
	line := read.Line{Number: 1, Text: []byte(`{"prompt": [` + user("q") + `, ` + assistant("One two three four. ") +
		`], "completion": "Five six. Seven eight."}`)}
	layout.Settle([]read.Line{line})
	r, err := layout.Parse(line)
	if err != nil || r.Messages[1].Content != "One two three four. Five six." {
		t.Errorf("%v, %+v", err, r.Messages)
	}
}
