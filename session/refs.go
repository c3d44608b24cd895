package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/data/read"
	"lwtrain/dpo"
	"lwtrain/eval/tasks"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// What a config names outside of itself.

// HubRefs lists what a config names on the hub, by key. It refuses names that are none.
func HubRefs(c *configs.Config, see func(key string, ref hub.Ref)) error {
	parse := func(key string, kind hub.Kind, path string) error {
		ref, err := hub.Parse(kind, path)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.Origin(key), key, err)
		}
		see(key, ref)
		return nil
	}
	if c.Model.Path != "" && OnHub(c.Model.Path) {
		if err := parse("model.path", hub.Model, c.Model.Path); err != nil {
			return err
		}
	}
	if hasReferenceModel(c) && OnHub(c.DPO.Reference) {
		if err := parse("dpo.reference", hub.Model, c.DPO.Reference); err != nil {
			return err
		}
	}
	return eachSource(c, func(key string, s *data.Source) error {
		for _, path := range s.AllPaths() {
			if hub.HasScheme(path) {
				if err := parse(key, hub.Dataset, path); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// hasReferenceModel reports whether preference training measures against a model of its own.
func hasReferenceModel(c *configs.Config) bool {
	return c.DPO.NeedsReference() && !slices.Contains([]string{dpo.Initial, dpo.Base, dpo.NoReference}, c.DPO.Reference)
}

// Missing is something that a config names and that is not here.
type Missing struct {
	Key  string // of the config
	Name string
	Hub  bool // it is to be fetched: it lies on the hub, and not in its cache
}

// FindMissing lists the files of a config that are not there, those on the hub last. With
// an error, that of an environment that names no hub, those are left out.
func FindMissing(c *configs.Config) (missing []Missing, err error) {
	for _, in := range Inputs(c, "") {
		if in.Wrong == "" && !in.There() {
			missing = append(missing, Missing{Key: in.Key, Name: in.Path})
		}
	}
	client, err := hub.FromEnv(os.LookupEnv)
	if err != nil {
		return missing, err
	}
	return missing, HubRefs(c, func(key string, ref hub.Ref) {
		if _, _, err := client.Find(ref, wantOf(ref.Kind)); err != nil {
			missing = append(missing, Missing{key, ref.String(), true})
		}
	})
}

// Input is a place of this machine that a config names, from which something is read; or a name that is none.
type Input struct {
	Key, Path string
	Wrong     string // why it is none of the names that the key takes beside places
}

// There reports whether something lies there.
func (in Input) There() bool {
	found, _ := filepath.Glob(in.Path)
	return len(found) > 0 || isThere(in.Path)
}

// Hint is the way out where nothing does.
func (in Input) Hint() string {
	hint := fault.Nearby(in.Path)
	if in.Key == "model.path" || in.Key == "dpo.reference" {
		hint += "; " + smallModel(in.Key)
	}
	return hint
}

// smallModel says how to come by a model, by the key that names it.
func smallModel(key string) string {
	return fmt.Sprintf("`make quickstart` fetches a small one into a clone, and %s=HuggingFaceTB/SmolLM2-135M-Instruct the same one "+
		"from the hub", key)
}

// reading are the commands of which [Inputs] knows what they read.
var reading = []string{"", "sft", "dpo", "pairs", "agentwrite", "eval", "experiment length-cap", "stats", "pack", "plan"}

// Inputs lists the places of this machine that a command reads, of those that a config names; "": any command. Of one that it
// does not know it lists none.
func Inputs(c *configs.Config, command string) (out []Input) {
	if !slices.Contains(reading, command) {
		return nil
	}
	add := func(key, path string) {
		if path != "" && !strings.HasPrefix(path, read.Builtin) && !hub.HasScheme(path) {
			out = append(out, Input{Key: key, Path: path})
		}
	}
	addModel := func(key, path string) {
		if !OnHub(path) {
			add(key, path)
		}
	}
	addTask := func(key, task string) {
		if _, err := tasks.Open(task); err != nil && task != "" {
			out = append(out, Input{key, task, err.Error()})
		} else if strings.HasSuffix(task, ".jsonl") {
			add(key, task)
		}
	}
	is := func(commands ...string) bool { return command == "" || slices.Contains(commands, command) }
	served := map[string]string{"pairs": c.Pairs.Server.URL, "agentwrite": c.AgentWrite.Writer.URL, "eval": c.Eval.Server.URL}
	if served[command] == "" {
		addModel("model.path", c.Model.Path)
		addModel("lora.from", c.LoRA.From)
		switch t := c.Model.Template; {
		case strings.HasSuffix(t, ".jinja"):
			add("model.template", t)
		case t != "" && t != "auto" && !slices.Contains(chat.Templates(), t):
			out = append(out, Input{"model.template", t, fmt.Sprintf("%.60q, want auto, %s, or a path that ends in .jinja", t,
				strings.Join(chat.Templates(), ", "))})
		}
	}
	if is("dpo") && hasReferenceModel(c) {
		addModel("dpo.reference", c.DPO.Reference)
	}
	if command != "eval" && (command != "agentwrite" || c.AgentWrite.Prompts == "") {
		eachSource(c, func(key string, s *data.Source) error {
			for _, path := range s.AllPaths() {
				add(key, path)
			}
			return nil
		})
	}
	if is("agentwrite") {
		add("agentwrite.prompts", c.AgentWrite.Prompts)
	}
	if is("eval") {
		for _, task := range c.Eval.Tasks {
			addTask("eval.tasks", task)
		}
		add("eval.read", c.Eval.Read)
		if c.Eval.Judge.URL != "" {
			add("eval.judge.against", c.Eval.Judge.Against)
		}
	}
	if is("sft", "dpo") {
		addTask("eval.during.prompts", c.Eval.During.Prompts)
	}
	if is("experiment length-cap") {
		addTask("experiment.prompts", c.Experiment.Prompts)
	}
	return out
}

// LookForModel refuses a model's path that nothing is at, or no model.
func LookForModel(path string) error {
	switch {
	case OnHub(path), strings.HasSuffix(path, ".gguf") && isThere(path), isThere(filepath.Join(path, "config.json")),
		isThere(filepath.Join(path, rundir.Checkpoints)):
		return nil
	case isThere(path):
		return &missing{fmt.Errorf("%s: no config.json there, want a model folder in Hugging Face layout or a .gguf file", path), path}
	}
	return &missing{fmt.Errorf("%s: no such file or folder, want a model", path), path}
}

// LookForData refuses the path of a source that nothing is at.
func LookForData(path string) error {
	if hub.HasScheme(path) {
		return nil
	}
	if _, _, err := read.Expand(path); err != nil {
		return &missing{err, path}
	}
	return nil
}

// missing is the error of a path that nothing is at.
type missing struct {
	error
	path string
}

func (m *missing) Unwrap() error {
	return fault.Hint(m.error, fault.Nearby(m.path))
}

// IsMissing reports whether err is that of a path that nothing is at.
func IsMissing(err error) bool {
	var m *missing
	return errors.As(err, &m)
}

// eachSource goes through all sources of a config.
func eachSource(c *configs.Config, do func(key string, s *data.Source) error) error {
	for _, list := range []struct {
		key     string
		sources []data.Source
	}{{"data.sources", c.Data.Sources}, {"data.held_out", c.Data.HeldOut.Sources}} {
		for i := range list.sources {
			key := fmt.Sprintf("%s[%d].path", list.key, i)
			if list.sources[i].Path == "" {
				key += "s" // it is a list
			}
			if err := do(key, &list.sources[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// wantOf is what training reads of a repository of the hub.
func wantOf(kind hub.Kind) hub.Want {
	if kind == hub.Model {
		return hub.WholeModel
	}
	return hub.Files(read.Pick)
}

// OnHub reports whether a model's path is a name on the hub: hf://owner/name, or
// owner/name where neither that folder nor the folder owner is there.
func OnHub(path string) bool {
	if hub.HasScheme(path) {
		return true
	}
	owner, _, _ := strings.Cut(path, "/")
	return hub.IsName(path) && !isThere(path) && !isThere(owner)
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
