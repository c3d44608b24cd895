package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lwtrain/internal/fault"
)

// known is a program of three commands, of which compare takes no config.
func known(words, args []string) (config bool, err error) {
	switch strings.Join(words, " ") {
	case "sft", "eval":
		return true, nil
	case "eval compare":
		return false, nil
	}
	return false, errors.New("no command")
}

// chainOf loads a chain from a file C.
func chainOf(t testing.TB, text string, overrides ...string) (*Chain, error) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("C", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("m.yaml", []byte(smallest), 0o644); err != nil {
		t.Fatal(err)
	}
	return LoadChain("C", overrides, nil, known)
}

const twoSteps = `# Two steps
vars: {steps: 4, name: "a b"}
steps:
- name: one
  about: the first
  command: sft
  config: m.yaml
  set:
    train.max_steps: ${steps}
    data.sources: [{name: "${name}", path: "${dir}/a.jsonl", samples: 3}]
- name: two
  command: eval  compare
  args: ["${one}/x", "--html", "${two}/y", "${one}"]
`

func TestAStepIsAnOrdinaryCommand(t *testing.T) {
	c, err := chainOf(t, twoSteps)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Name, c.About, c.Dir}
	for _, s := range c.Steps {
		got = append(got, s.Name, s.About, s.Line(), s.Dir, s.Reads, s.Config != nil)
	}
	want := []any{
		"C", "Two steps", "runs/C",
		"one", "the first", []string{"sft", "-c", "m.yaml", "train.max_steps=4",
			`data.sources=[{name: "a b", path: runs/C/a.jsonl, samples: 3}]`, "output.dir=runs/C/one"},
		"runs/C/one", []string(nil), true,
		"two", "", []string{"eval", "compare", "runs/C/one/x", "--html", "runs/C/two/y", "runs/C/one"},
		"runs/C/two", []string{"one"}, false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c := c.Steps[0].Config; c.Train.MaxSteps != 4 || c.Data.Sources[0].Name != "a b" || c.Output.Dir != "runs/C/one" {
		t.Errorf("the config is %+v", c)
	}
}

func TestSectionsOfASettingAreThoseOfAConfig(t *testing.T) {
	c, err := chainOf(t, `
vars: {port: 8000}
steps:
- name: one
  command: sft
  config: m.yaml
  set:
    seed: 3
    agentwrite: {writer: {url: "http://h:${port}/v1", model: m}, variant: extend}
    agentwrite.writer: {concurrency: 2}
    model: {rope_scaling: {rope_type: yarn, factor: 2}}
    data: {sources: [{path: a.jsonl}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"-c", "m.yaml", "seed=3", "agentwrite.writer.url=http://h:8000/v1", "agentwrite.writer.model=m",
		"agentwrite.variant=extend", "agentwrite.writer.concurrency=2", "model.rope_scaling={rope_type: yarn, factor: 2}",
		"data.sources=[{path: a.jsonl}]", "output.dir=runs/C/one"}
	if diff := cmp.Diff(want, c.Steps[0].Args); diff != "" {
		t.Error(diff)
	}
	for key, line := range map[string]int{"agentwrite.writer.url": 9, "data.sources[0].path": 12, "seed": 8} {
		if o := c.Steps[0].Origin(key); o.Name != "C" || o.Line != line {
			t.Errorf("%s is of %v, want C:%d", key, o, line)
		}
	}
}

func TestTheCommandLineChangesAChain(t *testing.T) {
	for _, c := range []struct{ name, override, want string }{
		{"a variable", "steps=7", "train.max_steps=7"},
		{"a step's key, which wins", "one.train.max_steps=9", "train.max_steps=9"},
		{"a key that the step has not", "one.seed=3", "seed=3"},
		{"a variable in a step's key", "one.output.x=${steps}", ""},
		{"the folder", "dir=elsewhere", "output.dir=elsewhere/one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain, err := chainOf(t, twoSteps, c.override)
			if c.want == "" {
				if err == nil || !strings.Contains(err.Error(), "argument one.output.x=${steps}: one.output.x: unknown key") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if line := strings.Join(chain.Steps[0].Line(), " "); !strings.Contains(line, " "+c.want) {
				t.Errorf("%s: want %s in it", line, c.want)
			}
		})
	}
}

func TestWhatIsWrongWithAChain(t *testing.T) {
	const step = "- {name: a, command: sft, config: m.yaml"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "C:1:1: no map of keys, want dir, vars and steps"},
		{"a list", "- a", "C:1:1: no map of keys, want dir, vars and steps"},
		{"no YAML", "steps: [", "C:1:1: not YAML: did not find expected node content"},
		{"no steps", "dir: x", "C:1:1: steps: missing, want a list of steps, each with name and command"},
		{"steps that are none", "steps: 3", "C:1:8: steps: 3, want a list of 1 to 100 steps"},
		{"too many", "steps: [" + strings.Repeat("1, ", 100) + "1]", "C:1:8: steps: a list of 101, want a list of 1 to 100 steps"},
		{"an unknown key", "step: 1", "C:1:1: step: unknown key, want one of: dir, vars, steps; did you mean steps?\n" +
			"C:1:1: steps: missing, want a list of steps, each with name and command"},
		{"a step that is none", "steps: [x]", `C:1:9: steps[0]: "x", want a map of keys`},
		{"a name with a slash", "steps:\n- {name: a/b, command: sft, config: m.yaml}",
			`C:2:10: steps[0].name: "a/b", want letters, digits, - and _, and not dir: it is a folder`},
		{"a folder that is none", "dir: [a]\nsteps:\n" + step + "}", "C:1:6: dir: a list of 1, want text"},
		{"a config that is not there", "steps:\n- {name: a, command: sft, config: no.yaml}",
			"C:2:35: steps[0].config: no.yaml: no such file, want a YAML file or a recipe: " + oneOf(RecipeNames())},
		{"a mistake in a config", "steps:\n" + step + ", set: {seed: x}}", `C:2:49: a.seed: "x", want a whole number at least 0`},
		{"a config for a command without one", "steps:\n- {name: a, command: eval compare, config: m.yaml}",
			"C:2:3: steps[0]: eval compare takes no config, want its arguments in args"},
		{"values for a command without config", "steps:\n- {name: a, command: eval compare, set: {seed: 1}}",
			"C:2:3: steps[0]: eval compare takes no config, want its arguments in args"},
		{"args that are no list", "steps:\n- {name: a, command: eval compare, args: x}", `C:2:42: steps[0].args: "x", want a list`},
		{"what stands for nothing, once", "vars: {model: m}\nsteps:\n" + step + ", set: {model.path: \"${modle}\"}}",
			"C:3:61: steps[0].set.model.path: ${modle} stands for nothing, " +
				"want a variable or a step before this one: a, dir or model; did you mean model?"},
		{"and where a number is wanted", "steps:\n" + step + ", set: {train.max_steps: \"${n}\"}}",
			"C:2:66: steps[0].set.train.max_steps: ${n} stands for nothing, want a variable or a step before this one: a or dir"},
		{"and in the name of a config", "steps:\n- {name: a, command: sft, config: \"${m}.yaml\"}",
			"C:2:35: steps[0].config: ${m} stands for nothing, want a variable or a step before this one: a or dir"},
		{"a key twice, in two ways", "steps:\n" + step + ", set: {train: {max_steps: 1}, train.max_steps: 2}}",
			"C:2:72: steps[0].set.train.max_steps: given twice, want it once (it is on line 2 too)"},
		{"a key of a section", "steps:\n" + step + ", set: {train: {max_stepz: 1}}}",
			"C:2:57: a.train.max_stepz: unknown key; did you mean max_steps?"},
		{"the step's folder, in a section", "steps:\n" + step + ", set: {output: {dir: x}}}",
			"C:2:58: a.output.dir: it is the step's folder, want it left out"},
		{"a key twice", "steps:\n" + step + ", config: n.yaml}",
			"C:2:43: steps[0].config: given twice, want it once (it is on line 2 too)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := chainOf(t, c.text)
			if err == nil || !fault.IsUsage(err) {
				t.Fatalf("got %v", err)
			}
			if err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAliasesOfAChainAreBounded(t *testing.T) {
	text := "x: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for i := range 8 {
		text += "y" + string(rune('a'+i)) + ": &" + string(rune('b'+i)) + " [" + strings.Repeat("*"+string(rune('a'+i))+", ", 9) + "1]\n"
	}
	text += "steps:\n- {name: s, command: sft, config: m.yaml, set: {data.sources: *i}}\n"
	began := time.Now()
	if _, err := chainOf(t, text); err == nil || !strings.Contains(err.Error(), "more than 20000 values once aliases are followed") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestShippedChainsLoad wants that all that ships is right, and that it says what it is.
func TestShippedChainsLoad(t *testing.T) {
	for _, name := range ChainNames() {
		c, err := LoadChain(name, nil, nil, func(words, args []string) (bool, error) { return len(args) > 0 && args[0] == "-c", nil })
		if err != nil {
			t.Fatal(err)
		}
		if c.About == "" || c.Dir != filepath.Join("runs", name) {
			t.Errorf("%s: about %q, in %s", name, c.About, c.Dir)
		}
		for _, s := range c.Steps {
			if s.About == "" {
				t.Errorf("%s: step %s does not say what it is for", name, s.Name)
			}
		}
	}
}

func FuzzLoadChain(f *testing.F) {
	for _, name := range ChainNames() {
		raw, _ := ChainText(name)
		f.Add(string(raw))
	}
	f.Add(twoSteps)
	f.Add("steps: [{name: a, command: sft, config: m.yaml, set: {seed: \"${a}${dir}\"}}]")
	f.Add("vars: &v {a: *v}\nsteps: [*v]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := chainOf(t, text)
		if err == nil {
			for _, s := range c.Steps {
				if !strings.HasPrefix(s.Dir, filepath.Clean(c.Dir)) && c.Dir != "." {
					t.Fatalf("step %q writes to %s, which is not in %s", s.Name, s.Dir, c.Dir)
				}
			}
			return
		}
		for line := range strings.Lines(err.Error()) {
			if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), control) {
				t.Fatalf("a control character in %q", line)
			}
		}
	})
}
