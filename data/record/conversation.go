// Package record turns a line of a file into conversations, messages with the answers that
// are trained on, and these into ids and targets: it knows the formats of records, how a
// template renders them, which ones a filter wants, what becomes of every key (keys.go), and
// what statistics need of their text.
//
// Call [Options.Layout], [NewRenderer] and [Renderer.Tokenise] for each line.
package record

import (
	"encoding/json"

	"lwtrain/chat"
)

// Record is what a line says: a conversation, or two that begin alike and end in a
// better and a worse answer.
type Record struct {
	Conversation               // of a pair, the one with the chosen answer
	Rejected     *Conversation // of a pair
	Unread       []string      // keys that nothing reads, see [Drops.Unread]
}

// Conversation is a list of messages, and what else the template is told.
type Conversation struct {
	Kind     Kind
	Raw      bool // it is one text and no conversation: Messages hold it as one of the assistant
	Messages []chat.Message
	First    int // the answers before this message belong to the prompt
	Vars     []Var
}

// Var is a variable of the template: tools, documents, or one of chat_template_kwargs.
type Var struct {
	Name  string
	Value json.RawMessage
}

// Kind says what a conversation is.
type Kind int32

const (
	Plain    Kind = iota // to be learnt
	Chosen               // of a pair; the rejected one is kept right behind it
	Rejected             //
	Liked                // labelled true, without a counterpart of its own
	Disliked             // labelled false
)

// Side is what a conversation is called beside its counterpart: "chosen" or "rejected" of
// a pair, "good" or "bad" where it is labelled, else "".
func (k Kind) Side() string {
	return [...]string{Plain: "", Chosen: "chosen", Rejected: "rejected", Liked: "good", Disliked: "bad"}[k]
}
