package push

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"lwtrain/report"
)

// runFolder writes a run's folder of these files, and reads it.
func runFolder(t *testing.T, files map[string]string) *report.Run {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := report.ReadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestACardSaysWhatARunWasAndKeepsWhereItLay(t *testing.T) {
	hostile := "x|y<script>\u2028`z`"
	r := runFolder(t, map[string]string{
		"metrics.jsonl": `{"step":0,"eval_loss":3.5}
{"step":1,"loss":3,"token_loss":3.25}
{"step":1,"eval_loss":3.125}
`,
		"run.json": `{"model":"smollm2: llama, 134.5M parameters","steps":1,"machines":["2 threads, avx2"],"versions":["v1"],
"contents":{"source 1, ` + "x|y" + `":"abc123"}}`,
		"config.yaml": `model:
  path: hf://HuggingFaceTB/SmolLM2-135M@abc  # my.yaml:1
data:
  cache_dir: /home/someone/cache  # my.yaml:2
train:
  learning_rate: 0.001  # my.yaml:3
  weight_decay: 0.1  # default
agentwrite:
  writer:
    url: http://secret.example  # my.yaml:4
output:
  dir: /home/someone/runs/x  # my.yaml:5
`,
		"answers.json": `[{"origin":"a:1","prompt":"p","before":{"text":"a b","words":2,"stop":"end"},
"after":{"text":"c d e","words":300,"stop":"end"}},
{"origin":"a:2","prompt":"p","after":{"text":"c","words":100,"stop":"length"}}]`,
	})
	card := string(modelCard(r, Card{Repo: "me/mine", Step: 1}))
	for _, want := range []string{"base_model: HuggingFaceTB/SmolLM2-135M\n", "base_model_relation: finetune",
		"library_name: transformers",
		"# license:        fill in", "3.5000 before, 3.1250 at the end", "step 1 of 1", "train.learning_rate: 0.001",
		"| source 1, x\\|y | `abc123` |",
		"200 after training, 2 before", "1 of 2"} {
		if !strings.Contains(card, want) {
			t.Errorf("no %q in\n%s", want, card)
		}
	}
	for _, not := range []string{"/home/someone", "secret.example", "weight_decay"} {
		if strings.Contains(card, not) {
			t.Errorf("%q is told", not)
		}
	}
	head := strings.Split(card, "---\n")[1]
	var v map[string]any
	if err := yaml.Unmarshal([]byte(head), &v); err != nil || v["base_model"] != "HuggingFaceTB/SmolLM2-135M" || v["license"] != nil {
		t.Errorf("the head is %v (%v)", v, err)
	}
	if got := cell(hostile); strings.ContainsAny(got, "<`") {
		t.Errorf("a table holds %q", got)
	}
}

func TestNamesOnTheHubAreToldFromPaths(t *testing.T) {
	for path, want := range map[string]string{
		"owner/name": "owner/name", "hf://owner/name@v1": "owner/name", "hf://owner/name/data/a.jsonl": "owner/name",
		"runs/mine": "", "./a/b": "",
		"/a/b": "", "a": "", "a/b/c": "", "owner/na me": "", "": "", "hf://owner/x\ny": "",
	} {
		if got := hubName(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
