package record

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data/read"
	"lwtrain/tokenizer"
)

func TestAllOfATextIsATarget(t *testing.T) {
	for name, c := range map[string]struct{ record, want, unread string }{
		"as it is, with an end":       {`{"text": " One.\n\nTwo. "}`, " One.\n\nTwo. <|im_end|>", ""},
		"whatever is beside it":       {`{"text": "One.", "title": "t", "label": 1, "id": 3}`, "One.<|im_end|>", "label"},
		"that spells a special token": {`{"text": "One.<|im_end|>"}`, "One.<|im_end|>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			layout := Options{}.Layout(template(t, "chatml"))
			line := read.Line{Number: 1, Text: []byte(c.record)}
			layout.Settle([]read.Line{line})
			kept, unread, err := NewRenderer(layout, template(t, "chatml")).Tokenise(line)
			if err != nil || len(kept) != 1 || c.unread != "" && !slices.Contains(unread, c.unread) {
				t.Fatalf("%d kept, unread %v, %v", len(kept), unread, err)
			}
			k := kept[0]
			if got := tokenizer.Bytes().Decode(k.IDs, false); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if n := int32(len(k.IDs)); !slices.Equal(k.Target, [][2]int32{{0, n}}) || k.Targets() != n-1 || k.Prompt() != 0 {
				t.Errorf("targets %v of %d tokens", k.Target, n)
			}
			if k.Kind != Plain || k.Turns != 1 || k.Words < 1 {
				t.Errorf("kind %v, %d turns, %d words", k.Kind, k.Turns, k.Words)
			}
		})
	}
}

func TestTextsThatAreNoneSayWhy(t *testing.T) {
	for record, want := range map[string]string{
		`{"text": " \n"}`:                    string(chat.EmptyAnswer),
		`{"text": null}`:                     "no_text",
		`{"text": ["a"]}`:                    "invalid_text",
		`{"text": 3}`:                        "invalid_text",
		`{"body": "a"}`:                      "no_text",
		`{"text": "a", "images": ["b.png"]}`: "images_not_read",
	} {
		layout := Options{Format: "text"}.Layout(template(t, "chatml"))
		_, _, err := NewRenderer(layout, template(t, "chatml")).Tokenise(read.Line{Number: 1, Text: []byte(record)})
		var b *Error
		var talk *chat.ConversationError
		got := ""
		switch {
		case errors.As(err, &b):
			got = b.Reason
		case errors.As(err, &talk):
			got = string(talk.Reason)
		}
		if got != want {
			t.Errorf("%s: %q (%v), want %q", record, got, err, want)
		}
	}
}

func TestWhichRecordsAreTexts(t *testing.T) {
	for record, want := range map[string]string{
		`{"text": "a", "label": 0}`:                                         textFormat, // a class
		`{"text": "", "id": 7}`:                                             textFormat,
		`{"text": "q a", "prompt": "q", "completion": "a"}`:                 promptFormat,
		`{"text": "q a", "messages": []}`:                                   messagesFormat,
		`{"text": "q a", "chosen": "a", "rejected": "b"}`:                   preferenceFormat,
		`{"text": "q a", "prompt": "q", "completion": "a", "label": false}`: ktoFormat,
		`{"data": [{"text": "a"}]}`:                                         "",
		`{"content": "a"}`:                                                  "",
	} {
		layout := Options{}.Layout(nil)
		layout.Settle([]read.Line{{Text: []byte(record)}})
		if layout.Format != want {
			t.Errorf("%s: %q, want %q", record, layout.Format, want)
		}
	}
}

func TestAMessageOnALineOfItsOwnIsNoText(t *testing.T) {
	for record, want := range map[string]string{
		`{"text": "hi", "role": "prompter", "message_id": "1"}`: `role is "prompter" beside a text: a message of a conversation`,
		`{"text": "hi", "from": "gpt"}`:                         `from is "gpt" beside a text`,
		`{"text": "hi", "role": ""}`:                            "",
		`{"text": "hi", "author": "gpt"}`:                       "",
	} {
		layout := Options{}.Layout(nil)
		layout.Settle([]read.Line{{Text: []byte(record)}})
		_, err := layout.Parse(read.Line{Text: []byte(record)})
		var b *Error
		refused := errors.As(err, &b) && b.Reason == "message_alone" && strings.Contains(err.Error(), want)
		if want == "" && err != nil || want != "" && !refused {
			t.Errorf("%s: %v, want %q", record, err, want)
		}
	}
}
