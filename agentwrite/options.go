// Package agentwrite builds training data for long output as LongWriter's authors did
// (arXiv:2408.07055, section 3): a model plans a text, a paragraph a line, and writes it
// paragraph by paragraph, each with what is written so far before it.
//
// A [Job] goes through the stages select, plan, write, filter and export. All that is
// asked of the model is kept by its content; every stage is a function of that, of the
// instructions and of the options, so that the same job goes on after it was stopped, and
// more instructions or another filter pay for nothing again. Each instruction ends in one
// state, with a reason where it is left out.
package agentwrite

import (
	"maps"

	"lwtrain/agentwrite/sift"
	"lwtrain/internal/llm"
)

// Options say what is written, and by whom. Each field is a key of the YAML: package
// configs shows its comment to users and checks values by its tags.
type Options struct {
	// instructions: a file in any format that training reads, such as {"prompt": ...} on each line; empty: data.sources
	Prompts string `yaml:"prompts"`
	// column of the records with the words that are asked for; where it is missing, what the prompt states
	LengthColumn string `yaml:"length_column"`
	// an OpenAI-compatible server that writes instead of the model of model.path
	Writer Writer `yaml:"writer"`
	// serial: each paragraph with all before it, as LongWriter; parallel: each by itself; extend: a short text is made longer,
	// half by half, as Self-Lengthen
	Variant string `yaml:"variant" enum:"serial|parallel|extend"`
	// the answers that are trained on begin with the plan
	PlanInOutput bool `yaml:"plan_in_output"`
	// in the longest plan
	MaxParagraphs int `yaml:"max_paragraphs" min:"2" max:"1000"`
	// times that a plan or a paragraph is asked for until it can be used
	Tries int `yaml:"tries" min:"1" max:"20"`
	// of variant extend: times that a text is made longer
	Rounds int `yaml:"rounds" min:"1" max:"20"`
	// what may be spent on the writer, in the currency of its price; 0: any
	Budget float64 `yaml:"budget" min:"0"`
	// randomness of plans and texts; 0: always the most probable token
	Temperature float64 `yaml:"temperature" min:"0" max:"100"`
	// sample from the most probable tokens that together reach this probability
	TopP float64 `yaml:"top_p" above:"0" max:"1"`
	// tokens in the longest plan or paragraph; what is cut off there is asked for again
	MaxNewTokens int `yaml:"max_new_tokens" min:"1" max:"1048576"`
	// how many replies the model writes together
	Batch int `yaml:"batch" min:"1" max:"1024"`
	// of the model that writes; auto: bf16 where its files hold nothing else
	Precision string `yaml:"precision" enum:"auto|bf16|float32"`
	// which instructions are taken
	Select sift.Select `yaml:"select"`
	// which answers are taken
	Filter sift.Filter `yaml:"filter"`
}

// Writer is a server with what it costs.
type Writer struct {
	llm.Server `yaml:",inline"`
	// what tokens cost, for a million of them
	Price Price `yaml:"price"`
}

// Price is what a million tokens cost.
type Price struct {
	// of the prompts
	Input float64 `yaml:"input" min:"0"`
	// of the replies
	Output float64 `yaml:"output" min:"0"`
}

// Default is what holds where nothing else is said: what the authors used, where they said it.
func Default() Options {
	w := Writer{Server: llm.DefaultServer()}
	w.Concurrency = 8
	return Options{
		LengthColumn: "length", Writer: w, Variant: "serial", MaxParagraphs: 50, Tries: 3, Rounds: 3, Temperature: 1, TopP: 1,
		MaxNewTokens: 4096, Batch: 16, Precision: "auto", Select: sift.DefaultSelect(), Filter: sift.DefaultFilter(),
	}
}

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	maps.Copy(bad, o.Writer.Validate("writer"))
	for key, what := range o.Select.Validate() {
		bad["select."+key] = what
	}
	if o.Budget > 0 && o.Writer.Price == (Price{}) {
		bad["budget"] = "there, and writer.price says that nothing costs anything, want its input and output"
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}
