// Package pairs makes preference pairs of prompts, as LongWriter's authors did for
// its second stage (arXiv:2408.07055, section 4.2): several answers to each prompt,
// each with a score, of which the best is chosen and another one rejected.
//
// Call [Make] with a [Job]. Answers come from a model or from an OpenAI-compatible
// server; what has been paid for is on the disk before anything else happens, so a
// run that was cut off goes on without paying twice. docs/pairs.md has the scores
// and the files.
package pairs

import (
	"fmt"
	"net/url"
)

// Options say how pairs are made. The tags doc, enum, min, max, above and below
// describe each key of the YAML: package configs checks values by them and makes
// the JSON Schema from them.
type Options struct {
	Samples      int     `yaml:"samples" min:"2" max:"256" doc:"answers to each prompt"`
	Temperature  float64 `yaml:"temperature" min:"0" max:"100" doc:"randomness of the answers; with 0 all of them are the same"`
	TopP         float64 `yaml:"top_p" above:"0" max:"1" doc:"sample from the most probable tokens that together reach this probability"`
	MaxNewTokens int     `yaml:"max_new_tokens" min:"1" max:"1048576" doc:"tokens in the longest answer; one that is cut off there is never the chosen one"`
	Batch        int     `yaml:"batch" identity:"none" min:"1" max:"1024" doc:"how many answers the model writes together"`
	Precision    string  `yaml:"precision" enum:"auto|bf16|float32" doc:"of the model that answers; auto: bf16 where its files hold nothing else"`
	Server       Server  `yaml:"server" doc:"an OpenAI-compatible server that answers instead of the model"`

	LengthColumn   string   `yaml:"length_column" doc:"column of the records with the words that are asked for; where it is missing, what the prompt states"`
	LengthWeight   float64  `yaml:"length_weight" min:"0" doc:"weight of LongWriter's length score S_l (0 to 100); 0: it does not count"`
	Judge          Server   `yaml:"judge" doc:"an OpenAI-compatible server that gives LongWriter's quality score S_q (0 to 100)"`
	JudgeWeight    float64  `yaml:"judge_weight" above:"0" doc:"weight of the judge's score"`
	Command        []string `yaml:"command" doc:"a command and its arguments that reads {\"messages\", \"answer\", \"words\", \"required\"} as JSON on its standard input and prints a score"`
	CommandWeight  float64  `yaml:"command_weight" above:"0" doc:"weight of the command's score"`
	CommandTimeout int      `yaml:"command_timeout" identity:"none" min:"1" doc:"seconds that the command may take for an answer"`

	Rejected  string  `yaml:"rejected" enum:"random|worst" doc:"which answer is the rejected one: any of the rest, as in LongWriter, or the worst"`
	MinMargin float64 `yaml:"min_margin" min:"0" doc:"a pair is kept if its scores differ by more; a tie is never a pair"`
}

// Server is where a model is asked over HTTP (chat/completions).
type Server struct {
	URL         string `yaml:"url" doc:"address up to the version, such as http://localhost:8000/v1; empty: none"`
	Model       string `yaml:"model" doc:"name of the model there"`
	KeyEnv      string `yaml:"key_env" identity:"none" doc:"environment variable with the key; the key itself is written nowhere"`
	Timeout     int    `yaml:"timeout" identity:"none" min:"1" doc:"seconds that a request may take"`
	Retries     int    `yaml:"retries" identity:"none" min:"0" max:"100" doc:"how often a request is made again that failed for a while (429, 5xx, no connection)"`
	Concurrency int    `yaml:"concurrency" identity:"none" min:"1" max:"1024" doc:"requests under way at once"`
}

// Default is what holds where nothing else is said.
func Default() Options {
	s := Server{KeyEnv: "OPENAI_API_KEY", Timeout: 600, Retries: 6, Concurrency: 4}
	return Options{
		Samples: 4, Temperature: 0.8, TopP: 0.95, MaxNewTokens: 4096, Batch: 16, Precision: "auto", Server: s,
		LengthColumn: "length", LengthWeight: 1, Judge: s, JudgeWeight: 1, CommandWeight: 1, CommandTimeout: 600, Rejected: "random",
	}
}

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	for name, s := range map[string]Server{"server": o.Server, "judge": o.Judge} {
		u, err := url.Parse(s.URL)
		switch {
		case s.URL == "" && s.Model != "":
			bad[name+".url"] = "missing, want the address of the server that has " + s.Model
		case s.URL == "":
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			bad[name+".url"] = fmt.Sprintf("%q, want an address such as http://localhost:8000/v1", s.URL)
		case u.User != nil:
			bad[name+".url"] = "an address with a password in it, want the key in the environment variable that " + name + ".key_env names"
		case s.Model == "":
			bad[name+".model"] = "missing, want the name of a model that the server has"
		}
	}
	if o.LengthWeight == 0 && o.Judge.URL == "" && len(o.Command) == 0 {
		bad["length_weight"] = "0, and there is no judge and no command, want at least one score"
	}
	if o.Temperature == 0 {
		bad["temperature"] = "0, with which all answers to a prompt are the same, want more, such as 0.8"
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}
