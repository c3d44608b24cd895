package record

import (
	"encoding/json"
	"fmt"
)

// RecordOptions say how the records of a source are read, and which of them are used.
type Options struct {
	Format  string // of the records, "" or auto: recognised from the first
	Columns Columns
	Roles   map[string]string // roles by their names in the records
	TrainOn string            // "" or all, last, marked
	Filter  Filter
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
	type all struct { // its JSON is part of the names of stores
		Format  string
		Columns Columns
		Roles   map[string]string
		Filter  Filter
		Near    bool
		TrainOn string `json:",omitempty"`
	}
	raw, err := json.Marshal(all{o.Format, o.Columns, o.Roles, o.Filter, near, o.TrainOn})
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
	Messages    string `yaml:"messages" doc:"list of messages; messages or conversations"`
	Role        string `yaml:"role" doc:"of a message: who speaks; role or from"`
	Content     string `yaml:"content" doc:"of a message: what is said; content or value"`
	System      string `yaml:"system" doc:"the system prompt; system"`
	Tools       string `yaml:"tools" doc:"functions that the model may call; tools"`
	Instruction string `yaml:"instruction" doc:"Alpaca's instruction; instruction"`
	Input       string `yaml:"input" doc:"what the instruction is about; input"`
	Output      string `yaml:"output" doc:"the answer to an instruction; output"`
	History     string `yaml:"history" doc:"earlier [question, answer] pairs; history"`
	Prompt      string `yaml:"prompt" doc:"prompt, as text or messages; prompt, query or question"`
	Completion  string `yaml:"completion" doc:"the answer to a prompt; completion, response or answer"`
	Chosen      string `yaml:"chosen" doc:"the better answer of a pair; chosen"`
	Rejected    string `yaml:"rejected" doc:"the worse answer of a pair; rejected"`
	Label       string `yaml:"label" doc:"whether an answer is a good one; label or kto_tag"`
}

// Roles are what [Source].Roles may give: those of chat templates, and ShareGPT's
// call of a function, which becomes a message of the assistant.
var Roles = []string{"system", "developer", "user", "assistant", "tool", "observation", "function", "ipython", "function_call"}

// Filter says which conversations of a source are used; the others are counted
// by reason. The zero value passes all. Of a pair both sides must pass.
type Filter struct {
	StatedLength   string   `yaml:"stated_length" enum:"any|required" default:"any" doc:"required: only prompts that state how long the answer is to be"`
	MinLengthScore float64  `yaml:"min_length_score" min:"0" max:"100" doc:"of answers whose prompt states a length, the least S_l (LongBench-Write); 80 is usual"`
	Languages      []string `yaml:"languages" enum:"en|zh|mixed|other" doc:"languages of the answers, as lwtrain stats tells them apart; none named: all"`
	MinWords       int      `yaml:"min_words" min:"0" doc:"words in the shortest answers of a conversation"`
	MaxWords       int      `yaml:"max_words" min:"0" doc:"words in the longest answers of a conversation; 0: no bound"`
	Prompt         string   `yaml:"prompt" doc:"a regular expression (RE2) that must match in a message of the user"`
	NotPrompt      string   `yaml:"not_prompt" doc:"one that must match in none"`
	Answer         string   `yaml:"answer" doc:"a regular expression (RE2) that must match in an answer"`
	NotAnswer      string   `yaml:"not_answer" doc:"one that must match in none"`
}
