package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var exported = cmpopts.IgnoreUnexported(Config{})

// reload loads what Resolved writes.
func reload(c *Config) (*Config, error) { return Parse("resolved.yaml", c.Resolved(), nil, nil) }

func TestResolvedLoadsAgainToTheSameConfig(t *testing.T) {
	for _, name := range RecipeNames() {
		c, err := Load(name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := reload(c)
		if err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, c.Resolved())
		}
		if d := cmp.Diff(c, again, exported); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// draw makes the text of a value that the field may or may not take.
func (f *field) draw(t *rapid.T) string {
	if f.kind == several && rapid.Bool().Draw(t, "a list") {
		n := rapid.IntRange(0, 3).Draw(t, "values")
		values := make([]string, n)
		for i := range values {
			values[i] = f.item().draw(t)
		}
		return "[" + strings.Join(values, ", ") + "]"
	}
	if len(f.enum) > 0 {
		return rapid.SampledFrom(f.enum).Draw(t, f.path)
	}
	switch f.kind {
	case several:
		return f.item().draw(t)
	case whole:
		return strconv.FormatUint(rapid.OneOf(rapid.Uint64Range(0, 40000), rapid.Uint64()).Draw(t, f.path), 10)
	case number:
		return strconv.FormatFloat(rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64()).Draw(t, f.path), 'g', -1, 64)
	case coded:
		return rapid.SampledFrom([]string{"", "8GiB", "1234567", "1.5GB", "3kB", "0"}).Draw(t, f.path)
	case heldOut:
		return rapid.SampledFrom([]string{"0", "0.0", "0.25", "12", `[{path: h, name: h}, {path: "a b: #c"}]`}).Draw(t, f.path)
	case list:
		name := strconv.Quote(rapid.StringMatching(`[ -~\x{e9}\x{4e2d}\x{1F600}]{1,12}`).Draw(t, "name"))
		return `[{name: ` + name + `, path: ` + name + `, samples: 3, loss_factor: 1e-3}, ` +
			`{path: x.jsonl, roles: {bot: assistant, "a: b": user}, columns: {messages: ` + name + `}, ` +
			`filter: {languages: [en, zh], min_words: 5, prompt: "^[a-z ]+$"}, repeat: 2.5}]`
	case free:
		return `{model_type: llama, vocab_size: 259, hidden_size: 64, intermediate_size: 64, ` +
			`num_hidden_layers: 1, num_attention_heads: 2, ` +
			`Upper.Case: "x: y # z", rope_theta: 1e4, eps: 0.5, none: null, deep: [1, [2.0, {a: yes, "": true}]]}`
	}
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"null", "true", "on", "5", "1e5", "a: b", "- a", "#", " ", "~", "C:\\x", "'", "\"", "%YAML", "@a", "2024-01-01", "<<",
	})).Draw(t, f.path)
}

func TestResolvedLoadsAgainWhateverWasGiven(t *testing.T) {
	loaded := 0
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]string{smallest, "recipe: tiny\n", "recipe: glm4\n"}).Draw(t, "base")
		var args []string
		for _, f := range table().leaves {
			if rapid.IntRange(0, 5).Draw(t, "use "+f.path) == 0 {
				args = append(args, f.path+"="+f.draw(t))
			}
		}
		c, err := Parse("C", []byte(base), args, nil)
		for ps := (Problems)(nil); errors.As(err, &ps); c, err = Parse("C", []byte(base), args, nil) {
			// leave out what does not fit, until the rest does
			var kept []string
			for _, a := range args {
				key, _, _ := strings.Cut(a, "=")
				bad := false
				for _, p := range ps {
					bad = bad || strings.HasPrefix(p.Path, key)
				}
				if !bad {
					kept = append(kept, a)
				}
			}
			if len(kept) == len(args) {
				if len(args) == 0 {
					t.Fatal(err)
				}
				kept = args[1:] // the problem lies in what an argument does to the file
			}
			args = kept
		}
		again, err := reload(c)
		if err != nil {
			t.Fatalf("%v in\n%s", err, c.Resolved())
		}
		if d := cmp.Diff(c, again, exported); d != "" {
			t.Fatalf("%s in\n%s", d, c.Resolved())
		}
		loaded += len(args)
	})
	if loaded == 0 {
		t.Error("no override ever fitted")
	}
}

func TestResolvedSaysWhereEachValueComesFrom(t *testing.T) {
	c := parsed(t, smallest+"train:\n  learning_rate: 2e-5\n", "seed=7")
	for _, want := range []string{
		"  path: m  # C:1\n", "    - {name: a, path: a.jsonl}  # C:2\n",
		"  learning_rate: 2.0e-05  # C:4\n", "\nseed: 7  # argument\n", "\nthreads: 0  # default\n",
	} {
		if !strings.Contains(string(c.Resolved()), want) {
			t.Errorf("%q is missing in\n%s", want, c.Resolved())
		}
	}
}

func TestInitWritesAConfigThatLoads(t *testing.T) {
	for _, a := range []Answers{
		{},
		{
			Model: "models/my model: #1", Data: []string{"a/long.jsonl", "b/long.jsonl", "builtin:quickstart/held_out.jsonl"},
			Capacity: 4096, Output: "runs/true",
		},
	} {
		c, err := Parse("C", Init(a), nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, Init(a))
		}
		if a.Model != "" && c.Model.Path != a.Model || a.Output != "" && c.Output.Dir != a.Output {
			t.Errorf("model %q, output %q, want those of %+v", c.Model.Path, c.Output.Dir, a)
		}
		if s := c.Data.Sources; len(a.Data) == 3 && (s[0].Name != "long" || s[1].Name != "long-2" || s[2].Path != a.Data[2]) {
			t.Errorf("sources are %+v", s)
		}
		if a.Capacity != 0 && (c.Packing.Capacity != a.Capacity || c.Data.MaxLength != a.Capacity) {
			t.Errorf("capacity %d, max_length %d, want %d", c.Packing.Capacity, c.Data.MaxLength, a.Capacity)
		}
		for _, f := range table().leaves {
			line := "\n" + strings.Repeat("  ", strings.Count(f.path, ".")) + f.name + ":"
			if !strings.HasPrefix(f.path, "model.init") && !strings.Contains(string(Init(a)), line) {
				t.Errorf("%s is missing", f.path)
			}
		}
	}
}

// A short text can stand for an endless one; reading it must end soon all the same.
func TestHostileFilesEndInBoundedTime(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 9) + "]\n"
	}
	merges := "a: &a {x: 1}\n"
	for c := 'b'; c <= 'z'; c++ {
		merges += string(c) + ": &" + string(c) + " {<<: [*" + string(c-1) + ", *" + string(c-1) + "]}\n"
	}
	full := func(s string) string { return strings.Repeat(s, maxBytes/len(s)) }
	for name, text := range map[string]string{
		"aliases of aliases":      bomb + "model: {init: {config: *k}}\n",
		"merges of merges":        merges + "model: *z\n",
		"a map that holds itself": "model: &m {init: {config: *m}}\n",
		"an alias of itself":      "model: &m *m\n",
		"deep flow":               full("["), "deep maps": full("{a: "), "deep blocks": full("- "), "many keys": full("k: 1\n"),
		"many distinct keys": func() string {
			var b strings.Builder
			for i := 0; b.Len() < maxBytes-30; i++ {
				b.WriteString("learning_rat" + strconv.Itoa(i) + ": 1\n")
			}
			return b.String()
		}(),
		"comments": full("#\n"), "indented comments": full("  # a\n# b\n"), "explicit keys": full("? "), "anchors": full("&a "),
		"one long key": full("k"), "a long quote": `"` + full("a"), "documents": full("---\n"), "tags": full("!a "), "percent": full("%"),
		"long sources": "data: {sources: [" + full("{},"),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := Parse("C", []byte(text), nil, nil)
			if err == nil {
				t.Error("it loads, want problems")
			}
			if took := time.Since(began); took > time.Minute { // what is not linear takes hours
				t.Errorf("it took %v, want less than a minute", took)
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range RecipeNames() {
		raw, _ := RecipeText(name)
		f.Add(raw)
	}
	for _, s := range []string{
		"", smallest, "recipe: glm4\nseed: 1", "a: &a {<<: *a}", "model: &m {init: {config: *m}}", "? [a]\n: b",
		"data: {sources: [{<<: {name: x}}], held_out: [1]}",
		"train: {learning_rate: 1e-5, memory_limit: 8GiB}", "seed: 0x1f", "\t", "%YAML 1.2\n---\na", "!!binary x", "a: |\n  b\n",
		`a: "C:\Users`, "a: \"\\x", "a: [b].c\nd: e\n f: g", "a:\n- b\n  c: 'd'e'\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		began := time.Now()
		c, err := Parse("C", raw, nil, nil)
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("%d bytes took %v", len(raw), took)
		}
		if err != nil {
			var ps Problems
			if !errors.As(err, &ps) || len(ps) == 0 {
				t.Fatalf("%v is not a list of problems", err)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "C:") && !strings.HasPrefix(line, "recipe ") {
					t.Fatalf("a line without a place: %q", line)
				}
				if strings.ContainsFunc(line, control) {
					t.Fatalf("a control character in %q", line)
				}
			}
			return
		}
		again, err := reload(c)
		if err != nil {
			t.Fatalf("%v in\n%s", err, c.Resolved())
		}
		if d := cmp.Diff(c, again, exported); d != "" {
			t.Fatal(d)
		}
	})
}

func TestFloatsReadBackToTheLastBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		if math.IsInf(v, 0) || math.IsNaN(v) {
			t.Skip()
		}
		root, problem := parse([]byte(float(v)))
		if problem != nil {
			t.Fatal(problem)
		}
		if got, ok := asFloat(root); !ok || got != v {
			t.Fatalf("%s reads as %v, want %v", float(v), got, v)
		}
	})
}
