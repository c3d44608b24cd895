package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// automation returns the rows of docs/automation.md's table of that heading: what stands between backquotes, by cells.
func automation(t *testing.T, heading string) (rows [][][]string) {
	t.Helper()
	raw, err := os.ReadFile("../../docs/automation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(raw), "\n| "+heading+" |")
	table, _, _ = strings.Cut(table, "\n\n")
	if !found {
		t.Fatalf("docs/automation.md has no table %q", heading)
	}
	for _, line := range strings.Split(table, "\n")[2:] {
		var row [][]string
		for _, cell := range strings.Split(line, " |") {
			var names []string
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
				names = append(names, m[1])
			}
			row = append(row, names)
		}
		rows = append(rows, row)
	}
	return rows
}

// A run of the recipe tiny that ends in seconds.
var smallTiny = []string{"-c", "tiny", "train.max_steps=2", "train.eval_steps=1", "train.gradient_accumulation_steps=1",
	"data.max_length=256", "packing.capacity=256", "sample.prompts=0"}

// TestJSONHasTheKeysThatAreTold runs each command of docs/automation.md that prints JSON.
func TestJSONHasTheKeysThatAreTold(t *testing.T) {
	rows := automation(t, "prints JSON")
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"asks.jsonl": `{"id":"a","prompt":"Write 30 words.","length":30}` + "\n" + `{"id":"b","prompt":"Two words.","length":2}` + "\n",
		"said.jsonl": `{"id":"a","response":"one two three"}` + "\n" + `{"id":"b","text":"a b","stop":"eos"}` + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{
		append([]string{"sft", "output.dir=runs/a"}, smallTiny...),
		append([]string{"sft", "output.dir=runs/b", "seed=7"}, smallTiny...),
		{"pairs", "-c", "smollm2-pairs", "model.path=runs/a", "model.template=auto", "pairs.samples=8",
			"pairs.max_new_tokens=300", "pairs.temperature=5", "pairs.command=[wc, -c]", // some end, and no two are as long
			"data.sources=[{name: asks, path: asks.jsonl}]", "output.dir=runs/p"},
	} {
		if out, err := exec.Command("lwtrain", command...).CombinedOutput(); err != nil {
			t.Fatalf("lwtrain %s: %v\n%s", command[0], err, out)
		}
	}
	given := map[string][]string{
		"doctor": nil, "plan": smallTiny, "stats": smallTiny, "pack": smallTiny, "pack show": append([]string{"1"}, smallTiny...),
		"data show": smallTiny, "inspect": {"runs/a"}, "watch": {"runs/a"}, "report": {"runs/a", "runs/b"},
		"generate":      {"-m", "runs/a", "--prompt", "Write.", "--max-new-tokens", "4"},
		"eval score":    {"--task", "asks.jsonl", "--from", "said.jsonl"},
		"eval compare":  {"--task", "asks.jsonl", "said.jsonl", "said.jsonl"},
		"pairs compare": {"runs/p"},
		"bench":         append([]string{"--steps", "1"}, smallTiny[:2]...),
	}
	told := map[string]bool{}
	for _, row := range rows {
		words := strings.Fields(row[0][0])
		name := words[1]
		if _, ok := given[name]; !ok || len(words) > 2 && !strings.HasPrefix(words[2], "-") && words[2] != "..." {
			name += " " + words[2]
		}
		told[name] = true
		args := slices.Clone(strings.Fields(name))
		for _, w := range words[1+len(args):] {
			if w != "..." {
				args = append(args, w)
			}
		}
		t.Run(name, func(t *testing.T) {
			more, ok := given[name]
			if !ok {
				t.Fatal("no arguments for it here")
			}
			out, err := exec.Command("lwtrain", append(args, more...)...).Output()
			if err != nil {
				t.Fatalf("%v: %s", args, err)
			}
			var got map[string]any
			if strings.HasPrefix(string(out), "[") {
				var list []map[string]any
				if err := json.Unmarshal(out, &list); err != nil || len(list) == 0 {
					t.Fatalf("%v: %s", err, out)
				}
				got = list[0]
			} else if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, key := range row[1] {
				if _, ok := got[key]; !ok {
					t.Errorf("it does not print %s, which docs/automation.md promises", key)
				}
			}
			for key := range got {
				if !slices.Contains(row[1], key) && !slices.Contains(row[2], key) && name != "pairs compare" {
					t.Errorf("docs/automation.md does not tell of %s", key)
				}
			}
		})
	}
	root, _ := newRootCmd()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if name := strings.TrimPrefix(c.CommandPath(), "lwtrain "); c.Flags().Lookup("json") != nil && !told[name] {
			t.Errorf("docs/automation.md does not tell of %s --json", name)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// TestStatusesAreTold holds the table of docs/automation.md against the program.
func TestStatusesAreTold(t *testing.T) {
	raw, err := os.ReadFile("../../docs/automation.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []int
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(raw), -1) {
		n, _ := strconv.Atoi(m[1])
		told = append(told, n)
	}
	if want := []int{exitDone, exitFailed, exitUsage, exitIncomplete, exitInterrupted}; !slices.Equal(told, want) {
		t.Errorf("docs/automation.md has the statuses %v, want %v", told, want)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[int][]string{
		exitDone: {"version"}, exitUsage: {"validate", "-c", "tiny", "train.lr=1"}, exitFailed: {"doctor", "-c", "tiny", "output.dir=file"},
	} {
		var exit *exec.ExitError
		got := 0
		if err := exec.Command("lwtrain", args...).Run(); errors.As(err, &exit) {
			got = exit.ExitCode()
		}
		if got != want {
			t.Errorf("lwtrain %s: exit status %d, want %d", strings.Join(args, " "), got, want)
		}
	}
}
