package record

import (
	"encoding/json"
	"slices"

	"lwtrain/chat"
	"lwtrain/data/read"
	"lwtrain/internal/prose"
)

// Rendered is a conversation as the template renders it.
type Rendered struct {
	Conversation
	Learned []bool // which of its messages are trained on
	chat.Rendered
}

// Renderer reads records and renders their conversations. It is of one goroutine.
type Renderer struct {
	Layout Layout
	Sieve  *Sieve // what is wanted; nil: all
	Near   bool   // whether near copies are looked for

	// The template, and the same one told of the tools that the last record named:
	// many records name the same, and telling a template of tools takes longer than
	// rendering.
	plain, with *chat.Template
	tools       string
}

// NewRenderer renders with a template.
func NewRenderer(layout Layout, template *chat.Template) *Renderer {
	return &Renderer{Layout: layout, plain: template}
}

// of is the template that knows tools.
func (r *Renderer) of(tools json.RawMessage) (*chat.Template, error) {
	if tools == nil {
		return r.plain, nil
	}
	if r.with == nil || r.tools != string(tools) {
		template, err := r.plain.With(map[string]any{"tools": tools})
		if err != nil {
			return nil, bad("invalid_tools", "tools: %v", err)
		}
		if !tells(r.plain, template) {
			return nil, bad("tools_not_rendered", "tools, which the chat template does not write: the model would never see them")
		}
		r.with, r.tools = template, string(tools)
	}
	return r.with, nil
}

// tells reports whether a template says anything else of what it is told in with.
func tells(plain, with *chat.Template) bool {
	probe := []chat.Message{{Role: "user", Content: "question"}}
	a, _, err := plain.Prompt(probe)
	b, _, err2 := with.Prompt(probe)
	return err != nil || err2 != nil || a != b
}

// Render reads the record of a line and renders its conversation, or the two of a pair.
func (r *Renderer) Render(l read.Line) ([]Rendered, error) {
	record, err := r.Layout.Parse(l)
	if err != nil {
		return nil, err
	}
	first, err := r.render(record.Conversation)
	if err != nil || record.Rejected == nil {
		return []Rendered{first}, err
	}
	second, err := r.render(*record.Rejected)
	return []Rendered{first, second}, err
}

func (r *Renderer) render(c Conversation) (Rendered, error) {
	template, err := r.of(c.Tools)
	if err != nil {
		return Rendered{}, err
	}
	targets := r.Layout.Targets(c)
	out := Rendered{Conversation: c, Learned: targets.Of(c.Messages)}
	if out.Rendered, err = template.Render(c.Messages, targets); err == nil { // the roles are known
		err = checkOrder(c.Messages)
	}
	return out, err
}

// Keep makes what is kept of the conversations of a line's record, unless the sieve
// passes them over.
func (r *Renderer) Keep(sides []Rendered, l read.Line) ([]Tokenised, error) {
	var out []Tokenised
	for _, side := range sides {
		t := Tokenised{IDs: side.IDs, Line: int64(l.Number), Facts: examine(side.Messages), Kind: side.Kind}
		if len(side.Injected) > 0 {
			t.Facts.Suspicions |= specialTokens
		}
		for _, span := range side.Target {
			t.Target = append(t.Target, [2]int32{span.Start, span.End})
		}
		for _, m := range side.Messages[side.First:] {
			if m.Role == "assistant" {
				t.Turns++
				t.Words += int32(prose.Words(m.Content))
			}
		}
		if err := r.Sieve.check(side.Messages, t); err != nil {
			return nil, err
		}
		if r.Near {
			t.Sketch = minhash(side.Messages)
		}
		t.fingerprint()
		out = append(out, t)
	}
	if len(out) == 2 {
		n := out[0].Prompt()
		if n != out[1].Prompt() || !slices.Equal(out[0].IDs[:n], out[1].IDs[:n]) {
			return nil, bad("prompts_differ", "the template renders the prompt of chosen in another way than that of rejected")
		}
	}
	return out, nil
}

// Tokenise reads the record of a line and makes what is kept of it: one conversation, or
// the two of a pair.
func (r *Renderer) Tokenise(l read.Line) ([]Tokenised, error) {
	sides, err := r.Render(l)
	if err != nil {
		return nil, err
	}
	return r.Keep(sides, l)
}

// Render renders the record of a line of JSONL as a source with nothing said of it is
// rendered: of a pair the chosen answer.
func Render(template *chat.Template, text []byte) (chat.Rendered, error) {
	l := []read.Line{{Text: text}}
	layout := Options{}.Layout(template)
	layout.Settle(l)
	sides, err := NewRenderer(layout, template).Render(l[0])
	if err != nil {
		return chat.Rendered{}, err
	}
	return sides[0].Rendered, nil
}
