package llm

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/internal/llm/llmtest"
	"lwtrain/model"
)

// newDecoder answers with a fresh model of bytes.
func newDecoder(t *testing.T) *Decoder {
	t.Helper()
	m, tok, template := llmtest.Tiny(t, 512, false)
	return &Decoder{Model: m, Tokenizer: tok, Template: template, Batch: 2}
}

func TestOurOwnDecoder(t *testing.T) {
	d := newDecoder(t)
	var requests []Request
	for i := range 5 {
		requests = append(requests, Request{
			Messages: question.Messages, MaxTokens: 3 + i, Sampling: model.Sampling{Temperature: 2, Seed: uint64(i)},
		})
	}
	got := map[int]Reply{}
	if err := Answer(t.Context(), d, requests, func(i int, r Reply) error { got[i] = r; return nil }); err != nil {
		t.Fatal(err)
	}
	for i, r := range requests {
		switch g := got[i]; {
		case g.Stop == StopLength && g.Tokens == r.MaxTokens, g.Stop == StopEOS && g.Tokens < r.MaxTokens:
		default:
			t.Errorf("request %d, of %d tokens, has the reply %+v", i, r.MaxTokens, g)
		}
	}
	full := errors.New("the disk is full")
	if err := Answer(t.Context(), d, requests, func(int, Reply) error { return full }); err != full {
		t.Errorf("got %v, want the error of done", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Answer(ctx, d, requests, func(int, Reply) error { cancel(); return nil }); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	requests[3] = Request{Messages: []chat.Message{{Role: "nobody", Content: "q"}}, Origin: "q.jsonl:4"}
	err := Answer(t.Context(), d, requests, func(int, Reply) error { t.Error("it answers"); return nil })
	if err == nil || !strings.HasPrefix(err.Error(), "q.jsonl:4: ") {
		t.Errorf("got %v, want where the prompt is from", err)
	}
}

func TestADecoderTellsApartWhatTheModelThinks(t *testing.T) {
	tests := []struct{ name, prompt, text, reasoning, answer string }{
		{"an answer alone", "q", "yes", "", "yes"},
		{"thoughts before it", "q", "<think>hm</think>\nyes", "hm", "yes"},
		{"thoughts without an end", "q", "<think>hm", "hm", ""},
		{"the prompt opens them", "q<think>\n", "hm\n</think>\n\nyes", "hm", "yes"},
		{"the prompt opens them and they have no end", "q<think>\n", "hm", "hm", ""},
		{"the prompt closes them: there are none", "q<think>\n\n</think>\n\n", "yes", "", "yes"},
		{"what closes and nobody opened is said", "q", "hm</think>yes", "", "hm</think>yes"},
		{"an answer that speaks of the tags", "q", "It is <think>hm</think>", "", "It is <think>hm</think>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder(t)
			g := model.Generated{IDs: d.Tokenizer.Encode(tt.text), Stop: StopEOS}
			prompt := d.Tokenizer.Encode(tt.prompt)
			want := Reply{Text: tt.text, Tokens: len(g.IDs), Prompt: len(prompt), Stop: StopEOS}
			if r := d.reply(g, prompt); !reflect.DeepEqual(r, want) {
				t.Errorf("got %+v, want %+v", r, want)
			}
			d.Apart = true
			want.Reasoning, want.Text = tt.reasoning, tt.answer
			if r := d.reply(g, prompt); !reflect.DeepEqual(r, want) {
				t.Errorf("got %+v, want %+v", r, want)
			}
		})
	}
}
