// Package pairs makes preference pairs of prompts, as LongWriter's authors did for
// its second stage (arXiv:2408.07055, section 4.2): several answers to each prompt,
// each with a rating, of which the best is chosen and another one rejected.
//
// Call [Make] with a [Job]. Answers come from a model or from an OpenAI-compatible
// server; what has been paid for is on the disk before anything else happens, so a
// run that was cut off goes on without paying twice. docs/pairs.md has the parts
// of a rating and the files.
package pairs

import (
	"maps"

	"lwtrain/internal/llm"
)

// Options say how pairs are made. Each field is a key of the YAML: package
// configs shows its comment to users (once `go generate ./configs` has read it)
// and checks values by its tags.
type Options struct {
	// answers to each prompt
	Samples int `yaml:"samples" min:"2" max:"256"`
	// randomness of the answers; with 0 all of them are the same
	Temperature float64 `yaml:"temperature" min:"0" max:"100"`
	// sample from the most probable tokens that together reach this probability
	TopP float64 `yaml:"top_p" above:"0" max:"1"`
	// tokens in the longest answer; one that is cut off there is never the chosen one
	MaxNewTokens int `yaml:"max_new_tokens" min:"1" max:"1048576"`
	// how many answers the model writes together
	Batch int `yaml:"batch" identity:"none" min:"1" max:"1024"`
	// of the model that answers; auto: bf16 where its files hold nothing else
	Precision string `yaml:"precision" enum:"auto|bf16|float32"`
	// an OpenAI-compatible server that answers instead of the model
	Server llm.Server `yaml:"server"`

	// column of the records with the words that are asked for; where it is missing, what the prompt states
	LengthColumn string `yaml:"length_column"`
	// weight of the length score: LongWriter's S_l (0 to 100), or LongWriter-Zero's where a record has min_words or
	// max_words; 0: it does not count
	LengthWeight float64 `yaml:"length_weight" min:"0"`
	// words from which on an answer to such a record has a length score of 0; 0: twice its max_words
	RangeLimit int `yaml:"range_limit" min:"0" later:"0.4"`
	// weight of the part of an answer that says nothing again (0 to 100)
	RepetitionWeight float64 `yaml:"repetition_weight" min:"0" later:"0.4"`
	// weight of an answer's end: 100 where the model ended it, 0 where it was cut off
	EndWeight float64 `yaml:"end_weight" min:"0" later:"0.4"`
	// an OpenAI-compatible server that gives LongWriter's quality score S_q (0 to 100)
	Judge llm.Server `yaml:"judge"`
	// weight of the judge's score
	JudgeWeight float64 `yaml:"judge_weight" above:"0"`
	// a command and its arguments that reads {"messages", "answer",
	// "words", "required"} as JSON on its standard input and prints a score
	Command []string `yaml:"command"`
	// weight of the command's score
	CommandWeight float64 `yaml:"command_weight" above:"0"`
	// seconds that the command may take for an answer
	CommandTimeout int `yaml:"command_timeout" identity:"none" min:"1"`

	// which answer is the rejected one: any of the rest, as in LongWriter, or the worst
	Rejected string `yaml:"rejected" enum:"random|worst"`
	// a pair is kept if its scores differ by more; a tie is never a pair
	MinMargin float64 `yaml:"min_margin" min:"0"`
}

// Default is what holds where nothing else is said.
func Default() Options {
	s := llm.DefaultServer()
	return Options{
		Samples: 4, Temperature: 0.8, TopP: 0.95, MaxNewTokens: 4096, Batch: 16, Precision: "auto", Server: s,
		LengthColumn: "length", LengthWeight: 1, Judge: s, JudgeWeight: 1, CommandWeight: 1, CommandTimeout: 600, Rejected: "random",
	}
}

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	maps.Copy(bad, o.Server.Validate("server"))
	maps.Copy(bad, o.Judge.Validate("judge"))
	if o.LengthWeight+o.RepetitionWeight+o.EndWeight == 0 && o.Judge.URL == "" && len(o.Command) == 0 {
		bad["length_weight"] = "0, as the other weights, and there is no judge and no command, want at least one score"
	}
	if o.Temperature == 0 {
		bad["temperature"] = "0, with which all answers to a prompt are the same, want more, such as 0.8"
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}
