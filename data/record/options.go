package record

import (
	"encoding/json"
	"fmt"
)

// Options say how the records of a source are read, and which of them are used.
type Options struct {
	Format  string // of the records, "" or auto: recognised from the first
	Columns Columns
	Roles   map[string]string // roles by their names in the records
	TrainOn string            // "" or all, last, marked
	Nulls   string            // of tables, see [read.Options]; "" or drop, keep
	Ignore  []string          // keys of records and messages that are as good as not there
	Filter  Filter
	Cut     Cut
	// NoReasoning says that reasoning is only read ([chat.Targets]).
	NoReasoning bool
}

// Key is what the tokenised form of records depends on of the options and of whether
// near copies are looked for: "" where all of it has its default.
func (o Options) Key(near bool) string {
	if o.Format == "auto" {
		o.Format = ""
	}
	if o.Filter.StatedLength == "any" {
		o.Filter.StatedLength = ""
	}
	if o.TrainOn == "all" {
		o.TrainOn = ""
	}
	if o.Nulls == "drop" {
		o.Nulls = ""
	}
	type all struct { // its JSON is part of the names of stores
		Format  string
		Columns Columns
		Roles   map[string]string
		Filter  Filter
		Near    bool
		TrainOn string   `json:",omitempty"`
		Nulls   string   `json:",omitempty"`
		Ignore  []string `json:",omitempty"`
		Cut     int      `json:",omitempty"`
		Given   bool     `json:",omitempty"` // reasoning
	}
	raw, err := json.Marshal(all{o.Format, o.Columns, o.Roles, o.Filter, near, o.TrainOn, o.Nulls, o.Ignore, o.Cut.Words, o.NoReasoning})
	if err != nil {
		panic(fmt.Sprintf("record: %v", err)) // texts and numbers
	}
	if none, _ := json.Marshal(all{}); string(raw) == string(none) {
		return ""
	}
	return string(raw)
}

// Columns names the columns of a source's records. Empty ones have the usual
// names.
type Columns struct {
	Messages    string `yaml:"messages"`               // list of messages; messages or conversations
	Role        string `yaml:"role"`                   // of a message: who speaks; role or from
	Content     string `yaml:"content"`                // of a message: what is said; content or value
	System      string `yaml:"system"`                 // the system prompt; system, system_prompt or system_message
	Tools       string `yaml:"tools"`                  // functions that the model may call; tools
	Instruction string `yaml:"instruction"`            // Alpaca's instruction; instruction
	Input       string `yaml:"input"`                  // what the instruction is about; input or context
	Output      string `yaml:"output"`                 // the answer to an instruction; output or response
	History     string `yaml:"history"`                // earlier [question, answer] pairs; history
	Prompt      string `yaml:"prompt"`                 // prompt, as text or messages; prompt, query or question
	Completion  string `yaml:"completion"`             // the answer to a prompt; completion, response or answer
	Chosen      string `yaml:"chosen"`                 // the better answer of a pair; chosen
	Rejected    string `yaml:"rejected"`               // the worse answer of a pair; rejected
	Text        string `yaml:"text" json:",omitempty"` // a text that is no conversation; text
	Label       string `yaml:"label"`                  // whether an answer is a good one; label or kto_tag
}

// Roles are what [Options].Roles may give: those of chat templates, and ShareGPT's
// call of a function, which becomes a message of the assistant.
var Roles = []string{"system", "developer", "user", "assistant", "tool", "observation", "function", "ipython", "function_call"}

// Cut says where answers end that are trained on. A cut answer ends like any other: its model
// learns to end there.
type Cut struct {
	// words that are left of an answer that is trained on, up to the end of a sentence; 0: all
	Words int `yaml:"words" min:"0"`
	// where an answer is cut
	At string `yaml:"at" enum:"sentence" default:"sentence"`
}

// Filter says which conversations of a source are used; the others are counted
// by reason. The zero value passes all. Of a pair both sides must pass.
type Filter struct {
	// required: only prompts that state how long the answer is to be
	StatedLength string `yaml:"stated_length" enum:"any|required" default:"any"`
	// of answers whose prompt states a length, the least S_l (LongBench-Write); 80 is usual
	MinLengthScore float64 `yaml:"min_length_score" min:"0" max:"100"`
	// languages of the answers, as lwtrain stats tells them apart; none named: all
	Languages []string `yaml:"languages" enum:"en|zh|mixed|other"`
	// words in the shortest answers of a conversation
	MinWords int `yaml:"min_words" min:"0"`
	// words in the longest answers of a conversation; 0: no bound
	MaxWords int `yaml:"max_words" min:"0"`
	// a regular expression (RE2) that must match in a message of the user
	Prompt string `yaml:"prompt"`
	// one that must match in none
	NotPrompt string `yaml:"not_prompt"`
	// a regular expression (RE2) that must match in an answer
	Answer string `yaml:"answer"`
	// one that must match in none
	NotAnswer string `yaml:"not_answer"`
}
