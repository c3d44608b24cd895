package configs

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// marks say where defaults come from, in the order of docs/options.md.
var marks = [][2]string{
	{"paper", "LongWriter's paper ([arXiv:2408.07055](https://arxiv.org/abs/2408.07055))"},
	{"code", "LongWriter's released code (THUDM/LongWriter, 3fcfdff)"},
	{"bench", "LongBench-Write's released code and data (THUDM/LongWriter, 3fcfdff)"},
	{"hf", "Hugging Face's `TrainingArguments`"},
	{"trl", "TRL's `DPOConfig` and `KTOConfig`"},
	{"peft", "PEFT's `LoraConfig`"},
	{"llamafactory", "LLaMA-Factory"},
	{"regret", "LoRA Without Regret (Schulman et al. 2025)"},
	{"dpop", "DPOP's paper ([arXiv:2402.13228](https://arxiv.org/abs/2402.13228))"},
	{"llama", "Llama 3.1's chat template"},
	{"ours", "chosen here"},
}

// optionsIntro has apostrophes where Markdown has backquotes.
const optionsIntro = `# Options

Every key of a config, as 'lwtrain init' writes them and 'lwtrain schema' describes them to editors. The default holds where
neither an argument ('train.learning_rate=2e-5'), nor the environment ('LWTRAIN_TRAIN_LEARNING_RATE'), nor the file, nor a
recipe that it starts from says something; 'lwtrain config -c my.yaml' prints which of them each value of yours is from. The
last column says where the default comes from:

| from | |
|---|---|
`

// origin is a line of origins.txt.
type origin struct{ mark, note string }

func origins(t *testing.T) map[string]origin {
	t.Helper()
	raw, err := os.ReadFile("origins.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range marks {
		known[m[0]] = true
	}
	out := map[string]origin{}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			if _, twice := out[f[0]]; twice || len(f) < 2 || !known[f[1]] {
				t.Fatalf("origins.txt: %q, want a key that no other line has and a mark", line)
			}
			out[f[0]] = origin{f[1], strings.Join(f[2:], " ")}
		}
	}
	return out
}

// originOf is the line of a key, or of the nearest section that has one, and its name.
func originOf(lines map[string]origin, key string) (origin, string) {
	for at := key; ; {
		if o, ok := lines[at]; ok {
			return o, at
		}
		i := strings.LastIndexByte(strings.TrimSuffix(at, "."), '.')
		if i < 0 {
			return origin{}, ""
		}
		at = at[:i+1]
	}
}

// TestOptionsPage wants that docs/options.md has every key with its default, its meaning and where the default comes from.
func TestOptionsPage(t *testing.T) {
	const path = "../docs/options.md"
	lines, used := origins(t), map[string]bool{}
	var b bytes.Buffer
	b.WriteString(strings.ReplaceAll(optionsIntro, "'", "`"))
	for _, m := range marks {
		fmt.Fprintf(&b, "| %s | %s |\n", m[0], m[1])
	}
	c := defaults()
	seen := map[string]bool{}
	var groups []string // in the order of their first keys
	rows := map[string]string{}
	eachKey(table().root.keys, "", func(key string, f *field) {
		if f.kind == section || seen[key] {
			return
		}
		seen[key] = true
		group, _, nested := strings.Cut(key, ".")
		if !nested {
			group = "seed and threads"
		} else if strings.HasPrefix(key, "data.sources[]") {
			group = "data.sources[]"
		}
		if rows[group] == "" {
			groups = append(groups, group)
		}
		o, line := originOf(lines, key)
		if line == "" || docs()[key] == "" {
			t.Errorf("%s: no line in origins.txt, or no meaning", key)
		}
		used[line] = true
		from := o.mark
		if o.note != "" {
			from += ": " + o.note
		}
		rows[group] += fmt.Sprintf("| `%s` | %s | %s | %s |\n", key, f.preset(&c, key), cell(docs()[key]+f.takes()), cell(from))
	})
	for _, group := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n", group)
		if doc := docs()[strings.TrimSuffix(group, "[]")]; doc != "" {
			b.WriteString(strings.ToUpper(doc[:1]) + doc[1:] + ".\n\n")
		}
		b.WriteString("| key | default | meaning | from |\n|---|---|---|---|\n" + rows[group])
	}
	for line := range lines {
		if !used[line] {
			t.Errorf("origins.txt: %s is the line of no key", line)
		}
	}
	got, err := os.ReadFile(path)
	switch {
	case t.Failed() || err == nil && bytes.Equal(got, b.Bytes()):
	case *update:
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the keys say; `go generate ./configs` writes it anew", path)
	}
}

// preset is the default of a key, in a cell.
func (f *field) preset(c *Config, key string) string {
	var v reflect.Value
	if strings.Contains(key, "[]") {
		v = usualSource().FieldByIndex(f.index)
	} else if leaf, ok := c.leaf(f); ok {
		v = leaf
	} else {
		return "none" // of a section that is not there
	}
	if text := f.render(v); text != `""` && text != "[]" && text != "{}" {
		return "`" + text + "`"
	}
	return "none"
}

// takes are the values of a key that names some, behind its meaning.
func (f *field) takes() string {
	if len(f.enum) == 0 {
		return ""
	}
	return " (`" + strings.Join(f.enum, "`, `") + "`)"
}

// cell is a text in a cell of a table, in which Markdown finds nothing but code.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(text)
}

// TestOriginsAgreeWithTheRecipe wants that a default has the origin that the recipe of the paper gives the same value.
func TestOriginsAgreeWithTheRecipe(t *testing.T) {
	c, err := Load("glm4", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	recipe, usual, lines := rendered(c), rendered(parsed(t, smallest)), origins(t)
	raw, _ := RecipeText("glm4")
	marked := regexp.MustCompile(`^  (\w+):.*# \[(\w+)\]`)
	section, compared := "", 0
	for line := range strings.Lines(string(raw)) {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			section = name
		}
		m := marked.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		key := section + "." + m[1]
		if recipe[key] == "" || recipe[key] != usual[key] {
			continue
		}
		compared++
		if o, _ := originOf(lines, key); o.mark != m[2] {
			t.Errorf("%s: origins.txt says %s, and the recipe glm4 %s", key, o.mark, m[2])
		}
	}
	if compared < 20 {
		t.Errorf("%d keys compared, want at least 20", compared)
	}
}
