// Package llm asks language models: a [Client] asks an OpenAI-compatible [Server],
// a [Decoder] a model of our own. Both are an [Answerer], so that who has prompts to
// answer need not know which of them answers.
package llm

import (
	"context"
	"errors"
	"strings"

	"lwtrain/chat"
	"lwtrain/model"
)

// Answerer answers prompts.
type Answerer interface {
	// Converse calls done with the reply to each request as it comes, in any order and
	// one at a time; i is the request's index. What done returns is asked next, before
	// the rest of the requests, and has the next indices, in the order in which it was
	// returned. It ends with the first error, also of done, and with the cause of a ctx
	// that has ended. Replies under way are then lost, but with [ErrEnough] of done, after
	// which nothing more is asked and they are told; and those of a server that have begun
	// to come when ctx is cancelled, for a while.
	Converse(ctx context.Context, requests []Request, done func(i int, r Reply) (more []Request, err error)) error
}

// ErrEnough is the error of who wants no more than what is asked already.
var ErrEnough = errors.New("enough has been asked")

// Answer has from answer requests that do not depend on each other, and calls done with
// the reply to each, as [Answerer] does.
func Answer(ctx context.Context, from Answerer, requests []Request, done func(i int, r Reply) error) error {
	return from.Converse(ctx, requests, func(i int, r Reply) ([]Request, error) { return nil, done(i, r) })
}

// Request is a prompt to answer. The same request has the same reply of a [Decoder];
// for a server its seed is a wish.
type Request struct {
	Messages  []chat.Message // the last one is not the assistant's
	Sampling  model.Sampling
	MaxTokens int // of the reply
	// StopLoops ends a reply of a [Decoder] that is caught in a loop, with StopLoop. What it would have
	// gone on with is known.
	StopLoops   bool
	TopLogprobs int    // at each of its tokens, so many of the most probable ones are asked for; 0: none
	Origin      string // file:line of the prompt, for errors; may be empty
}

// Reply is what a request came to.
type Reply struct {
	Text      string        `json:"text"`
	Reasoning string        `json:"reasoning,omitempty"` // what the model thought before it, where it is told apart
	Tokens    int           `json:"tokens"`              // as the model counts them, reasoning included; 0: a server did not say
	Prompt    int           `json:"prompt,omitempty"`    // tokens of the prompt; 0: a server did not say
	Stop      string        `json:"stop"`                // StopEOS, StopLength or StopLoop; "": it has failed
	Logprobs  [][]Candidate `json:"logprobs,omitempty"`  // by token, the most probable first; nil: not asked for, or a server has none
	Failed    string        `json:"-"`                   // why this is no answer, the kind first, whatever came of it; "": it is one
}

// FailureKind is the kind of a failure, by which they are counted: the rest of [Reply].Failed is of one reply alone.
func FailureKind(failed string) string {
	kind, _, _ := strings.Cut(failed, ":")
	return kind
}

// Candidate is a token that might have come, with the logarithm of its probability.
type Candidate struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
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
