package eval

import (
	"maps"
	"strings"

	"lwtrain/eval/tasks"
	"lwtrain/internal/llm"
	"lwtrain/judge"
)

// Options say what is evaluated and how. Each field is a key of the YAML: package
// configs shows its comment to users and checks values by its tags.
type Options struct {
	// what is asked: names that `lwtrain eval ls` lists, or .jsonl files of one's own
	Tasks []string `yaml:"tasks" identity:"none"`
	// what a training run writes on the way
	During During `yaml:"during" identity:"none"`
	// answers to each prompt
	Samples int `yaml:"samples" identity:"none" min:"1" max:"1024"`
	// randomness of the answers; 0: always the most probable token
	Temperature float64 `yaml:"temperature" min:"0" max:"100"`
	// sample from the most probable tokens that together reach this probability; below 1 it may cut off the token that ends an answer
	TopP float64 `yaml:"top_p" above:"0" max:"1"`
	// tokens in the longest answer; one that is cut off there has not ended
	MaxNewTokens int `yaml:"max_new_tokens" min:"1" max:"1048576"`
	// how many answers the model writes together
	Batch int `yaml:"batch" identity:"none" min:"1" max:"1024"`
	// of the model that answers; auto: bf16 where its files hold nothing else
	Precision string `yaml:"precision" enum:"auto|bf16|float32"`
	// scores of tasks: paper, as their papers have them; released, as their code does where that is another score (lifebench)
	Compat string `yaml:"compat" identity:"none" enum:"paper|released"`
	// conversations whose answers the model reads, none of them its own: its loss, and how probably it would not have
	// ended them, by words; a file or builtin:...; empty: none
	Read string `yaml:"read" identity:"none"`
	// an OpenAI-compatible server that answers instead of the model of model.path
	Server llm.Server `yaml:"server"`
	// an OpenAI-compatible server that rates the answers
	Judge Judge `yaml:"judge" identity:"none"`
}

// During is what the model is asked at every evaluation of a training run (train.eval_steps).
type During struct {
	// prompts, a .jsonl file as of eval.tasks, or a task; empty: none
	Prompts string `yaml:"prompts"`
	// answers to each prompt
	Samples int `yaml:"samples" min:"1" max:"1024"`
	// tokens in the longest answer
	MaxNewTokens int `yaml:"max_new_tokens" min:"1" max:"1048576"`
}

// Judge says who rates answers, and how.
type Judge struct {
	llm.Server `yaml:",inline"`
	// strict: each dimension by itself, by the probabilities of the marks; paper: all six at once, as LongWriter;
	// pair: against other answers; checklist: by the criteria that prompts of writingbench-length and hellobench-length bring
	Mode string `yaml:"mode" enum:"strict|paper|pair|checklist"`
	// of mode pair: the output.dir of an evaluation of the same tasks, whose answers are the others
	Against string `yaml:"against"`
	// words in the longest text that the judge can be shown whole; longer ones are rated in parts, which is said; 0: any
	Words int `yaml:"words" min:"0"`
}

// Rater is the judge as package judge takes it.
func (j Judge) Rater() judge.Judge {
	return judge.Judge{Name: j.Model, Mode: judge.Mode(j.Mode), Words: j.Words}
}

// Default is what holds where nothing else is said.
func Default() Options {
	s := llm.DefaultServer()
	s.Concurrency = 8
	return Options{
		Tasks: []string{"longbench-write", "longwrite-ruler"}, Samples: 1, Temperature: 0.5, TopP: 1, MaxNewTokens: 32768,
		Batch: 16, Precision: "auto", Compat: "paper", Server: s, Judge: Judge{Server: s, Mode: "strict"},
		During: During{Samples: 1, MaxNewTokens: 1024},
	}
}

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	maps.Copy(bad, o.Server.Validate("server"))
	maps.Copy(bad, o.Judge.Validate("judge"))
	switch pair := o.Judge.Mode == "pair"; {
	case pair && o.Judge.Against == "":
		bad["judge.against"] = "missing, want the output.dir of the evaluation that a judge of mode pair compares with"
	case !pair && o.Judge.Against != "":
		bad["judge.against"] = "there, and eval.judge.mode is " + o.Judge.Mode + ", want mode pair"
	}
	if len(o.Tasks) == 0 {
		bad["tasks"] = "none, want at least one of " + strings.Join(tasks.Names(), ", ")
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}
