package chat

import (
	"slices"

	"lwtrain/internal/jinja"
	"lwtrain/tokenizer"
)

// Message is one message of a conversation.
type Message struct {
	Role, Content string
	// Reasoning is what the assistant thinks before it answers, "": nothing is known of it.
	// Templates see it under each of the names that they have for it, as transformers gives it.
	Reasoning    string
	ReasoningKey string // what the record calls it
	// Extra holds every other key of the record's message as decoded JSON
	// (tool_calls, name and so on).
	Extra map[string]any
	// Mark is what the record says of training on an assistant's message.
	Mark Mark
	// Given is how many bytes of the content of a last answer belong to the prompt, which the
	// target goes on with; 0: the whole answer is one.
	Given int
}

// Mark is what a message says of being a target itself.
type Mark int8

// The marks. A message that is NotTrained is never a target.
const (
	Unmarked Mark = iota
	Trained
	NotTrained
)

// Span is a half-open range of token positions.
type Span struct{ Start, End int32 }

// EarlierReasoning stands for the reasoning of answers that are targets, where the template
// leaves it out because another answer follows.
const EarlierReasoning = "reasoning of earlier answers"

// Rendered is a conversation as training sees it: its text, its ids, and the
// ranges of ids that are targets.
type Rendered struct {
	Text   string
	IDs    []int32
	Target []Span
	// Injected holds the positions of special tokens that come from the text of
	// the messages themselves, not from the template.
	Injected []int32
	// Unread is what of the messages the template leaves out without a word, sorted: keys in
	// Extra that it does not speak of, and [EarlierReasoning].
	Unread []string
	// Bytes are the places of the ids in Text; empty at its end for an id that
	// the template does not write.
	Bytes [][2]int32

	out rendering
	tok *tokenizer.Tokenizer
}

// Mask is 1 for each id that is a target, else 0.
func (r *Rendered) Mask() []int {
	mask := make([]int, len(r.IDs))
	for _, s := range r.Target {
		for i := s.Start; i < s.End; i++ {
			mask[i] = 1
		}
	}
	return mask
}

// Token is the text of token i: its place in Text, or where it has none what its
// id stands for. Of a character of several tokens it is some of the bytes.
func (r *Rendered) Token(i int) string {
	if at := r.Bytes[i]; at[0] < at[1] {
		return r.Text[at[0]:at[1]]
	}
	return r.tok.Text(r.IDs[i])
}

// Special reports whether token i is a special token.
func (r *Rendered) Special(i int) bool { return r.tok.IsSpecial(r.IDs[i]) }

// Message is the message whose own text or names token i holds, the first one if
// it holds several; -1: it holds the template's alone.
func (r *Rendered) Message(i int) int {
	at := r.Bytes[i]
	n, _ := slices.BinarySearchFunc(r.out.Sources, int(at[0]), func(s jinja.SourceSpan, pos int) int {
		if s.End <= pos {
			return -1
		}
		return 1
	})
	if n < len(r.out.Sources) && r.out.Sources[n].Start < int(at[1]) {
		return r.out.message(r.out.Sources[n])
	}
	return -1
}

// Targets says which messages of the assistant are targets.
type Targets struct {
	First int    // those before this message belong to the prompt
	Turns string // of the others: see [Targets.Of]
	// NoReasoning takes out of them what the assistant thinks before it answers, from where its turn
	// begins to behind the tag that closes it.
	NoReasoning bool
}

// Of tells for each message whether it is a target. Turns "" or "all" takes every
// message of the assistant, "last" its last one, and "marked" those whose Mark is
// [Trained]. What is [NotTrained] is none of them.
func (t Targets) Of(msgs []Message) []bool {
	out := make([]bool, len(msgs))
	last := true
	for i := len(msgs) - 1; i >= t.First; i-- {
		if msgs[i].Role != "assistant" {
			continue
		}
		switch mark := msgs[i].Mark; t.Turns {
		case "last":
			out[i] = last && mark != NotTrained
		case "marked":
			out[i] = mark == Trained
		default:
			out[i] = mark != NotTrained
		}
		last = false
	}
	return out
}
