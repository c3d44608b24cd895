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
	"fmt"
	"reflect"
	"slices"
	"strings"

	"lwtrain/data"
	"lwtrain/dpo"
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
	// preference training (lwtrain dpo)
	DPO dpo.Options `yaml:"dpo" identity:"dpo"`
	// making preference pairs (lwtrain pairs)
	Pairs pairs.Options `yaml:"pairs" identity:"pairs"`
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
		Model: model.Default(), Data: data.Default(), Packing: packing.Default(), Train: train.Default(), DPO: dpo.Default(), Pairs: pairs.Default(),
		Sample: Sample{MaxNewTokens: 512}, Seed: 42,
	}
}

// OriginKind says which layer a value comes from. Later kinds win over earlier.
type OriginKind int

// The layers, from the weakest to the strongest.
const (
	Default OriginKind = iota
	Recipe
	File
	Env
	Argument
)

// Origin is where a value comes from.
type Origin struct {
	Kind         OriginKind
	Name         string // the recipe, the file as it was named, the variable, or the argument's text
	Line, Column int    // in a recipe or a file
}

// String is short: "default", "run.yaml:12", "recipe glm4:12",
// "environment LWTRAIN_SEED", "argument".
func (o Origin) String() string {
	switch o.Kind {
	case Recipe:
		return fmt.Sprintf("recipe %s:%d", printable(o.Name), o.Line)
	case File:
		return fmt.Sprintf("%s:%d", printable(o.Name), o.Line)
	case Env:
		return "environment " + o.Name
	case Argument:
		return "argument"
	}
	return "default"
}

// place is the start of a problem's line.
func (o Origin) place() string {
	switch o.Kind {
	case Recipe, File:
		return fmt.Sprintf("%s:%d", o, o.Column)
	case Argument:
		return "argument " + printable(o.Name)
	}
	return o.String()
}

// Origin returns where the value at path (train.learning_rate,
// data.sources[1].path) comes from.
func (c *Config) Origin(path string) Origin { return c.origins[path] }

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Origin Origin
	Path   string // the key, "" when it is about the whole file
	Text   string // what is there, what was wanted

	meant string // the key that an unknown one stands for
}

// String is `file:line:column: key: what is there, what was wanted`.
func (p Problem) String() string {
	if p.Path == "" {
		return p.Origin.place() + ": " + p.Text
	}
	return p.Origin.place() + ": " + printable(p.Path) + ": " + p.Text
}

// Problems is everything that is wrong with a configuration, in the order of
// the file; the environment and arguments come after it.
type Problems []Problem

// Error has one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders problems by place and drops repetitions.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		for _, d := range []int{
			int(a.Origin.Kind - b.Origin.Kind), a.Origin.Line - b.Origin.Line, a.Origin.Column - b.Origin.Column,
		} {
			if d != 0 {
				return d
			}
		}
		return strings.Compare(a.Origin.Name, b.Origin.Name)
	})
	return slices.Compact(ps)
}

// printable keeps control characters, which a key or a file's name may hold,
// away from the terminal.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return '?'
		}
		return r
	}, s)
}

func control(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029
}

// leaf returns the reflect.Value of a leaf of c; ok is false inside an optional
// section that is not there.
func (c *Config) leaf(f *field) (v reflect.Value, ok bool) {
	v = reflect.ValueOf(c).Elem()
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}
