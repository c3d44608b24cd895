package chain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/configs"
)

func TestWhatCameOfAStep(t *testing.T) {
	score := func(id string, s_l string) string {
		return `{"id": "` + id + `", "prompt_hash": "` + id + `", "s_l": ` + s_l + "}\n"
	}
	for _, c := range []struct {
		name, command string
		files         map[string]string
		want          string
	}{
		{"fine-tuning, with what is held out", "sft", map[string]string{"metrics.jsonl": `{"step":0,"eval_loss":3.5}
{"step":1,"loss":9.0}
{"step":1,"eval_loss":3.25}
`}, "held-out loss 3.5000 to 3.2500"},
		{"fine-tuning, with nothing held out", "sft", map[string]string{"metrics.jsonl": `{"step":1,"loss":4}
{"step":2,"loss":3}
`}, "loss 4.0000 to 3.0000"},
		{"preferences", "dpo", map[string]string{"metrics.jsonl": `{"step":0,"eval_loss":0.6931,"eval_rewards/accuracies":0}
{"step":4,"eval_loss":0.5,"eval_rewards/accuracies":0.75}
`}, "held-out loss 0.6931 to 0.5000, accuracy 0.000 to 0.750"},
		{"pairs", "pairs", map[string]string{
			"summary.json": `{"samples": 8, "pairs": 1, "score": {"mean": 51.25}, "mean_chosen_words": 61, "mean_rejected_words": 89}`,
		}, "1 pair of 8 answers, mean score 51.2; chosen 61 words, rejected 89"},
		{"texts", "agentwrite", map[string]string{
			"manifest.json": `{"counts": {"instructions": 5, "taken": 1,
"dropped": {"write": {"loop": 1, "refused": 1}, "filter": {"length": 2}}}}`,
		}, "1 of 5 texts taken; left out: filter 2, write 2"},
		{"an evaluation of two tasks", "eval", map[string]string{
			"a/summary.json": `{"task": "a", "s_l": 41.5, "ended": 0.175, "words": {"median": 1704}}`,
			"b/summary.json": `{"task": "b", "s_l": null, "ended": null, "words": {"median": 3}}`,
		}, "a: S_l 41.5, 18 % ended, 1704 words; b: 3 words"},
		{"a comparison", "eval compare", map[string]string{
			"x/a/scores.jsonl": score("1", "40") + score("2", "60"), "y/a/scores.jsonl": score("1", "50") + score("2", "70"),
		}, "a: S_l +10.0 (95 %: 10.0 to 10.0)"},
		{"nothing", "sft", nil, ""},
		{"what cannot be read", "pairs", map[string]string{"summary.json": "{"}, ""},
		{"a command that says nothing", "export", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, text := range c.files {
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, name, text)
			}
			if got := figure(&configs.Step{Command: strings.Fields(c.command), Args: []string{"x", "y"}, Dir: "."}); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
