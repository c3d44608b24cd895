// Package migrate reads what people have who come from other trainers: a config of LLaMA-Factory, axolotl or TRL, or the
// command line that starts one. What it says becomes keys of lwtrain; what has no counterpart is listed with what it would
// have done.
//
// Keys that a config leaves out have the other trainer's defaults, which are not lwtrain's: they become keys too. Defaults
// and meanings are those of LLaMA-Factory and axolotl as of summer 2026, TRL 1.16, and of transformers' TrainingArguments 5.24.
package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/terminal"
)

// Translation is what another trainer's config says, in the keys of lwtrain.
type Translation struct {
	Trainer  string    // LLaMA-Factory, axolotl or TRL
	Command  string    // what trains with it: sft or dpo
	Settings []Setting // each key once
	Notes    []Note    // what has no key, and what is another thing here
}

// Setting is a key of lwtrain.
type Setting struct {
	Key, Value string // the value as YAML, on one line
	From       string // what it comes from: "cutoff_len: 2048"
	At         string // the file that says it, and the line where there is one
}

// Kind says what becomes of a key that has no counterpart.
type Kind int

const (
	Same    Kind = iota // lwtrain does it without a key
	Differs             // lwtrain does something else instead
	Missing             // lwtrain does not do it
)

func (k Kind) String() string { return [...]string{"same", "differs", "missing"}[k] }

// Note is a key without a counterpart.
type Note struct {
	Key, Value string // the other trainer's; no value where a default is meant
	Kind       Kind
	Text       string // what it would have done there, and what lwtrain does
}

// Overrides are the settings as the arguments that configs.Parse takes.
func (t *Translation) Overrides() []string {
	var out []string
	for _, s := range t.Settings {
		out = append(out, s.Key+"="+s.Value)
	}
	return out
}

// Refused is the error of a config of the settings, said of what they come from.
func (t *Translation) Refused(err error) error {
	var problems configs.Problems
	if !errors.As(err, &problems) {
		return err
	}
	var out []error
	for _, p := range problems {
		said := errors.New(p.String())
		for _, s := range t.Settings {
			if rest, ok := strings.CutPrefix(p.Path, s.Key); ok && (rest == "" || strings.ContainsAny(rest[:1], ".[")) {
				said = fmt.Errorf("%s: %s, which is %s here: %s", s.At, terminal.Printable(s.From), p.Path, p.Text)
			}
		}
		out = append(out, said)
	}
	return fault.Usage(errors.Join(out...))
}

// Why tells by key what each setting comes from.
func (t *Translation) Why() map[string]string {
	why := map[string]string{}
	for _, s := range t.Settings {
		why[s.Key] = s.From
	}
	return why
}

// Comment lists the notes as comments of YAML.
func (t *Translation) Comment() []byte {
	if len(t.Notes) == 0 {
		return nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n# What %s was told and has no key here: what it would have done, and what is done instead.\n", t.Trainer)
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "# %-8s %s: %s\n", n.Kind, n.Shown(), terminal.Printable(n.Text))
	}
	return b.Bytes()
}

// Shown is the key with its value.
func (n Note) Shown() string {
	if n.Value == "" {
		return terminal.Printable(n.Key)
	}
	return terminal.Printable(n.Key + ": " + n.Value)
}

// trainer is a program whose configs are read.
type trainer struct {
	name  string
	signs []string // keys that no other has, whatever their values
	read  func(*reader)
}

var trainers = []trainer{
	{"axolotl", []string{"base_model", "micro_batch_size", "sequence_len", "num_epochs", "val_set_size"}, axolotl},
	{"LLaMA-Factory", []string{"stage", "finetuning_type", "cutoff_len", "dataset", "pref_beta", "lora_target", "lora_rank"},
		llamaFactory},
	{"TRL", []string{"dataset_name", "use_peft", "max_length", "dataset_train_split", "beta", "loss_type"}, trl},
}

// File reads another trainer's config, a YAML file or a text with a command line.
//
// Errors are those of reading, of a text that is none of these, and of what lwtrain can not train.
func File(path string) (*Translation, error) {
	const most = 1 << 20
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no such file, want a config or a command line", path), fault.Nearby(path)))
	}
	if err != nil {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%w, want a config or a command line", err), fault.Nearby(path)))
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fault.Usage(fmt.Errorf("%s: no file of at most %d bytes, want a config or a command line", path, most))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &reader{name: path, given: map[string]entry{}, set: map[string]Setting{}}
	return r.parse(raw)
}

// parse reads a config or a command line.
func (r *reader) parse(raw []byte) (*Translation, error) {
	name := r.name
	root, err := configs.Document(name, raw)
	switch {
	case err == nil && root != nil && root.Kind == yaml.MappingNode && !flagged(root):
		r.document(root)
	case strings.Contains(string(raw), "--"), err == nil && root != nil && root.Kind == yaml.ScalarNode:
		if err := r.commandLine(string(raw)); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		return nil, fault.Usage(fmt.Errorf("%s: neither a map of keys nor a command line with --keys, want a config of "+
			"%s", name, known()))
	}
	if r.trainer == nil {
		r.trainer = r.recognise()
	}
	if _, ok := r.given["train_dataset"]; ok && r.trainer != nil {
		return nil, fault.Usage(fmt.Errorf("%s: train_dataset and model: a config of LLaMA-Factory's v1, want one of those that "+
			"`llamafactory-cli train` takes", name))
	}
	if r.trainer == nil {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no key that tells whose config it is, want one of %s", name, known()),
			"LLaMA-Factory says stage and cutoff_len, axolotl base_model and sequence_len, TRL dataset_name (or give its command line)"))
	}
	r.trainer.read(r)
	r.rest()
	if len(r.problems) > 0 {
		return nil, fault.Usage(errors.Join(r.problems...))
	}
	t := &Translation{Trainer: r.trainer.name, Command: r.command, Notes: r.notes}
	for _, key := range r.order {
		t.Settings = append(t.Settings, r.set[key])
	}
	return t, nil
}

// flagged tells a command line with a `{"key": value}` in it, which YAML reads as a map, too.
func flagged(root *yaml.Node) bool {
	return len(root.Content) > 0 && strings.Contains(root.Content[0].Value, " --")
}

func known() string {
	var names []string
	for _, t := range trainers {
		names = append(names, t.name)
	}
	slices.Sort(names)
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// recognise is the trainer most of whose keys stand there; nil: none of any.
func (r *reader) recognise() *trainer {
	var best *trainer
	most := 0
	for i := range trainers {
		n := 0
		for _, sign := range trainers[i].signs {
			if _, ok := r.given[sign]; ok {
				n++
			}
		}
		if n > most {
			best, most = &trainers[i], n
		}
	}
	_, model := r.given["model_name_or_path"]
	if _, ok := r.given["datasets"]; ok && model && best == nil { // axolotl has a list of that name, too, but base_model
		return &trainers[2]
	}
	return best
}

// beside are the folders in which a path of the config may be meant: where lwtrain runs, the config's own, and those above it,
// and likewise of the file that a command line names.
func (r *reader) beside() []string {
	out := []string{"."}
	for _, name := range append([]string{r.name}, r.configs...) {
		dir := filepath.Dir(name)
		for range 4 {
			out = append(out, dir)
			if up := filepath.Dir(dir); up != dir {
				dir = up
			}
		}
	}
	return out
}

// found is path as it can be opened from here; ok is false when it is nowhere.
func (r *reader) found(path string) (string, bool) {
	if filepath.IsAbs(path) {
		_, err := os.Stat(path)
		return path, err == nil
	}
	for _, dir := range r.beside() {
		if p := filepath.Join(dir, path); exists(p) {
			return p, true
		}
	}
	return path, false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
