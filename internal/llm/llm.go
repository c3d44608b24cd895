// Package llm asks language models: a [Client] asks an OpenAI-compatible [Server],
// a [Decoder] a model of our own. Both are an [Answerer], so that who has prompts to
// answer need not know which of them answers.
package llm

import (
	"context"

	"lwtrain/chat"
	"lwtrain/model"
)

// Answerer answers prompts.
type Answerer interface {
	// Answer calls done with the reply to each request as it comes, in any order and
	// one at a time; i is the request's index. It ends with the first error, also of
	// done, and with the cause of a ctx that has ended. Replies under way are then lost.
	Answer(ctx context.Context, requests []Request, done func(i int, r Reply) error) error
}

// Request is a prompt to answer. The same request has the same reply of a [Decoder];
// for a server its seed is a wish.
type Request struct {
	Messages  []chat.Message // the last one is not the assistant's
	Sampling  model.Sampling
	MaxTokens int // of the reply
	// StopLoops ends a reply of a [Decoder] that is caught in a loop, with StopLoop. What it would have
	// gone on with is known.
	StopLoops bool
	Origin    string // file:line of the prompt, for errors; may be empty
}

// Reply is what a request came to.
type Reply struct {
	Text   string
	Tokens int    // as the model counts them; 0: a server did not say
	Stop   string // StopEOS or StopLength
	Failed string // why this is no answer; "": it is one
}

// Why a reply ends.
const (
	StopEOS    = model.StopEOS    // the model ended it
	StopLength = model.StopLength // it was cut off at Request.MaxTokens
	StopLoop   = model.StopStuck  // it was caught in a loop (Request.StopLoops)
)

// Message is a message as servers and files of JSON have it.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Messages is a conversation as servers and files of JSON have it.
func Messages(conversation []chat.Message) []Message {
	out := make([]Message, len(conversation))
	for i, m := range conversation {
		out[i] = Message{m.Role, m.Content}
	}
	return out
}
