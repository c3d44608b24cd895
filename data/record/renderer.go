package record

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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

	plain *chat.Template
	// The same one by what records tell it: many tell it the same, and telling a template of
	// tools takes longer than rendering.
	told map[string]*chat.Template
}

// mostTold is how many things told are kept.
const mostTold = 64

// NewRenderer renders with a template.
func NewRenderer(layout Layout, template *chat.Template) *Renderer {
	return &Renderer{Layout: layout, plain: template, told: map[string]*chat.Template{}}
}

// of is the template that knows variables.
func (r *Renderer) of(vars []Var) (*chat.Template, error) {
	if len(vars) == 0 {
		return r.plain, nil
	}
	var key strings.Builder
	for _, v := range vars {
		key.WriteString(v.Name + "\x00")
		key.Write(v.Value)
		key.WriteByte(0)
	}
	if template := r.told[key.String()]; template != nil {
		return template, nil
	}
	template, err := r.tell(vars)
	if err != nil {
		return nil, err
	}
	if len(r.told) == mostTold {
		clear(r.told)
	}
	r.told[key.String()] = template
	return template, nil
}

// tell tells the template of variables, and refuses those that change nothing it writes.
func (r *Renderer) tell(vars []Var) (*chat.Template, error) {
	without, with := map[string]any{}, map[string]any{}
	for _, v := range vars {
		with[v.Name], without[v.Name] = v.Value, v.Value
	}
	tools := with["tools"] != nil
	if tools {
		without["tools"] = []any{} // the template for tools without any
	}
	template, err := r.plain.With(with)
	if err != nil {
		return nil, bad("invalid_"+vars[0].Name, "%s: %v", vars[0].Name, err)
	}
	if tools {
		if other, err := r.plain.With(without); err == nil && !tells(other, template) {
			return nil, bad("tools_not_rendered", "tools, which the chat template does not write: the model would never see them")
		}
	}
	for _, v := range vars {
		switch {
		case v.Name == "tools" || string(v.Value) == "false" || template.Reads(v.Name):
		case v.Name == "documents":
			return nil, lostKey(v.Name, "is content that the chat template does not write")
		default:
			return nil, lostKey("chat_template_kwargs", "has %.40q, which the chat template does not know", v.Name)
		}
	}
	return template, nil
}

// tells reports whether a template says anything else of what it is told in with.
func tells(plain, with *chat.Template) bool {
	probe := []chat.Message{{Role: "user", Content: "question"}}
	a, _, err := plain.Prompt(probe)
	b, _, err2 := with.Prompt(probe)
	return err != nil || err2 != nil || a != b
}

// Render reads the record of a line and renders its conversation, or the two of a pair.
// unread are the keys that nobody reads and the template does not write, those of messages
// behind messages.
func (r *Renderer) Render(l read.Line) (sides []Rendered, unread []string, err error) {
	record, err := r.Layout.Parse(l)
	if err != nil {
		return nil, nil, err
	}
	first, err := r.render(record.Conversation)
	if err != nil {
		return []Rendered{first}, nil, err
	}
	sides = []Rendered{first}
	if record.Rejected != nil {
		second, err := r.render(*record.Rejected)
		if sides = append(sides, second); err != nil {
			return sides, nil, err
		}
	}
	return sides, r.unread(record.Unread, sides), nil
}

// unread lists the keys that are to be heard of: those of a record, and of the messages of
// its conversations.
func (r *Renderer) unread(keys []string, sides []Rendered) []string {
	for _, side := range sides {
		for _, key := range unreadOfTools(side.Vars, side.Text) {
			if r.Layout.Passed(strings.TrimPrefix(key, "tools.")) {
				keys = append(keys, key)
			}
		}
		for _, key := range slices.Concat(side.Unread, unreadOfCalls(side.Messages, side.Text)) {
			switch name := "messages." + key; {
			case key == chat.EarlierReasoning:
				keys = append(keys, key)
			case r.Layout.Passed(key):
				keys = append(keys, name)
			}
		}
	}
	if len(keys) > 1 {
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	return keys
}

func (r *Renderer) render(c Conversation) (Rendered, error) {
	if c.Raw {
		text, err := r.plain.Text(c.Messages[0].Content)
		return Rendered{Conversation: c, Learned: []bool{true}, Rendered: text}, err
	}
	template, err := r.of(c.Vars)
	if err != nil {
		return Rendered{}, err
	}
	targets := r.Layout.Targets(c)
	out := Rendered{Conversation: c, Learned: targets.Of(c.Messages)}
	var lost *chat.ConversationError
	switch out.Rendered, err = template.Render(c.Messages, targets); {
	case err == nil && slices.Contains(out.Unread, "tools"):
		err = lostKey("tools", "of a message is content that the chat template does not write, want it beside the messages")
	case err == nil: // the roles are known
		err = checkOrder(c.Messages)
	case errors.As(err, &lost) && lost.Reason == chat.UnknownRole:
		unknown := *lost
		unknown.Detail += fmt.Sprintf("; `roles: {%.40s: ...}` of the source says which it is", lost.Role)
		err = &unknown
	case errors.As(err, &lost) && lost.Key != "":
		err = lostKey(lost.Key, "of messages[%d] (%s) is content that the chat template does not write", lost.Message, lost.Role)
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
				t.Words += int32(prose.Words(m.Content[m.Given:]))
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
		switch {
		case n != out[1].Prompt() || !slices.Equal(out[0].IDs[:n], out[1].IDs[:n]):
			return nil, bad("prompts_differ", "the template renders the prompt of chosen in another way than that of rejected")
		case slices.Equal(out[0].IDs, out[1].IDs):
			return nil, bad("equal_answers", "the template makes the same tokens of chosen and rejected")
		}
	}
	return out, nil
}

// Tokenise reads the record of a line and makes what is kept of it: one conversation, or
// the two of a pair. unread are its keys as [Renderer.Render] has them.
func (r *Renderer) Tokenise(l read.Line) (kept []Tokenised, unread []string, err error) {
	sides, unread, err := r.Render(l)
	if err != nil {
		return nil, nil, err
	}
	kept, err = r.Keep(sides, l)
	return kept, unread, err
}

// Render renders the record of a line of JSONL as a source with nothing said of it is
// rendered, of a pair the chosen answer, and lists its keys that nothing reads.
func Render(template *chat.Template, text []byte) (_ chat.Rendered, unread []string, err error) {
	l := []read.Line{{Text: text}}
	layout := Options{}.Layout(template)
	layout.Settle(l)
	sides, unread, err := NewRenderer(layout, template).Render(l[0])
	if err != nil {
		return chat.Rendered{}, nil, err
	}
	return sides[0].Rendered, unread, nil
}
