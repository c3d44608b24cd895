package migrate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lwtrain/configs"
)

// files writes the files of a case, the first of which is the config, and works among them.
func files(t *testing.T, of map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range of {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const llamaInfo = `{
  "long": {"file_name": "long.json", "formatting": "sharegpt", "columns": {"messages": "conversations", "tools": "functions"},
           "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "asker", "assistant_tag": "gpt"}},
  "general": {"hf_hub_url": "someone/general", "columns": {"prompt": "question", "query": "about", "response": "reply"}},
  "pairs": {"file_name": "pairs.json", "ranking": true, "columns": {"prompt": "instruction", "chosen": "good", "rejected": "bad"}},
  "books": {"file_name": "books.jsonl", "columns": {"prompt": "page"}}
}`

var examples = []struct {
	name, config, command string
	files                 map[string]string
	want                  []string // settings that must be there
	notes                 []string // keys that are noted, behind their kind
}{
	{
		name: "LLaMA-Factory's defaults hold where a config says nothing, and its datasets are looked up",
		config: `
model_name_or_path: a/b
stage: sft
lora_target: q_proj,v_proj
dataset: long,general
template: qwen3
max_samples: 100
deepspeed: ds.json
output_dir: out
fp16: true
report_to: [tensorboard, wandb]
optim: paged_adamw_8bit
`,
		files: map[string]string{"data/dataset_info.json": llamaInfo}, command: "sft",
		want: []string{"model.path=a/b", "train.learning_rate=5.0e-05", "train.num_train_epochs=3.0",
			"train.per_device_train_batch_size=8",
			"train.adam_beta2=0.999", "train.weight_decay=0.0", "train.warmup_ratio=0.0", "train.lr_scheduler_type=linear", "lora.rank=8",
			"lora.alpha=16.0", `lora.target=["q_proj", "v_proj"]`, "data.max_length=2048", "packing.capacity=2048",
			"data.too_long=truncate",
			"packing.weighting=token", "train.precision=bf16", "data.held_out=0", "train.optim=adamw_8bit",
			"output.report_to=[tensorboard]",
			`data.sources=[{name: "long", path: "data/long.json", columns: {messages: "conversations", tools: "functions", ` +
				`role: "who", content: "what"}, ` +
				`roles: {"asker": user}, samples: 100}, ` +
				`{name: "general", path: "hf://someone/general", ` +
				`columns: {instruction: "question", input: "about", output: "reply"}, samples: 100}]`},
		notes: []string{"differs template", "differs max_samples", "differs deepspeed", "differs fp16", "missing report_to", "differs " +
			"per_device_train_batch_size"},
	},
	{
		name: "LLaMA-Factory's SimPO needs no reference, and mixes sources by their probability",
		config: `
model_name_or_path: a/b
stage: dpo
finetuning_type: full
pref_loss: simpo
pref_beta: 2.5
simpo_gamma: 1.2
dataset: [pairs, far/away]
mix_strategy: interleave_over
interleave_probs: 0.7,0.3
val_size: 0.1
eval_strategy: steps
eval_steps: 20
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {min_lr: 1.0e-6}
learning_rate: 1.0e-5
`,
		files: map[string]string{"data/dataset_info.json": llamaInfo}, command: "dpo",
		want: []string{"dpo.loss_type=simpo", "dpo.reference=none", "dpo.beta=2.5", "dpo.simpo_gamma=1.2", "data.mix.strategy=interleave",
			"data.mix.stop=all_exhausted", "data.held_out=0.1", "train.eval_steps=20",
			"data.too_long=skip", "train.lr_scheduler_type=cosine_with_min_lr",
			"train.min_lr_ratio=0.1",
			`data.sources=[{name: "pairs", path: "data/pairs.json", columns: {chosen: "good", rejected: "bad"}, probability: 0.7}, ` +
				`{name: "far/away", path: "hf://far/away", probability: 0.3}]`},
	},
	{
		name:    "LLaMA-Factory's pre-training reads texts, and joins samples that see each other there",
		config:  "model_name_or_path: a/b\nstage: pt\nfinetuning_type: full\ndataset: books\n",
		files:   map[string]string{"data/dataset_info.json": llamaInfo},
		command: "sft",
		want:    []string{`data.sources=[{name: "books", path: "data/books.jsonl", format: text, columns: {text: "page"}}]`},
		notes:   []string{"differs packing"},
	},
	{
		name: "axolotl's columns, roles and parts of a dataset are taken",
		config: `
base_model: meta-llama/Llama-3.2-1B
datasets:
  - path: someone/talks
    type: chat_template
    split: train[:20%]
    field_messages: conversation
    message_property_mappings: {role: from, content: value}
    roles: {assistant: [bot, gpt], user: [human]}
    train_on_eos: turn
  - {path: local.jsonl, type: alpaca}
val_set_size: 0.05
sequence_len: 4096
sample_packing: true
adapter: qlora
load_in_4bit: true
lora_r: 32
lora_alpha: 16
lora_target_linear: true
lora_modules_to_save: [embed_tokens, lm_head]
peft_use_rslora: true
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 4
optimizer: adamw_bnb_8bit
lr_scheduler: cosine
learning_rate: 0.0002
bf16: auto
evals_per_epoch: 4
saves_per_epoch: 1
wandb_project:
special_tokens: {pad_token: "<|end_of_text|>"}
something_new: 5
`,
		files: map[string]string{"local.jsonl": "{}\n"}, command: "sft",
		want: []string{"model.path=meta-llama/Llama-3.2-1B", "train.warmup_ratio=0.03", "train.per_device_train_batch_size=2",
			"lora.rank=32", "lora.alpha=16", "train.optim=adamw_8bit",
			"lora.dropout=0.0", "lora.target=all-linear", "lora.variant=rslora", `lora.modules_to_save=["embed_tokens", "lm_head"]`,
			"data.too_long=skip", "data.max_length=4096",
			"train.precision=auto",
			`data.sources=[{name: "talks", path: "hf://someone/talks", format: messages, ` +
				`columns: {messages: "conversation", role: "from", content: "value"}, ` +
				`roles: {"bot": assistant}, fraction: 0.2}, {name: "local", path: "local.jsonl", format: alpaca}]`},
		notes: []string{"differs adapter", "missing load_in_4bit", "differs evals_per_epoch", "differs saves_per_epoch", "differs " +
			"special_tokens", "missing something_new",
			"same datasets"},
	},
	{
		name: "axolotl's KTO takes its weights, and a schedule that ends at its peak is constant",
		config: `
base_model: a/b
rl: kto
rl_beta: 0.5
kto_desirable_weight: 0.2
datasets: [{path: c/d, type: llama3.ultra}]
learning_rate: 1e-5
cosine_min_lr_ratio: 1.0
`,
		command: "dpo",
		want: []string{"dpo.loss_type=kto", "dpo.beta=0.5", "dpo.desirable_weight=0.2", "dpo.undesirable_weight=1.0",
			"train.lr_scheduler_type=constant",
			"data.max_length=512"},
		notes: []string{"differs datasets"},
	},
	{
		name: "a command line of TRL, behind a launcher, is read as its own YAML would be",
		config: `#!/bin/bash
export TOKENIZERS_PARALLELISM=false
accelerate launch --num_processes 8 trl/scripts/dpo.py \
  --dataset_name org/pairs --dataset_train_split "train[:500]" \
  --model_name_or_path 'Qwen/Qwen2-0.5B' --learning-rate=5.0e-6 --num_train_epochs 1 \
  --loss_type sigmoid sft --loss_weights 1.0 0.5 --beta 0.2 --use_peft --lora_r 32 --lora_modules_to_save lm_head \
  --no_remove_unused_columns --packing_strategy bfd_split --eval_strategy steps --eval_steps 50
`,
		command: "dpo",
		want: []string{"model.path=Qwen/Qwen2-0.5B", "train.learning_rate=5.0e-6", "dpo.loss_type=[sigmoid]", "dpo.sft_weight=0.5",
			"dpo.beta=0.2", "lora.rank=32",
			"lora.alpha=32", "lora.dropout=0.05", `lora.modules_to_save=["lm_head"]`, "data.max_length=1024", "train.eval_steps=50",
			"train.logging_steps=10", "data.too_long=skip",
			`data.sources=[{name: "pairs", path: "hf://org/pairs", samples: 500}]`},
		notes: []string{"differs max_length", "differs dataset_train_split", "same remove_unused_columns", "differs dataset_test_split"},
	},
	{
		name:    "TRL trains on all tokens where it is not told to leave out the prompts, which is said",
		config:  "trl sft --model_name_or_path a/b --dataset_name c/d --packing --max_length 8192\n",
		command: "sft",
		want:    []string{"packing.capacity=8192", "train.learning_rate=2.0e-05", "packing.weighting=token"},
		notes:   []string{"differs assistant_only_loss"},
	},
	{
		name:   "keys of a command line hold before those of the file that it names",
		config: "llamafactory-cli train base.yaml learning_rate=2e-5\n",
		files: map[string]string{"base.yaml": "stage: sft\nfinetuning_type: full\nmodel_name_or_path: a/b\ndataset: " +
			"c/d\nlearning_rate: 1e-5\n"},
		command: "sft",
		want:    []string{"train.learning_rate=2e-5"},
	},
	{
		name: "a command line with a map in it is none of YAML, and a table of datasets may lie beside the config that it names",
		config: `llamafactory-cli train far/examples/base.yaml --lr_scheduler_kwargs '{"min_lr_rate": 0.2}' ` +
			`--lr_scheduler_type cosine_with_min_lr`,
		files: map[string]string{"far/examples/base.yaml": "stage: sft\nfinetuning_type: full\nmodel_name_or_path: a/b\ndataset: books\n",
			"far/data/dataset_info.json": llamaInfo},
		command: "sft",
		want: []string{"train.min_lr_ratio=0.2", `data.sources=[{name: "books", path: "far/data/books.jsonl", ` +
			`columns: {instruction: "page"}}]`},
	},
	{
		name: "of LLaMA-Factory's datasets those that have no more than max_samples are taken whole, and the least bound holds",
		config: "stage: sft\nmodel_name_or_path: a/b\ndataset: one,two,three,few\nmax_samples: 2\nenable_thinking: false\n" +
			"rope_scaling: yarn\npref_beta: 0.1\nadapter_name_or_path: old\ncreate_new_adapter: true\n",
		files: map[string]string{"data/dataset_info.json": `{"one": {"file_name": "one.json"}, "two": {"file_name": "two.jsonl"},
			"three": {"file_name": "three.json"}, "few": {"file_name": "three.json", "num_samples": 1, "formatting": "sharegpt",
				"tags": {"function_tag": "calls"}}}`,
			"data/one.json": `[{"a": 1}]`, "data/two.jsonl": "{}\n\n{}\n", "data/three.json": `[{}, {}, {}]`},
		command: "sft",
		want: []string{`data.sources=[{name: "one", path: "data/one.json"}, {name: "two", path: "data/two.jsonl"}, ` +
			`{name: "three", path: "data/three.json", samples: 2}, ` +
			`{name: "few", path: "data/three.json", samples: 1, roles: {"calls": function_call}}]`},
		notes: []string{"differs max_samples", "differs enable_thinking", "differs rope_scaling", "same pref_beta",
			"differs create_new_adapter"},
	},
	{
		name: "TRL measures nothing without eval_strategy, and its lists of datasets may name configurations",
		config: `
model_name_or_path: a/b
load_in_4bit: true
eval_steps: 500
datasets: [{path: c/d, name: all, columns: [prompt]}, {path: data/e.jsonl}]
lr_scheduler_type: warmup_stable_decay
lr_scheduler_kwargs: {num_decay_steps: 100, min_lr_ratio: 0.1}
max_steps: 1000
`,
		command: "sft",
		want: []string{"train.eval_steps=0", "train.decay_ratio=0.1",
			`data.sources=[{name: "d", path: "hf://c/d"}, {name: "e", path: "data/e.jsonl"}]`},
		notes: []string{"same eval_steps", "missing load_in_4bit", "differs datasets", "differs lr_scheduler_kwargs"},
	},
	{
		name: "axolotl's ORPO has its beta from orpo_alpha, and what belongs to other losses is not taken",
		config: `
base_model: a/b
rl: orpo
orpo_alpha: 0.2
dpo_label_smoothing: 0.1
datasets: [{path: data/pairs.jsonl, type: chat_template.argilla, shards: 10, data_dir: x, train_on_eos: last}]
learning_rate: 1e-5
lr_scheduler: one_cycle
lr_scheduler_kwargs: {a: 1}
embeddings_skip_upcast: true
adapter: lora
lora_r: 8
lora_target_modules: '.*\.(q|v)_proj'
`,
		command: "dpo",
		want:    []string{"dpo.beta=0.2", "train.logging_steps=10", `data.sources=[{name: "pairs", path: "data/pairs.jsonl"}]`},
		notes: []string{"differs lora_target_modules", "same dpo_label_smoothing", "missing lr_scheduler_kwargs",
			"same embeddings_skip_upcast", "differs warmup_steps",
			"missing datasets"},
	},
}

func TestConfigsOfOthersBecomeOurs(t *testing.T) {
	for _, c := range examples {
		t.Run(c.name, func(t *testing.T) {
			all := map[string]string{"config.yaml": c.config}
			for k, v := range c.files {
				all[k] = v
			}
			files(t, all)
			got, err := File("config.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if got.Command != c.command {
				t.Errorf("for %s, want %s", got.Command, c.command)
			}
			for _, w := range c.want {
				if !slices.Contains(got.Overrides(), w) {
					t.Errorf("no %s among\n%s", w, strings.Join(got.Overrides(), "\n"))
				}
			}
			for _, w := range c.notes {
				if !slices.ContainsFunc(got.Notes, func(n Note) bool { return n.Kind.String()+" "+n.Key == w }) {
					t.Errorf("no note %q among %v", w, got.Notes)
				}
			}
			loadsAsWritten(t, got)
		})
	}
}

// loadsAsWritten checks that what becomes of a config is one, with all comments.
func loadsAsWritten(t *testing.T, got *Translation) {
	t.Helper()
	c, err := configs.Parse("config.yaml", nil, got.Overrides(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := append(c.Explained(got.Command, got.Why()), got.Comment()...)
	if _, err := configs.Parse("ours.yaml", text, nil, nil); err != nil {
		t.Errorf("what is written does not load: %v\n%s", err, text)
	}
}

func TestEveryKeyIsASettingOrNoted(t *testing.T) {
	for _, c := range examples {
		files(t, c.files)
		r := &reader{name: "config.yaml", given: map[string]entry{}, set: map[string]Setting{}}
		got, err := r.parse([]byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		said := map[string]bool{}
		for _, s := range got.Settings {
			key, _, _ := strings.Cut(s.From, ":")
			said[key] = true
		}
		for _, n := range got.Notes {
			said[n.Key] = true
		}
		for _, key := range r.keys {
			if !said[key] && r.shown(key) != "" {
				t.Errorf("%s: nothing is said of %s", c.name, key)
			}
		}
	}
}

func TestHostileFilesEndSoonAndAreRefused(t *testing.T) {
	bomb := "stage: sft\ncutoff_len: 5\na: &a [1,1,1,1,1,1,1,1,1]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += string(i) + ": &" + string(i) + " [" + strings.Repeat("*"+string(i-1)+",", 9) + "]\n"
	}
	begin := time.Now()
	for name, text := range map[string]string{
		"aliases that grow":      bomb,
		"no keys":                "- a\n",
		"an empty file":          "",
		"bytes that are no text": "\xff\xfe\x00",
		"a quote that is open":   "trl sft --a 'b",
		"a variable":             "trl sft --model_name_or_path $MODEL --dataset_name a/b",
		"two commands":           "trl sft --a b\ntrl dpo --a b\n",
		"deep lists":             "stage: sft\nx: " + strings.Repeat("[", 5000),
		"no dataset":             "llamafactory-cli export --model_name_or_path a/b",
		"rewards":                "trl grpo --model_name_or_path a/b --dataset_name c/d",
		"a program of another":   "swift sft --model a/b --dataset c",
		"a rate that is none":    "stage: sft\ndataset: a\nlora_rank: many\n",
	} {
		r := &reader{name: "f", given: map[string]entry{}, set: map[string]Setting{}}
		if _, err := r.parse([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range examples {
		f.Add([]byte(c.config))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := &reader{name: "config.yaml", given: map[string]entry{}, set: map[string]Setting{}}
		got, err := r.parse(raw)
		if err != nil {
			return
		}
		if c, err := configs.Parse("config.yaml", nil, got.Overrides(), nil); err == nil {
			text := append(c.Explained(got.Command, got.Why()), got.Comment()...)
			if _, err := configs.Parse("ours.yaml", text, nil, nil); err != nil {
				t.Fatalf("what is written does not load: %v", err)
			}
		}
	})
}
