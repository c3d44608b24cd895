// Package configs turns a YAML file, the environment and the command line into
// one checked [Config].
//
// Call [Load] first. It knows every key of the packages' Options and refuses
// what it does not know; it finds all problems at once and says of each where
// it stands, what is there and what was wanted. A value comes, in falling
// order, from an argument (train.learning_rate=2e-5), the environment
// (LWTRAIN_TRAIN_LEARNING_RATE), the file, the recipe that the file starts from,
// or the default; [Config.Origin] tells which, and [Config.Resolved] writes it
// all down in a form that loads again to the same Config.
//
// Relative paths are left as they are: they are relative to the directory that
// the program runs in, not to the file. Whether the files they name exist is
// not looked at.
package configs

import (
	"lwtrain/agentwrite"
	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/eval"
	"lwtrain/experiment"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/pairs"
	"lwtrain/train"
)

// Config is a whole run.
type Config struct {
	// which model is trained
	Model model.Options `yaml:"model" identity:"sft dpo"`
	// what it is trained on
	Data data.Options `yaml:"data" identity:"sft dpo"`
	// how samples become packs, and how the loss is weighted
	Packing packing.Options `yaml:"packing" identity:"sft dpo"`
	// how it is trained; names and meanings as in Hugging Face's TrainingArguments
	Train train.Options `yaml:"train" identity:"sft dpo"`
	// low-rank adapters beside weights that stay as they are, instead of training all weights
	LoRA model.LoRA `yaml:"lora" identity:"sft dpo" later:"0.4"`
	// what computes a run: a run goes on by another engine, or on another number of processes
	Engine engine.Options `yaml:"engine" identity:"none"`
	// preference training (lwtrain dpo)
	DPO dpo.Options `yaml:"dpo" identity:"dpo"`
	// making preference pairs (lwtrain pairs)
	Pairs pairs.Options `yaml:"pairs" identity:"pairs"`
	// building training data of long texts (lwtrain agentwrite)
	AgentWrite agentwrite.Options `yaml:"agentwrite" identity:"none"`
	// measuring what a model writes (lwtrain eval)
	Eval eval.Options `yaml:"eval" identity:"eval"`
	// showing by what the length of answers is bounded (lwtrain experiment)
	Experiment experiment.Options `yaml:"experiment" identity:"experiment"`
	// where the results go
	Output Output `yaml:"output" identity:"none"`
	// answers to held-out prompts before and after training
	Sample Sample `yaml:"sample" identity:"none"`
	// seed of every random choice of the run
	Seed uint64 `yaml:"seed"`
	// processor threads; 0: all cores
	Threads int `yaml:"threads" identity:"none" min:"0" max:"4096"`

	origins map[string]Origin // of every leaf, and of the keys in lists
}

// Output says where a run is written.
type Output struct {
	// the run's folder: metrics, checkpoints, the resolved config; runs/<name of the config> where nothing is said
	Dir string `yaml:"dir"`
	// where a training run's metrics go besides metrics.jsonl, in the run's folder: tensorboard (event files),
	// csv (metrics.csv); may differ when a run goes on
	ReportTo []string `yaml:"report_to" enum:"tensorboard|csv"`
}

// Sample asks for answers to held-out prompts at the end of a run, from the
// model before and after it.
type Sample struct {
	// how many held-out prompts are answered; 0: none
	Prompts int `yaml:"prompts" min:"0" max:"1000"`
	// tokens in the longest answer
	MaxNewTokens int `yaml:"max_new_tokens" min:"1" max:"1048576"`
	// randomness of the answers; 0: always the most probable token
	Temperature float64 `yaml:"temperature" min:"0" max:"100"`
}

// defaults is what holds where nothing else is said.
func defaults() Config {
	return Config{
		Model:   model.Default(),
		Data:    data.Default(),
		Packing: packing.Default(),
		Train:   train.Default(),
		LoRA:    model.DefaultLoRA(),
		Engine:  engine.Default(),
		DPO:     dpo.Default(),
		Pairs:   pairs.Default(),
		Eval:    eval.Default(),

		AgentWrite: agentwrite.Default(),
		Experiment: experiment.Default(),
		Sample:     Sample{MaxNewTokens: 512},
		Seed:       42,
	}
}

// Origin returns where the value at path (train.learning_rate,
// data.sources[1].path) comes from.
func (c *Config) Origin(path string) Origin { return c.origins[path] }
