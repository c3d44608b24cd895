package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"lwtrain/configs"
	"lwtrain/internal/llm/llmtest"
)

// smallWorld is a folder with a tiny model and data of every kind that shipped recipes name.
func smallWorld(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"model.yaml": tinyModel + `
data: {sources: [{name: a, path: "builtin:quickstart/general_en.jsonl"}], held_out: 0, max_length: 256, too_long: truncate}
packing: {capacity: 256}
train: {max_steps: 1, gradient_accumulation_steps: 1}
`,
		"talks.jsonl": talks(40), "few.jsonl": talks(24), "pairs.jsonl": somePairs(24),
		"asks.jsonl": `{"id": "a", "prompt": "Write 30 words on rain.", "length": 30}` + "\n" +
			`{"id": "b", "prompt": "Two words.", "length": 2}` + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	runs(t, 0, "sft", "-c", "model.yaml", "output.dir=runs/m")
}

// talks are so many conversations whose answers have 10 to 38 words in short sentences.
func talks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"messages": [{"role": "user", "content": "Tell me of day %d."}, {"role": "assistant", "content": "`, i)
		for j := range 2 + i%8 {
			words := strings.Fields("boats near sea sky grey stones walk on still")
			fmt.Fprintf(&b, "The %s and %s. ", words[(i*7+j)%9], words[(i+j*j)%9])
		}
		b.WriteString("It ends.\"}]}\n")
	}
	return b.String()
}

// runs gives a command and wants that it ends with a status.
func runs(t *testing.T, want int, args ...string) string {
	t.Helper()
	cmd := exec.Command("lwtrain", args...)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("lwtrain %s: exit status %d, want %d\n%s", strings.Join(args, " "), got, want, out)
	}
	return string(out)
}

// small are the settings with which a command of a recipe takes seconds.
func small(command string) []string {
	out := []string{"data.cache_dir=cache"}
	if command != "dpo" {
		out = append(out, "data.max_length=256", "packing.capacity=512")
	}
	switch command {
	case "sft", "dpo":
		out = append(out, "train.max_steps=2", "train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=1",
			"train.save_steps=1", "sample.max_new_tokens=8")
	case "pairs":
		out = append(out, "pairs.max_new_tokens=200", "pairs.samples=4", "pairs.command=[wc, -c]")
	case "eval":
		out = append(out, "eval.tasks=[asks.jsonl]", "eval.max_new_tokens=8")
	case "experiment length-cap":
		out = append(out, "experiment.caps=[6, 12]", "experiment.target_tokens=1000", "experiment.prompts=asks.jsonl", "data.held_out=8")
	}
	return out
}

// TestShippedRecipesRun does what the head of each recipe that ships says to type, with a tiny model, little data and few
// steps in the place of its own; all else is the recipe's.
func TestShippedRecipesRun(t *testing.T) {
	smallWorld(t)
	for _, name := range configs.RecipeNames() {
		t.Run(name, func(t *testing.T) {
			text, _ := configs.RecipeText(name)
			m := regexp.MustCompile(`(?m)^#   lwtrain (.+?) -c ` + name + `\b`).FindSubmatch(text)
			if m == nil {
				t.Fatal("its head does not say what to type")
			}
			command := string(m[1])
			args := append(strings.Fields(command), "-c", name, "output.dir=runs/"+name)
			args = append(args, small(command)...)
			c, err := configs.Load(name, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.Model.Path != "" {
				args = append(args, "model.path=runs/m")
			}
			if strings.HasPrefix(c.Model.Template, "longwriter-") { // whose tokens the tiny model does not have
				args = append(args, "model.template=auto")
			}
			for i, s := range c.Data.Sources {
				if !strings.HasPrefix(s.Path, "builtin:") || command == "dpo" || command == "experiment length-cap" {
					path := map[bool]string{true: "pairs.jsonl", false: "talks.jsonl"}[command == "dpo"]
					args = append(args, fmt.Sprintf("data.sources[%d].path=%s", i, path))
					if s.Samples > 0 {
						args = append(args, fmt.Sprintf("data.sources[%d].samples=20", i))
					}
				}
			}
			if c.Data.HeldOut.Count > 3 && command != "experiment length-cap" {
				args = append(args, "data.held_out=3")
			}
			runs(t, 0, args...)
			switch command {
			case "sft", "dpo":
				exists(t, "runs/"+name+"/checkpoints/step-000002/model.safetensors")
			case "pairs":
				exists(t, "runs/"+name+"/summary.json")
			default:
				exists(t, "runs/"+name+"/report.html")
			}
		})
	}
}

// TestShippedChainsRun does each chain that ships in the same way. What writes long texts is a server.
func TestShippedChainsRun(t *testing.T) {
	smallWorld(t)
	server := llmtest.New()
	defer server.Close()
	server.Text = func(r llmtest.Request) string {
		h := fnv.New64()
		h.Write([]byte(r.Body))
		return agentText(r.Messages[len(r.Messages)-1].Content, h.Sum64())
	}
	for _, name := range configs.ChainNames() {
		t.Run(name, func(t *testing.T) {
			c, err := configs.LoadChain(name, nil, nil, func(_, args []string) (bool, error) {
				return len(args) > 0 &&
					args[0] == "-c", nil
			})
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"recipe", "run", name, "dir=runs/" + name, "model=runs/m"}
			for _, s := range c.Steps {
				command := strings.Join(s.Command, " ")
				for _, set := range small(command) {
					if command != "pairs compare" && command != "eval compare" {
						args = append(args, s.Name+"."+set)
					}
				}
				if command == "agentwrite" {
					for _, set := range []string{"writer.url=" + server.URL, "writer.model=m", "filter.min_words=1",
						"filter.min_length_score=0", "filter.language=false"} {
						args = append(args, s.Name+".agentwrite."+set)
					}
				}
				if command == "pairs" {
					args = append(args, s.Name+".data.sources=[{name: asks, path: few.jsonl}]")
				}
			}
			runs(t, 0, args...)
			for _, s := range c.Steps {
				exists(t, "runs/"+name+"/"+s.Name+"/step.json")
			}
			if again := runs(t, 0, args...); strings.Contains(again, "===") {
				t.Errorf("again, it does a step anew:\n%s", again)
			}
		})
	}
}

func exists(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
