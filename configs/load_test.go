package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
)

// smallest is a config with what has no default.
const smallest = "model: {path: m}\ndata: {sources: [{name: a, path: a.jsonl}]}\n"

func parsed(t *testing.T, yaml string, overrides ...string) *Config {
	t.Helper()
	c, err := Parse("C", []byte(yaml), overrides, nil)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, yaml)
	}
	return c
}

// rendered is every value by its path, as Resolved shows it.
func rendered(c *Config) map[string]string {
	out := map[string]string{}
	for _, f := range table().leaves {
		if v, ok := c.leaf(f); ok {
			out[f.path] = f.render(v)
		}
	}
	return out
}

// problems returns the lines of the error that yaml gets.
func problems(t *testing.T, yaml string, overrides ...string) []string {
	t.Helper()
	c, err := Parse("C", []byte(yaml), overrides, nil)
	if err == nil {
		return nil
	}
	var ps Problems
	if c != nil || !errors.As(err, &ps) || !fault.IsUsage(err) {
		t.Fatalf("got config %v and error %#v, want only Problems marked as usage", c, err)
	}
	return strings.Split(err.Error(), "\n")
}

func TestDefaultsAreThoseOfTheContract(t *testing.T) {
	got := rendered(parsed(t, smallest))
	want := map[string]string{
		"model.path": "m", "model.rope_scaling": "{}", "model.template": "auto", "model.template_date": `"2024-07-26"`,
		"data.sources":      "[{name: a, path: a.jsonl}]",
		"data.mix.strategy": "concatenate", "data.mix.stop": "first_exhausted", "data.dedup": "none",
		"data.held_out": "0.02", "data.max_length": "32768", "data.held_out_max_length": "0",
		"data.too_long": "skip", "data.on_bad_record": "error",
		"data.cache_dir":   "runs/cache",
		"packing.capacity": "32768", "packing.strategy": "best_fit_decreasing", "packing.weighting": "token",
		"packing.longwriter_sequences": "30.0", "packing.length_power": "0.5",
		"train.num_train_epochs": "4.0", "train.max_steps": "0",
		"train.per_device_train_batch_size": "1", "train.gradient_accumulation_steps": "8",
		"train.learning_rate": "1.0e-05", "train.lr_scheduler_type": "cosine",
		"train.min_lr_ratio": "0.1", "train.decay_ratio": "0.1", "train.warmup_ratio": "0.03", "train.warmup_steps": "0",
		"train.optim":        "adamw",
		"train.weight_decay": "0.1", "train.adam_beta1": "0.9", "train.adam_beta2": "0.95", "train.adam_epsilon": "1.0e-08",
		"train.max_grad_norm":          "1.0",
		"train.gradient_checkpointing": "auto", "train.precision": "auto", "train.memory_limit": `""`,
		"train.logging_steps": "1", "train.eval_steps": "100", "train.save_steps": "400", "train.save_total_limit": "3",
		"train.early_stopping_patience": "0", "train.freeze": "[]",
		"lora.rank": "0", "lora.alpha": "32.0", "lora.dropout": "0.0", "lora.target": "all-linear", "lora.variant": "lora",
		"lora.from": `""`, "lora.modules_to_save": "[]",
		"engine.kind": "native", "engine.python": `""`, "engine.processes": "0", "engine.shard": "0", "engine.deterministic": "false",
		"engine.compile": "auto", "engine.restarts": "0",
		"dpo.beta": "0.1", "dpo.loss_type": "sigmoid", "dpo.label_smoothing": "0.0", "dpo.simpo_gamma": "0.5",
		"dpo.sft_weight": "0.0", "dpo.reference": "initial", "dpo.share_prompts": "auto",
		"dpo.loss_weights": "[]", "dpo.ld_alpha": "1.0", "dpo.dpop_lambda": "50.0", "dpo.rdpo_alpha": "0.0",
		"dpo.desirable_weight": "1.0", "dpo.undesirable_weight": "1.0",
		"eval.read": `""`, "eval.during.prompts": `""`, "eval.during.samples": "1", "eval.during.max_new_tokens": "1024",
		"agentwrite.batch": "16", "agentwrite.budget": "0.0", "agentwrite.filter.dedup": "near", "agentwrite.filter.finished": "true",
		"agentwrite.filter.language": "true", "agentwrite.filter.leftovers": "true", "agentwrite.filter.loops": "true",
		"agentwrite.filter.max_repeated": "0.2", "agentwrite.filter.min_length_score": "60.0", "agentwrite.filter.min_words": "2000",
		"agentwrite.filter.near_share": "0.8", "agentwrite.filter.refusals": "true", "agentwrite.filter.strip": "true",
		"agentwrite.length_column": "length", "agentwrite.max_new_tokens": "4096", "agentwrite.max_paragraphs": "50",
		"agentwrite.plan_in_output": "false", "agentwrite.precision": "auto", "agentwrite.prompts": `""`, "agentwrite.rounds": "3",
		"agentwrite.select.ask_model": "false", "agentwrite.select.dedup": "near", "agentwrite.select.languages": "[en, zh]",
		"agentwrite.select.max_words": "0", "agentwrite.select.min_words": "2000", "agentwrite.select.most": "0",
		"agentwrite.select.near_share": "0.8", "agentwrite.select.ratio.en": "0.0", "agentwrite.select.ratio.mixed": "0.0",
		"agentwrite.select.ratio.other": "0.0", "agentwrite.select.ratio.zh": "0.0", "agentwrite.select.scraping": "true",
		"agentwrite.select.stated_length": "any", "agentwrite.select.toxic": "true", "agentwrite.temperature": "1.0",
		"agentwrite.top_p": "1.0", "agentwrite.tries": "3", "agentwrite.variant": "serial", "agentwrite.writer.concurrency": "8",
		"agentwrite.writer.key_env": "OPENAI_API_KEY", "agentwrite.writer.model": `""`, "agentwrite.writer.price.input": "0.0",
		"agentwrite.writer.price.output": "0.0", "agentwrite.writer.retries": "6", "agentwrite.writer.timeout": "600",
		"agentwrite.writer.url": `""`,
		"experiment.caps":       "[60, 300, 900]", "experiment.mode": "cut", "experiment.hours": "2.0", "experiment.seeds": "1",
		"experiment.target_tokens": "20000", "experiment.prompts": `""`, "experiment.samples": "1", "experiment.temperature": "0.8",
		"experiment.top_p": "1.0", "experiment.batch": "16",
		"eval.tasks": "[longbench-write, longwrite-ruler]", "eval.samples": "1", "eval.temperature": "0.5", "eval.top_p": "1.0",
		"eval.max_new_tokens": "32768", "eval.batch": "16", "eval.precision": "auto", "eval.compat": "paper",
		"eval.server.url": `""`, "eval.server.model": `""`, "eval.server.key_env": "OPENAI_API_KEY", "eval.server.timeout": "600",
		"eval.server.retries": "6", "eval.server.concurrency": "8",
		"eval.judge.url": `""`, "eval.judge.model": `""`, "eval.judge.key_env": "OPENAI_API_KEY", "eval.judge.timeout": "600",
		"eval.judge.retries": "6", "eval.judge.concurrency": "8", "eval.judge.mode": "strict",
		"eval.judge.against": `""`, "eval.judge.words": "0",
		"pairs.samples": "4", "pairs.temperature": "0.8", "pairs.top_p": "0.95", "pairs.max_new_tokens": "4096",
		"pairs.batch": "16", "pairs.precision": "auto",
		"pairs.length_column": "length", "pairs.length_weight": "1.0", "pairs.range_limit": "0",
		"pairs.repetition_weight": "0.0", "pairs.end_weight": "0.0", "pairs.judge_weight": "1.0", "pairs.command": "[]",
		"pairs.command_weight": "1.0", "pairs.command_timeout": "600",
		"pairs.rejected": "random", "pairs.min_margin": "0.0",
		"pairs.server.url": `""`, "pairs.server.model": `""`, "pairs.server.key_env": "OPENAI_API_KEY",
		"pairs.server.timeout": "600", "pairs.server.retries": "6", "pairs.server.concurrency": "4",
		"pairs.judge.url": `""`, "pairs.judge.model": `""`, "pairs.judge.key_env": "OPENAI_API_KEY", "pairs.judge.timeout": "600",
		"pairs.judge.retries": "6", "pairs.judge.concurrency": "4",
		"output.dir": "runs/C", "output.report_to": "[]",
		"sample.prompts": "0", "sample.max_new_tokens": "512", "sample.temperature": "0.0",
		"seed": "42", "threads": "0",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAListOfLossesOrOneAlone(t *testing.T) {
	for yaml, want := range map[string][2]string{
		"{loss_type: ipo}":   {"ipo", "[]"},
		"{loss_type: [ipo]}": {"ipo", "[]"},
		"{loss_type: [sigmoid, ipo], loss_weights: [0.8, 1]}": {"[sigmoid, ipo]", "[0.8, 1.0]"},
		"{loss_type: ipo, loss_weights: 2}":                   {"ipo", "2.0"},
	} {
		got := rendered(parsed(t, smallest+"dpo: "+yaml+"\n"))
		if got["dpo.loss_type"] != want[0] || got["dpo.loss_weights"] != want[1] {
			t.Errorf("%s: got %s with weights %s, want %v", yaml, got["dpo.loss_type"], got["dpo.loss_weights"], want)
		}
	}
	c := parsed(t, smallest, "dpo.loss_type=[sigmoid, ipo]", "dpo.loss_weights=[1, 0.5]")
	if got := c.DPO.LossType; len(got) != 2 || got[1] != "ipo" || c.DPO.LossWeights[1] != 0.5 {
		t.Errorf("arguments give %v, %v", got, c.DPO.LossWeights)
	}
}

func TestProblems(t *testing.T) {
	cases, err := txtar.ParseFile("testdata/problems.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(cases.Files, txtar.File{
		Name: "bytes that are not UTF-8", Data: []byte("a: 1\nb: \xff\n===\nC:2:4: a byte that is not UTF-8, want UTF-8 text\n"),
	}) {
		t.Run(c.Name, func(t *testing.T) {
			yaml, want, _ := strings.Cut(string(c.Data), "===\n")
			got := strings.Join(problems(t, yaml), "\n") + "\n"
			if start, ok := strings.CutSuffix(want, "...\n"); ok && strings.HasPrefix(got, start) {
				return
			}
			if got != want {
				t.Errorf("got  %swant %s", got, want)
			}
		})
	}
}

func TestAllProblemsComeAtOnceInTheOrderOfTheFile(t *testing.T) {
	got := problems(t, `train:
  lr: 1
  learning_rate: fast
model_name_or_path: x
packing: {strategy: best}
seed: -1
`, "train.max_steps=many", "train.x", "train=1", "data.sources=[{path: 1}]")
	want := []string{
		`C:2:3: train.lr: unknown key, want train.learning_rate`,
		`C:3:18: train.learning_rate: "fast", want a number above 0 and at most 1`,
		`C:4:1: model_name_or_path: unknown key, want model.path`,
		`C:5:21: packing.strategy: "best", want best_fit_decreasing, next_fit, first_fit, histogram, sorted or hbp`,
		`C:6:7: seed: -1, want a whole number at least 0`,
		`argument data.sources=[{path: 1}]: data.sources[0].path: 1, want text; put it in quotes`,
		`argument train.max_steps=many: train.max_steps: "many", want a whole number at least 0 and at most 100000000`,
		`argument train.x: no =, want key=value, such as train.learning_rate=2e-5`,
		`argument train=1: train: a section, want one of its keys: train.num_train_epochs ...`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTheStrongestLayerWins(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{
			"LWTRAIN_SEED": "3", "LWTRAIN_THREADS": "3", "LWTRAIN_TRAIN_LEARNING_RATE": "3e-5", "LWTRAIN_OUTPUT_DIR": "123",
		}[name]
		return v, ok
	}
	c, err := Parse("dir/my run.yaml", []byte("recipe: smollm2\nseed: 2\ntrain: {learning_rate: 2e-5, weight_decay: 0}\n"),
		[]string{"seed=4", "threads=5", "threads=6"}, env)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][2]string{
		"seed":                {"4", "argument"},
		"threads":             {"6", "argument"},
		"train.learning_rate": {"3.0e-05", "environment LWTRAIN_TRAIN_LEARNING_RATE"},
		"output.dir":          {`"123"`, "environment LWTRAIN_OUTPUT_DIR"},
		"train.weight_decay":  {"0.0", "dir/my run.yaml:3"},
		"packing.capacity":    {"8192", "recipe smollm2:18"},
		"train.max_steps":     {"0", "default"},
	} {
		if got := rendered(c)[path]; got != want[0] {
			t.Errorf("%s is %s, want %s", path, got, want[0])
		}
		if got := c.Origin(path).String(); got != want[1] {
			t.Errorf("%s comes from %q, want %q", path, got, want[1])
		}
	}
}

func TestAStrongerLayerSwitchesTheAlternativeOff(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		args []string
		want map[string]string
	}{
		"warmup_steps over a recipe's ratio": {
			"recipe: glm4\ntrain: {warmup_steps: 7}\n", nil,
			map[string]string{"train.warmup_steps": "7", "train.warmup_ratio": "0.0"},
		},
		"warmup_ratio over a file's steps": {
			smallest + "train: {warmup_steps: 7}\n", []string{"train.warmup_ratio=0.5"},
			map[string]string{"train.warmup_steps": "0", "train.warmup_ratio": "0.5"},
		},
		"warmup_steps 0 leaves the default ratio": {
			smallest + "train: {warmup_steps: 0}\n", nil,
			map[string]string{"train.warmup_ratio": "0.03"},
		},
		"a path over a recipe's fresh model": {
			"recipe: tiny\nmodel: {path: m}\n", nil,
			map[string]string{"model.path": "m", "model.init.config": ""},
		},
		"nothing held out, nothing measured": {
			smallest, []string{"data.held_out=0"},
			map[string]string{"train.eval_steps": "0"},
		},
		"max_length follows a smaller capacity": {
			smallest, []string{"packing.capacity=512"},
			map[string]string{"data.max_length": "512"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := rendered(parsed(t, c.yaml, c.args...))
			for path, want := range c.want {
				if got[path] != want {
					t.Errorf("%s is %q, want %q", path, got[path], want)
				}
			}
		})
	}
}

// plainSource is one of which no more is said.
func plainSource(name, path string) data.Source {
	return data.Source{
		Name: name, Path: path, Format: "auto", Side: "all", TrainOn: "all", TrainReasoning: "true", Nulls: "drop", Repeat: 1,
		LossFactor: 1,
		Filter:     record.Filter{StatedLength: "any"}, CutAnswer: record.Cut{At: "sentence"},
	}
}

func TestHeldOutIsAFractionACountOrSources(t *testing.T) {
	for text, want := range map[string]data.HeldOut{
		"0.1": {Fraction: 0.1}, "0": {}, "0.0": {}, "1": {Count: 1}, "300": {Count: 300},
		"[{path: h.jsonl}]": {Sources: []data.Source{plainSource("h", "h.jsonl")}},
	} {
		got := parsed(t, smallest, "data.held_out="+text).Data.HeldOut
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestNamesOfSourcesAreNeverKeys(t *testing.T) {
	c := parsed(t, "model: {path: M.Path}\n"+
		"data: {sources: [{name: Open.Hermes-2, path: Dir.X/LongWriter-6k.jsonl, samples: 5, loss_factor: 0.5}]}\n")
	one := plainSource("Open.Hermes-2", "Dir.X/LongWriter-6k.jsonl")
	one.Samples, one.LossFactor = 5, 0.5
	want := []data.Source{one}
	if d := cmp.Diff(want, c.Data.Sources); d != "" {
		t.Error(d)
	}
	if got := c.Origin("data.sources[0].samples").String(); got != "C:2" {
		t.Errorf("samples come from %q, want C:2", got)
	}
}

func TestAliasesAndMergeKeysAreFollowed(t *testing.T) {
	c := parsed(t, `model: {path: m}
data:
  sources:
    - &a {name: a, path: a.jsonl, samples: 3}
    - {<<: *a, name: b}
    - {name: c, path: c.jsonl, samples: &n 7}
train: {max_steps: *n}
`)
	if s := c.Data.Sources[1]; s.Name != "b" || s.Path != "a.jsonl" || s.Samples != 3 {
		t.Errorf("the merged source is %+v", s)
	}
	if c.Train.MaxSteps != 7 {
		t.Errorf("max_steps is %d, want 7", c.Train.MaxSteps)
	}
}

func TestFresh(t *testing.T) {
	c, err := Load("tiny", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Model.Init == nil || c.Model.Init.Config["vocab_size"] != 259 {
		t.Errorf("init is %+v, want a config of 259 tokens", c.Model.Init)
	}
}

func TestWhereAConfigIsFound(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("tiny.yaml", []byte(smallest), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("smollm2", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]OriginKind{"tiny": Recipe, "tiny.yaml": File, "glm4.yaml": Recipe, "smollm2": Recipe} {
		c, err := Load(name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Origin("data.sources").Kind; got != want {
			t.Errorf("%s: the sources come from %v, want %v", name, got, want)
		}
	}
	const recipes = ", want a YAML file or a recipe: " +
		"glm4, length-cap, llama3.1, qwen2.5-0.5b, smollm2, smollm2-dpo, smollm2-pairs, smollm2-quickstart or tiny"
	for name, want := range map[string]string{
		"nosuch.yaml": "nosuch.yaml: no such file" + recipes,
		"tinny":       "tinny: no such file" + recipes + "; did you mean tiny?",
		".":           ".: a folder" + recipes,
		"../x":        "../x: no such file" + recipes,
	} {
		_, err := Load(name, nil, nil)
		if err == nil || err.Error() != want || !fault.IsUsage(err) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	if err := os.WriteFile("big.yaml", make([]byte, maxBytes+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load("big.yaml", nil, nil); err == nil || err.Error() != "big.yaml:1:1: 262145 bytes, want at most 262144" {
		t.Errorf("a file too large: %v", err)
	}
	if got, _ := filepath.Glob("*"); len(got) != 3 {
		t.Errorf("Load left %v behind", got)
	}
}

func TestUnknownVariablesAreNamed(t *testing.T) {
	got := UnknownEnv([]string{
		"HOME=/", "LWTRAIN_SEED=1", "LWTRAIN_TRAIN_LERNING_RATE=1", "LWTRAIN_TEST_DATA=x", "LWTRAIN_NO_ONEDNN=1", "LWTRAIN_QQQQQ=\x1b",
	})
	want := []string{"LWTRAIN_QQQQQ: no such key", "LWTRAIN_TRAIN_LERNING_RATE: no such key; did you mean LWTRAIN_TRAIN_LEARNING_RATE?"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
