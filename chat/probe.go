package chat

import (
	"fmt"
	"slices"
	"strings"

	"lwtrain/internal/jinja"
)

var (
	probeUser   = Message{Role: "user", Content: "question"}
	probeAnswer = Message{Role: "assistant", Content: "answer"}
)

// probeCall is an assistant message that calls a tool, in the form that most
// templates take; the id is one that Mistral's accept.
func probeCall(content string) Message {
	return Message{Role: "assistant", Content: content, Extra: map[string]any{"tool_calls": []any{map[string]any{
		"id": "abcdefghi", "type": "function",
		"function": map[string]any{"name": "look", "arguments": map[string]any{"place": "here"}},
	}}}}
}

// probeLimits are far beyond what a short conversation takes, and keep a hostile
// template from holding up a few dozen probes for long.
var probeLimits = jinja.Limits{Steps: 500_000, Bytes: 16 << 20}

func (t *Template) try(msgs []Message, prompt bool) (rendering, error) {
	return t.renderWithin(probeLimits, msgs, prompt)
}

// probe renders conversations to find the template's form.
func (t *Template) probe() (turnForm, error) {
	var form turnForm
	user, err := t.try([]Message{probeUser}, false)
	if err != nil {
		return form, err
	}
	prompt, err := t.try([]Message{probeUser}, true)
	if err != nil {
		return form, err
	}
	turns, err := t.try([]Message{probeUser, probeAnswer, probeUser, probeAnswer}, false)
	if err != nil {
		return form, err
	}
	if err := t.probeHeader(&form, user, prompt); err != nil {
		return form, err
	}
	if err := t.probeEnds(&form, turns); err != nil {
		return form, err
	}
	t.probeTools(&form)
	t.probeNoContent(&form)
	t.probeShort(&form)
	return form, nil
}

// probeNoContent finds out whether the template takes a call of a tool whose message has no content.
func (t *Template) probeNoContent(form *turnForm) {
	asks := probeCall("")
	asks.Extra["content"] = nil
	result := Message{Role: "tool", Content: "result", Extra: map[string]any{"name": "look", "tool_call_id": "abcdefghi"}}
	for _, msgs := range [][]Message{{probeUser, asks}, {probeUser, asks, result, probeAnswer}} {
		if _, err := t.try(msgs, false); err != nil {
			form.filled = true
		}
	}
}

// tail is what follows the text of the last message.
func tail(out rendering, last int) (string, bool) {
	a, ok := out.locate(last)
	if !ok {
		return "", false
	}
	return out.Text[a.text.End:], true
}

// probeHeader compares renderings with and without the generation prompt.
func (t *Template) probeHeader(form *turnForm, user, prompt rendering) error {
	base, ok := tail(user, 0)
	full, ok2 := tail(prompt, 0)
	if !ok || !ok2 {
		return fmt.Errorf("it does not render the user's message")
	}
	header, isPrefix := strings.CutPrefix(full, base)
	switch {
	case full == "":
		return fmt.Errorf("it has no generation prompt: nothing stands between a question and where the answer begins")
	case isPrefix && header != "":
		form.headers = []string{header}
	default:
		form.prefixes = []string{full}
	}
	return nil
}

// probeEnds finds the tokens that end the first and the last of two answers.
func (t *Template) probeEnds(form *turnForm, turns rendering) error {
	first, ok := turns.locate(1)
	last, ok2 := turns.locate(3)
	if !ok || !ok2 {
		return fmt.Errorf("it does not render the answers of a conversation of two turns")
	}
	ids, spans := t.tok.Offsets(turns.Text)
	inner, ok := t.endOf(t.specials(ids, spans, first.text.End, first.after))
	if !ok {
		return fmt.Errorf("no special token of this tokenizer ends an answer: the template writes %.60q behind it",
			turns.Text[first.text.End:first.after])
	}
	form.ends = []int32{inner}
	form.endless = len(turns.Generation) > 0 && !slices.ContainsFunc(turns.Generation, func(g span) bool {
		return slices.Contains(t.specials(ids, spans, g.Start, g.End), inner)
	})
	user, _ := turns.locate(0)
	before := t.specials(ids, spans, 0, user.text.Start)
	form.byRole = len(before) > 0 && before[len(before)-1] == inner // further in front, it ends a system prompt
	final := t.specials(ids, spans, last.text.End, len(turns.Text))
	if end, ok := t.endOf(final); ok {
		if !slices.Contains(final, inner) {
			form.addEnd(end)
		}
		return nil
	}
	form.closes = true
	form.eos, ok = t.tok.ID(t.tok.SpecialToken("eos_token"))
	if list := t.tok.EOS(); !ok && len(list) > 0 {
		form.eos, ok = list[0], t.tok.Token(list[0]) != ""
		if !ok {
			return fmt.Errorf("it ends the last answer with no token, and eos_token_id is %d, for which the tokenizer has no token",
				list[0])
		}
	}
	if !ok {
		return fmt.Errorf("it ends the last answer with no token, and the tokenizer has no eos_token")
	}
	return nil
}

// endOf picks the token that ends a turn from the special tokens behind it: the
// first that stops generation, else the first of all.
func (t *Template) endOf(specials []int32) (int32, bool) {
	for _, id := range specials {
		if slices.Contains(t.tok.EOS(), id) {
			return id, true
		}
	}
	if len(specials) == 0 {
		return 0, false
	}
	return specials[0], true
}

// specials returns the special tokens that begin in the bytes [from,to).
func (t *Template) specials(ids []int32, spans [][2]int32, from, to int) []int32 {
	var out []int32
	eos := t.tok.EOS()
	for i, s := range spans {
		if int(s[0]) >= from && int(s[0]) < to && (t.tok.IsSpecial(ids[i]) || slices.Contains(eos, ids[i])) {
			out = append(out, ids[i])
		}
	}
	return out
}

// probeTools looks at turns that a tool's result follows, where the template
// takes these: they may end in a token of their own (<|call|>,
// <|observation|>), and the answer to a result may begin behind something else.
func (t *Template) probeTools(form *turnForm) {
	for _, role := range []string{"tool", "observation"} {
		result := Message{Role: role, Content: "result", Extra: map[string]any{"name": "look", "tool_call_id": "abcdefghi"}}
		for _, asks := range []Message{probeAnswer, probeCall(""), probeCall("answer")} {
			msgs := []Message{probeUser, asks, result}
			out, err := t.try(append(msgs, probeAnswer), false)
			if err != nil {
				continue
			}
			a, ok := out.locate(1)
			if _, answered := out.locate(2); !ok || !answered {
				continue
			}
			ids, spans := t.tok.Offsets(out.Text)
			found := t.specials(ids, spans, a.text.End, a.after)
			known := slices.ContainsFunc(found, func(id int32) bool { return slices.Contains(form.ends, id) })
			end, ok := t.endOf(found)
			// Only what is known to stop generation, or the role's token of a
			// template where that ends turns: calls hold other special tokens.
			if !known && ok && (slices.Contains(t.tok.EOS(), end) || form.byRole && asks.Extra == nil) {
				form.addEnd(end)
			}
			if prompt, err := t.try(msgs, true); err == nil && form.prefixes != nil && len(prompt.Sources) > 0 {
				// From the last mark on, be it the call's id that Mistral's write behind a result.
				if full := prompt.Text[prompt.Sources[len(prompt.Sources)-1].End:]; full != "" && !slices.Contains(form.prefixes, full) {
					form.prefixes = append(form.prefixes, full)
				}
			}
		}
	}
}

// probeShort finds the headers of turns that the template does not begin with
// the whole generation prompt: as many of its tokens as the turn shares.
func (t *Template) probeShort(form *turnForm) {
	if len(form.headers) == 0 {
		return
	}
	prompt := form.headers[0]
	reasoning := Message{Role: "assistant", Content: "answer", Reasoning: "reason"}
	inline := Message{Role: "assistant", Content: "<think>\nreason\n</think>\n\nanswer"}
	for _, answer := range []Message{probeAnswer, reasoning, inline, probeCall(""), probeCall("answer")} {
		user, err := t.try([]Message{probeUser}, false)
		out, err2 := t.try([]Message{probeUser, answer, probeUser, answer}, false)
		if err != nil || err2 != nil {
			continue
		}
		base, _ := tail(user, 0)
		for _, i := range []int{1, 3} {
			a, ok := out.locate(i)
			if !ok {
				continue
			}
			begin, isPrefix := strings.CutPrefix(out.Text[a.before:a.text.Start], base)
			if !isPrefix || strings.Contains(begin, prompt) {
				continue
			}
			if n := t.shared(prompt, begin); n > 0 && !slices.Contains(form.headers, prompt[:n]) {
				form.headers = append(form.headers, prompt[:n])
			}
		}
	}
	slices.SortFunc(form.headers, func(a, b string) int { return len(b) - len(a) })
}

// shared returns how many bytes of a the tokens make up that a and b begin with.
func (t *Template) shared(a, b string) int {
	x, spans := t.tok.Offsets(a)
	y := t.tok.EncodeText(b)
	n := 0
	for i := 0; i < len(x) && i < len(y) && x[i] == y[i]; i++ {
		n = int(spans[i][1])
	}
	return n
}

// ArgumentsAreText reports whether the template wants a call's arguments as text, where
// others want the object that it stands for: DeepSeek's joins them to other text.
func (t *Template) ArgumentsAreText() bool {
	with := t
	if t.tools.text != "" {
		if other, err := t.With(map[string]any{"tools": []any{}}); err == nil {
			with = other
		}
	}
	if !with.parsed.ReadsKey("arguments") {
		return false
	}
	asked := func(arguments any) (string, error) {
		call := map[string]any{"id": "abcdefghi", "type": "function", "function": map[string]any{"name": "look", "arguments": arguments}}
		out, err := with.try([]Message{probeUser, {Role: "assistant", Extra: map[string]any{"tool_calls": []any{call}}}}, false)
		return out.Text, err
	}
	object, err := asked(map[string]any{"place": "here"})
	if err == nil && !strings.Contains(object, "{'place': 'here'}") { // as Python writes one where it is printed
		return false
	}
	const text = `{"place": "here"}`
	written, err := asked(text)
	return err == nil && strings.Contains(written, text)
}
