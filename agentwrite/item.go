package agentwrite

import (
	"cmp"
	"slices"

	"lwtrain/agentwrite/plan"
	"lwtrain/agentwrite/sift"
	"lwtrain/chat"
	"lwtrain/internal/llm"
)

// Stage is a part of the work on an item.
type Stage string

// The stages, in their order.
const (
	Select Stage = "select"
	Plan   Stage = "plan"
	Write  Stage = "write"
	Filter Stage = "filter"
	Export Stage = "export"
)

// Stages are all of them.
var Stages = []Stage{Select, Plan, Write, Filter, Export}

// State says where an item is.
type State string

// An item is in one of these states.
const (
	Waiting State = "waiting" // for its stage, which has not been done
	Dropped State = "dropped" // at its stage, for its reason
	Taken   State = "taken"   // into the training data
)

// Item is a line of items.jsonl: an instruction, and what became of it.
type Item struct {
	ID       string    `json:"id"`
	Prompt   string    `json:"prompt"`
	Asked    int       `json:"asked"` // words; 0: no length is stated
	State    State     `json:"state"`
	Stage    Stage     `json:"stage"`
	Reason   string    `json:"reason,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Plan     plan.Plan `json:"plan,omitempty"`
	// Paragraphs are what was written, one after the other; with variant extend the text as it was after each round.
	Paragraphs []string `json:"paragraphs,omitempty"`
	Text       string   `json:"text,omitempty"`     // of the answer, once it is whole
	Words      int      `json:"words,omitempty"`    // of it
	Score      float64  `json:"s_l"`                // of it, where a length is asked for
	Stripped   []string `json:"stripped,omitempty"` // what the filter took away
	Calls      int      `json:"calls"`              // replies that it took
	Tokens     int      `json:"tokens"`             // of them

	messages    []chat.Message
	instruction sift.Instruction
	origin      string
	left        int    // paragraphs that are not there, of variant parallel
	halved      int    // how often max_new_tokens is, for a server whose context prompt and reply must fit into
	half        string // of variant extend: the first half, made longer, while the second is asked for
}

// behind is a request behind what the conversation holds before its instruction: a system prompt, earlier turns.
func (it *Item) behind(text string) []chat.Message {
	before := it.messages[:len(it.messages)-1]
	return append(slices.Clip(before), chat.Message{Role: "user", Content: text})
}

// least is the lower end of the range that is asked for, or the one length.
func (it *Item) least() int { return cmp.Or(it.instruction.Least, it.Asked) }

// drop ends an item at a stage.
func (it *Item) drop(at Stage, reason, evidence string) {
	it.State, it.Stage, it.Reason, it.Evidence = Dropped, at, reason, evidence
}

// take applies a verdict at a stage.
func (it *Item) take(at Stage, v sift.Verdict) {
	if v.Reason != "" {
		it.drop(at, v.Reason, v.Evidence)
	}
}

// Dropping is a line of dropped.jsonl.
type Dropping struct {
	ID       string `json:"id"`
	Stage    Stage  `json:"stage"`
	Reason   string `json:"reason"`
	Evidence string `json:"evidence"`
}

// count counts a reply, if it is one: what failed is asked for again, or was, and is found no more by a job that goes on.
func (it *Item) count(r llm.Reply) {
	if r.Failed == "" {
		it.Calls++
		it.Tokens += r.Tokens
	}
}
