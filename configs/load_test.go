package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lwtrain/data"
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
		"model.path": "m", "model.template": "auto",
		"data.sources":      "[{name: a, path: a.jsonl}]",
		"data.mix.strategy": "concatenate", "data.mix.stop": "first_exhausted", "data.dedup": "none",
		"data.held_out": "0.02", "data.max_length": "32768", "data.too_long": "skip", "data.on_bad_record": "error", "data.cache_dir": "runs/cache",
		"packing.capacity": "32768", "packing.strategy": "best_fit_decreasing", "packing.weighting": "token",
		"train.num_train_epochs": "4.0", "train.max_steps": "0",
		"train.per_device_train_batch_size": "1", "train.gradient_accumulation_steps": "8",
		"train.learning_rate": "1.0e-05", "train.lr_scheduler_type": "cosine", "train.warmup_ratio": "0.03", "train.warmup_steps": "0",
		"train.weight_decay": "0.1", "train.adam_beta1": "0.9", "train.adam_beta2": "0.95", "train.adam_epsilon": "1.0e-08", "train.max_grad_norm": "1.0",
		"train.gradient_checkpointing": "auto", "train.precision": "auto", "train.memory_limit": `""`,
		"train.logging_steps": "1", "train.eval_steps": "100", "train.save_steps": "400", "train.save_total_limit": "3",
		"dpo.beta": "0.1", "dpo.loss_type": "sigmoid", "dpo.label_smoothing": "0.0", "dpo.simpo_gamma": "0.5", "dpo.sft_weight": "0.0", "dpo.reference": "initial",
		"dpo.loss_weights": "[]", "dpo.ld_alpha": "1.0", "dpo.dpop_lambda": "50.0", "dpo.rdpo_alpha": "0.0", "dpo.desirable_weight": "1.0", "dpo.undesirable_weight": "1.0",
		"pairs.samples": "4", "pairs.temperature": "0.8", "pairs.top_p": "0.95", "pairs.max_new_tokens": "4096", "pairs.batch": "16", "pairs.precision": "auto",
		"pairs.length_column": "length", "pairs.length_weight": "1.0", "pairs.judge_weight": "1.0", "pairs.command": "[]", "pairs.command_weight": "1.0", "pairs.command_timeout": "600",
		"pairs.rejected": "random", "pairs.min_margin": "0.0",
		"pairs.server.url": `""`, "pairs.server.model": `""`, "pairs.server.key_env": "OPENAI_API_KEY", "pairs.server.timeout": "600", "pairs.server.retries": "6", "pairs.server.concurrency": "4",
		"pairs.judge.url": `""`, "pairs.judge.model": `""`, "pairs.judge.key_env": "OPENAI_API_KEY", "pairs.judge.timeout": "600", "pairs.judge.retries": "6", "pairs.judge.concurrency": "4",
		"output.dir": "runs/C", "sample.prompts": "0", "sample.max_new_tokens": "512", "sample.temperature": "0.0",
		"seed": "42", "threads": "0",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

const lossNames = "sigmoid, hinge, ipo, robust, simpo, orpo, kto, dpop, sigmoid_norm, rdpo, apo_zero or apo_down"

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
	const m = "model: {path: m}\n"
	const d = "data: {sources: [{name: a, path: a.jsonl}]}\n"
	rest := func(s string) string { return m + d + s }
	for name, c := range map[string]struct {
		yaml string
		want string
	}{
		"an empty file lacks model and data": {"", "C:1:1: model.path: missing, want a model folder in Hugging Face layout or a .gguf file (or model.init for a fresh model)\n" +
			"C:1:1: data.sources: missing, want a list of {name: ..., path: ...}"},
		"a list is no config":              {"- a\n", "C:1:1: a list of 1, want the keys model, data, packing, train, dpo, pairs, output, sample, seed, threads under it"},
		"a tab is named":                   {"train:\n\tseed: 1\n", "C:2:1: not YAML: found character that cannot start any token; YAML is indented with spaces, not tabs, and text that begins with @, ` or % needs quotes"},
		"a second document is refused":     {smallest + "---\na: 1\n", "C:3:1: a second YAML document, want one"},
		"bytes that are not UTF-8":         {"a: 1\nb: \xff\n", "C:2:4: a byte that is not UTF-8, want UTF-8 text"},
		"a misspelt key gets a suggestion": {rest("train:\n  lerning_rate: 1\n"), "C:4:3: train.lerning_rate: unknown key; did you mean learning_rate?"},
		"a key in the wrong section":       {rest("learning_rate: 1\n"), "C:3:1: learning_rate: unknown key, want train.learning_rate"},
		"LLaMA-Factory's cutoff_len":       {rest("cutoff_len: 1\n"), "C:3:1: cutoff_len: unknown key, want data.max_length"},
		"axolotl's sequence_len":           {rest("sequence_len: 1\n"), "C:3:1: sequence_len: unknown key, want data.max_length"},
		"TRL's output_dir under train":     {rest("train: {output_dir: x}\n"), "C:3:9: train.output_dir: unknown key, want output.dir"},
		"LoRA has no counterpart":          {rest("lora_r: 8\n"), "C:3:1: lora_r: unknown key, want it left out (every weight is trained: there are no adapters and no quantised weights)"},
		"base_model instead of model.path": {"base_model: m\n" + d, "C:1:1: base_model: unknown key, want model.path"},
		"datasets instead of data.sources": {m + "datasets: []\n", "C:2:1: datasets: unknown key, want data.sources"},
		"a key without any likeness":       {rest("output: {zzzzzzzz: 1}\n"), "C:3:10: output.zzzzzzzz: unknown key, want one of: dir"},
		"an unknown key of a source":       {m + "data:\n  sources:\n    - {path: x, sample: 3}\n", "C:4:17: data.sources[0].sample: unknown key; did you mean samples?"},
		"a key given twice":                {rest("seed: 1\nseed: 2\n"), "C:4:1: seed: given twice, want it once (it is on line 3 too)"},
		"null":                             {rest("seed: null\n"), "C:3:7: seed: nothing (null), want a whole number at least 0; leave the key out for the default"},
		"a number in quotes":               {rest("train: {learning_rate: \"1e-5\"}\n"), "C:3:24: train.learning_rate: \"1e-5\", want a number above 0 and at most 1, without quotes"},
		"a duration for a number of steps": {rest("train: {save_steps: 10m}\n"), "C:3:21: train.save_steps: \"10m\", want a whole number at least 0; steps are counted, not timed"},
		"a fraction for a number of steps": {rest("train: {save_steps: 0.1}\n"), "C:3:21: train.save_steps: 0.1, want a whole number at least 0"},
		"an integer written as a float":    {rest("train: {save_steps: 1e3}\n"), "C:3:21: train.save_steps: 1e3, want a whole number at least 0: write 1000"},
		"a hexadecimal number":             {rest("train: {save_steps: 0x10}\n"), "C:3:21: train.save_steps: 0x10, want a whole number at least 0, written in decimal"},
		"an octal number":                  {rest("train: {save_steps: 010}\n"), "C:3:21: train.save_steps: 010, want a whole number at least 0, written in decimal"},
		"a negative number":                {rest("train: {weight_decay: -0.1}\n"), "C:3:23: train.weight_decay: -0.1, want a number at least 0 and below 10"},
		"infinity":                         {rest("train: {learning_rate: .inf}\n"), "C:3:24: train.learning_rate: .inf, want a number above 0 and at most 1"},
		"not a number":                     {rest("train: {learning_rate: .nan}\n"), "C:3:24: train.learning_rate: .nan, want a number above 0 and at most 1"},
		"a number beyond 64 bits":          {rest("seed: 18446744073709551616\n"), "C:3:7: seed: 18446744073709551616, want a whole number at least 0"},
		"a number for text":                {"model: {path: 5}\n" + d, "C:1:15: model.path: 5, want text; put it in quotes"},
		"a date for text":                  {"model: {path: 2024-01-01}\n" + d, "C:1:15: model.path: the date 2024-01-01, want text; put it in quotes"},
		"a list for text":                  {"model: {path: [a]}\n" + d, "C:1:15: model.path: a list of 1, want text"},
		"a control character":              {"model: {path: \"a\\e[31m\"}\n" + d, `C:1:15: model.path: "a\x1b[31m" has a control character, want text of one line`},
		"a foreign tag":                    {rest("seed: !!python/object 5\n"), "C:3:7: seed: \"5\" tagged !!python/object, want a whole number at least 0"},
		"an unknown value lists the known": {rest("train: {precision: fp32}\n"), "C:3:20: train.precision: \"fp32\", want auto, bf16 or float32; did you mean float32?"},
		"yes is not true":                  {rest("train: {gradient_checkpointing: yes}\n"), "C:3:33: train.gradient_checkpointing: \"yes\", want auto, true or false; did you mean true?"},
		"packing as a switch":              {rest("packing: true\n"), "C:3:10: packing: true, want the keys capacity, strategy, weighting under it (samples are always packed, and never see each other)"},
		"a section that is only text":      {"model: m\n" + d, "C:1:8: model: \"m\", want the keys path, init, template under it; did you mean {path: m}?"},
		"a decimal comma":                  {rest("train:\n  learning_rate: 1,5e-5\n"), "C:4:18: train.learning_rate: \"1,5e-5\", want a number above 0 and at most 1, with a point: 1.5e-5"},
		"a key with dots":                  {rest("train.max_steps: 5\n"), "C:3:1: train.max_steps: unknown key, want it nested: train: {max_steps: ...}"},
		"a home folder":                    {rest("output: {dir: ~/x}\n"), "C:3:15: output.dir: \"~/x\", want it written out: ~ and $ mean something to a shell only"},
		"a variable":                       {rest("output: {dir: $HOME/x}\n"), "C:3:15: output.dir: \"$HOME/x\", want it written out: ~ and $ mean something to a shell only"},
		"more held out than there is": {m + "data: {sources: [{path: a, samples: 5}, {path: b, samples: 5}], held_out: 10}\n",
			"C:2:75: data.held_out: 10, want fewer than the 10 samples of data.sources, so that some are left to train on"},
		"a tab further right":          {"train:\n  a: 1\n  \tseed: 1\n", "C:3:3: not YAML: found a tab character that violates indentation; YAML is indented with spaces, not tabs, and text that begins with @, ` or % needs quotes"},
		"a bracket that stays open":    {"seed: 1\nmodel: {path: m\n", "C:2:1: not YAML: did not find expected ',' or '}'; a bracket that opens here is not closed, or a comma is missing"},
		"a key indented by mistake":    {"seed: 1\nmodel: {path: m}\n  data: x\n", "C:3:3: not YAML: did not find expected key; a key is indented more or less than its neighbours, or a quote ends too early"},
		"an unknown alias":             {"seed: 1\nthreads: *few\n", "C:2:10: not YAML: unknown anchor 'few' referenced; text that begins with * needs quotes"},
		"a misspelling before a group": {rest("train: {eval_step: 1}\n"), "C:3:9: train.eval_step: unknown key; did you mean eval_steps?"},
		"a group of foreign keys":      {rest("wandb_run_id: 1\n"), "C:3:1: wandb_run_id: unknown key, want it left out (metrics go to metrics.jsonl in output.dir)"},

		"a source that is only a path":        {m + "data: {sources: [a.jsonl]}\n", "C:2:18: data.sources[0]: \"a.jsonl\", want {name: ..., path: ...}; did you mean {path: a.jsonl}?"},
		"a source without a path":             {m + "data: {sources: [{name: a}]}\n", "C:2:18: data.sources[0].path: missing, want the path of a file of conversations"},
		"sources that are a map":              {m + "data: {sources: {a: b}}\n", "C:2:17: data.sources: a map of keys, want a list of {name: ..., path: ...}"},
		"two amounts of a source":             {m + "data: {sources: [{path: x, samples: 3, tokens: 5}]}\n", "C:2:48: data.sources[0].tokens: given beside samples, want one of samples, fraction and tokens"},
		"a role that no template has":         {m + "data: {sources: [{path: x, roles: {bot: asistant}}]}\n", "C:2:35: data.sources[0].roles.bot: \"asistant\", want system, developer, user, assistant, tool, observation, function, ipython or function_call; did you mean assistant?"},
		"a role that is a number":             {m + "data: {sources: [{path: x, roles: {bot: 5}}]}\n", "C:2:35: data.sources[0].roles.bot: 5, want text; put it in quotes"},
		"a broken expression":                 {m + "data: {sources: [{path: x, filter: {prompt: \"(\"}}]}\n", "C:2:45: data.sources[0].filter.prompt: error parsing regexp: missing closing ): `(`, want a regular expression of RE2"},
		"a probability without interleaving":  {m + "data: {sources: [{path: x, probability: 0.5}]}\n", "C:2:41: data.sources[0].probability: 0.5, but only interleaved sources are drawn by it, want data.mix.strategy: interleave, or samples, fraction, tokens or repeat"},
		"probabilities that do not add up":    {m + "data: {mix: {strategy: interleave}, sources: [{path: x, probability: 0.5}, {path: y, probability: 0.4}]}\n", "C:2:46: data.sources: the probabilities add up to 0.9, want 1"},
		"a probability for one source of two": {m + "data: {mix: {strategy: interleave}, sources: [{path: x, probability: 1}, {path: y}]}\n", "C:2:74: data.sources[1].probability: missing or 0, want one for each source, or for none"},
		"held-out data that is repeated":      {m + "data: {sources: [{path: x}], held_out: [{path: y, repeat: 2}]}\n", "C:2:59: data.held_out[0].repeat: 2, want it left out: what is held out is measured once"},
		"names of LLaMA-Factory's in a source": {m + "data: {sources: [{file_name: x, formatting: sharegpt, columns: {query: q}, tags: {}}]}\n", "C:2:19: data.sources[0].file_name: unknown key, want path\n" +
			"C:2:33: data.sources[0].formatting: unknown key, want format\nC:2:65: data.sources[0].columns.query: unknown key, want input\n" +
			"C:2:76: data.sources[0].tags: unknown key, want columns"},
		"two sources of one name":     {m + "data: {sources: [{name: a, path: x}, {name: a, path: y}]}\n", "C:2:45: data.sources[1].name: \"a\", which is the name of data.sources[0] too, want another"},
		"no source carries loss":      {m + "data: {sources: [{path: x, loss_factor: 0}]}\n", "C:2:17: data.sources: every loss_factor is 0, want at least one above 0"},
		"a held-out fraction above 1": {m + "data: {sources: [{path: x}], held_out: 1.5}\n", "C:2:40: data.held_out: the fraction 1.5, want at least 0 and below 1 (a whole number is a count of samples)"},
		"a held-out percentage":       {m + "data: {sources: [{path: x}], held_out: 5%}\n", "C:2:40: data.held_out: \"5%\", want a fraction such as 0.02, a count such as 200, or a list of sources"},
		"a held-out file that is trained on": {m + "data: {sources: [{name: a, path: x}], held_out: [{name: b, path: ./x}]}\n",
			"C:2:66: data.held_out[0].path: \"./x\", which data.sources[0] trains on, want a file of its own"},
		"capacity below max_length":    {m + "data: {sources: [{path: x}], max_length: 4096}\npacking: {capacity: 2048}\n", "C:3:21: packing.capacity: 2048, want at least data.max_length (4096): the longest samples would fit no pack"},
		"max_length above the default": {m + "data: {sources: [{path: x}], max_length: 65536}\n", "C:2:42: data.max_length: 65536, want at most packing.capacity (32768): the longest samples would fit no pack"},
		"a warm-up longer than the run": {rest("train: {max_steps: 10, warmup_steps: 11}\n"),
			"C:3:38: train.warmup_steps: 11, want at most max_steps (10)"},
		"both warm-ups":                   {rest("train: {warmup_ratio: 0.1, warmup_steps: 11}\n"), "C:3:42: train.warmup_steps: 11, and warmup_ratio is 0.1: want only one of them"},
		"evaluation without held-out":     {m + "data: {sources: [{path: x}], held_out: 0}\ntrain: {eval_steps: 5}\n", "C:3:21: train.eval_steps: 5, but data.held_out leaves nothing to measure on, want 0, or held-out samples"},
		"answers without held-out":        {m + "data: {sources: [{path: x}], held_out: 0}\nsample: {prompts: 1}\n", "C:3:19: sample.prompts: 1, but data.held_out leaves no prompts, want 0, or held-out samples"},
		"a margin without simpo":          {rest("dpo: {simpo_gamma: 1}\n"), "C:3:20: dpo.simpo_gamma: only loss_type simpo has a margin, want loss_type: simpo or no simpo_gamma (loss_type is sigmoid)"},
		"a loss that needs a reference":   {rest("dpo: {reference: none}\n"), "C:3:18: dpo.reference: none, but loss_type sigmoid needs one, want initial or a model folder"},
		"an unknown loss in a list":       {rest("dpo: {loss_type: [sigmoid, dpo_norm]}\n"), "C:3:28: dpo.loss_type: \"dpo_norm\", want " + lossNames + "; did you mean sigmoid_norm?"},
		"a map for a loss":                {rest("dpo: {loss_type: {sigmoid: 1}}\n"), "C:3:18: dpo.loss_type: a map of keys, want " + lossNames},
		"a weight that is none":           {rest("dpo: {loss_type: [sigmoid, ipo], loss_weights: [1, 0]}\n"), "C:3:52: dpo.loss_weights: 0, want a number above 0"},
		"a weight too many":               {rest("dpo: {loss_weights: [1, 2]}\n"), "C:3:21: dpo.loss_weights: 2 of them, want 1, one for each of loss_type (sigmoid)"},
		"both path and init":              {"model: {path: m, init: {config: {model_type: llama, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 259}}}\n" + d, "C:1:33: model.init.config: there is a model.path too, want only one of them"},
		"an unknown architecture":         {"model: {init: {config: {model_type: gpt9}}}\n" + d, "C:1:24: model.init.config: model_type is \"gpt9\", want one of: llama"},
		"memory that is no memory":        {rest("train: {memory_limit: 8 apples}\n"), "C:3:23: train.memory_limit: \"8 apples\", want bytes as 8589934592, 8GiB or 16GB"},
		"an unknown recipe":               {"recipe: smolm2\n", "C:1:9: recipe: \"smolm2\", want the name of a shipped recipe: glm4, llama3.1, qwen2.5-0.5b, smollm2, smollm2-dpo, smollm2-pairs, smollm2-quickstart or tiny; did you mean smollm2?"},
		"what follows from a wrong value": {m + "data: {sources: [{path: x}], max_length: big}\npacking: {capacity: 64}\n", "C:2:42: data.max_length: \"big\", want a whole number at least 8 and at most 4194304"},
		"a map as a key":                  {rest("? {a: b}\n: c\n"), "C:3:3: a map of keys as a key, want text"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(problems(t, c.yaml), "\n")
			want := c.want
			if strings.HasPrefix(name, "an unknown architecture") && strings.HasPrefix(got, strings.TrimSuffix(want, "llama")) {
				return // the list of known ones grows
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
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
		`C:5:21: packing.strategy: "best", want best_fit_decreasing or next_fit`,
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
		"warmup_steps over a recipe's ratio":      {"recipe: glm4\ntrain: {warmup_steps: 7}\n", nil, map[string]string{"train.warmup_steps": "7", "train.warmup_ratio": "0.0"}},
		"warmup_ratio over a file's steps":        {smallest + "train: {warmup_steps: 7}\n", []string{"train.warmup_ratio=0.5"}, map[string]string{"train.warmup_steps": "0", "train.warmup_ratio": "0.5"}},
		"warmup_steps 0 leaves the default ratio": {smallest + "train: {warmup_steps: 0}\n", nil, map[string]string{"train.warmup_ratio": "0.03"}},
		"a path over a recipe's fresh model":      {"recipe: tiny\nmodel: {path: m}\n", nil, map[string]string{"model.path": "m", "model.init.config": ""}},
		"nothing held out, nothing measured":      {smallest, []string{"data.held_out=0"}, map[string]string{"train.eval_steps": "0"}},
		"max_length follows a smaller capacity":   {smallest, []string{"packing.capacity=512"}, map[string]string{"data.max_length": "512"}},
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
	return data.Source{Name: name, Path: path, Format: "auto", Side: "all", TrainOn: "all", Repeat: 1, Filter: data.Filter{StatedLength: "any"}, LossFactor: 1}
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
	c := parsed(t, "model: {path: M.Path}\ndata: {sources: [{name: Open.Hermes-2, path: Dir.X/LongWriter-6k.jsonl, samples: 5, loss_factor: 0.5}]}\n")
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
	for name, want := range map[string]string{
		"nosuch.yaml": "nosuch.yaml: no such file, want a YAML file or a recipe: glm4, llama3.1, qwen2.5-0.5b, smollm2, smollm2-dpo, smollm2-pairs, smollm2-quickstart or tiny",
		"tinny":       "tinny: no such file, want a YAML file or a recipe: glm4, llama3.1, qwen2.5-0.5b, smollm2, smollm2-dpo, smollm2-pairs, smollm2-quickstart or tiny; did you mean tiny?",
		".":           ".: a folder, want a YAML file or a recipe: glm4, llama3.1, qwen2.5-0.5b, smollm2, smollm2-dpo, smollm2-pairs, smollm2-quickstart or tiny",
		"../x":        "../x: no such file, want a YAML file or a recipe: glm4, llama3.1, qwen2.5-0.5b, smollm2, smollm2-dpo, smollm2-pairs, smollm2-quickstart or tiny",
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
	got := UnknownEnv([]string{"HOME=/", "LWTRAIN_SEED=1", "LWTRAIN_TRAIN_LERNING_RATE=1", "LWTRAIN_TEST_DATA=x", "LWTRAIN_NO_ONEDNN=1", "LWTRAIN_ZZZ=\x1b"})
	want := []string{"LWTRAIN_TRAIN_LERNING_RATE: no such key; did you mean LWTRAIN_TRAIN_LEARNING_RATE?", "LWTRAIN_ZZZ: no such key"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
