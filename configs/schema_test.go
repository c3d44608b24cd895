package configs

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
)

func TestEveryKeyHasAMeaningAndANameThatViperKeeps(t *testing.T) {
	env := map[string]string{}
	for _, f := range append(slices.Clone(table().leaves), table().byPath["data.sources"].keys...) {
		if f.doc == "" {
			t.Errorf("%s has no doc", f.path)
		}
		if f.path != strings.ToLower(f.path) || strings.Trim(f.name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("%s: want lower case, digits and _", f.path)
		}
		if other := env[envName(f.path)]; other != "" {
			t.Errorf("%s and %s are both %s", f.path, other, envName(f.path))
		}
		env[envName(f.path)] = f.path
	}
	if n := len(Keys()); n != len(table().leaves) || n < 40 {
		t.Errorf("%d keys, want all %d", n, len(table().leaves))
	}
}

func TestTheTemplateKeyNamesAllTemplates(t *testing.T) {
	for _, name := range chat.Templates() {
		if doc := table().byPath["model.template"].doc; !strings.Contains(doc, name) {
			t.Errorf("model.template is %q, want %s in it", doc, name)
		}
	}
}

func TestDefaultsKeepTheirBounds(t *testing.T) {
	c := defaults()
	for _, f := range table().leaves {
		v, ok := c.leaf(f)
		switch {
		case !ok:
		case f.kind == several && f.enum != nil:
			for i := range v.Len() {
				if x := v.Index(i).String(); !slices.Contains(f.enum, x) {
					t.Errorf("%s defaults to %s, want one of %v", f.path, x, f.enum)
				}
			}
		case len(f.enum) > 0 && !slices.Contains(f.enum, v.String()):
			t.Errorf("%s defaults to %s, want one of %v", f.path, v, f.enum)
		case v.CanInt() && f.kind == whole && !f.within(float64(v.Int())), v.CanFloat() && !f.within(v.Float()):
			t.Errorf("%s defaults to %v, want %s", f.path, v, f.want())
		}
	}
}

func TestSchemaHasTheKeysOfTheLoader(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	var got []string
	var walk func(s map[string]any, path string)
	walk = func(s map[string]any, path string) {
		if s["additionalProperties"] != false {
			t.Errorf("%s takes unknown keys", path)
		}
		for k, v := range s["properties"].(map[string]any) {
			sub := v.(map[string]any)
			if sub["description"] == "" {
				t.Errorf("%s.%s has no description", path, k)
			}
			if sub["properties"] != nil {
				walk(sub, join(path, k))
			} else {
				got = append(got, join(path, k))
			}
		}
	}
	walk(s, "")
	want := []string{"recipe"}
	for _, f := range table().leaves {
		want = append(want, f.path)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the schema has %v, want %v", got, want)
	}
	train := s["properties"].(map[string]any)["train"].(map[string]any)["properties"].(map[string]any)
	if rate := train["learning_rate"].(map[string]any); rate["exclusiveMinimum"] != 0.0 || rate["default"] != 1e-5 {
		t.Errorf("learning_rate is %v, want above 0, by default 1e-5", rate)
	}
	dpo := s["properties"].(map[string]any)["dpo"].(map[string]any)["properties"].(map[string]any)
	loss := dpo["loss_type"].(map[string]any)["anyOf"].([]any)
	one, many := loss[0].(map[string]any), loss[1].(map[string]any)
	if one["type"] != "string" || one["enum"].([]any)[0] != "sigmoid" ||
		many["type"] != "array" || !reflect.DeepEqual(many["items"], loss[0]) {
		t.Errorf("loss_type is %v, want a name or a list of names", loss)
	}
	if g := train["gradient_checkpointing"].(map[string]any); !reflect.DeepEqual(g["enum"], []any{"auto", "true", true, "false", false}) {
		t.Errorf("gradient_checkpointing is %v", g)
	}
}

func TestForeignNamesLeadToOurs(t *testing.T) {
	sources := table().byPath["data.sources"].keys
	ofSources := names(append(leavesOf(sources), sources...))
	for name, to := range foreign {
		if table().byPath[name] != nil || find(table().root.keys, name) != nil {
			t.Errorf("%s is a key of ours", name)
		}
		if name != strings.ToLower(name) {
			t.Errorf("%s is not in lower case: it would never be found", name)
		}
		ofSource := slices.Contains(ofSources, strings.TrimPrefix(to, "data.sources[]."))
		if !strings.Contains(to, " ") && table().byPath[to] == nil && !ofSource {
			t.Errorf("%s leads to %s, which is no key", name, to)
		}
	}
	for _, name := range strings.Fields(`
		cutoff_len sequence_len lora_r lora_rank num_epochs micro_batch_size pref_beta model_name_or_path base_model output_dir
		neat_packing sample_packing val_size val_set_size datasets dataset bf16 max_seq_len dtype epochs lr lr_scheduler optimizer
		deepspeed rl_beta dpo_loss_type pref_loss rpo_alpha pref_ftx clip_grad_norm eval_strategy report_to wandb_project flash_attn
		template learning_rate warmup_ratio gradient_accumulation_steps seed max_length split_dataset_ratio fsdp_config ddp_timeout
		wandb_run_id mlflow_experiment_name hub_model_id push_to_hub load_in_8bit bnb_4bit_quant_type use_dora galore_rank
		early_stopping_patience load_best_model_at_end sample_packing_bin_size dataset_text_field dataset_num_proc chat_template_jinja
		eot_tokens dataloader_pin_memory torch_compile_backend enable_liger_kernel use_unsloth sequence_parallel_size
		cosine_min_lr_ratio neftune_noise_alpha do_sample top_p save_only_model kto_chosen_weight router_aux_loss_coef`) {
		if got := ours(name, name); got == "" && table().byPath[name] == nil && family(name) == "" {
			t.Errorf("%s leads nowhere", name)
		}
	}
	for _, f := range table().leaves {
		if why := family(f.name); why != "" && misses(f) {
			t.Errorf("a misspelling of %s is taken for another trainer's key: %s", f.path, why)
		}
	}
	all := []string{}
	for _, f := range append(leavesOf(sources), table().leaves...) {
		all = append(all, f.enum...)
	}
	for from, to := range values {
		if !slices.Contains(all, to) {
			t.Errorf("the value %s leads to %s, which is none", from, to)
		}
	}
}

// misses reports whether one letter too few makes a key of ours unknown.
func misses(f *field) bool {
	path := f.path[:len(f.path)-1]
	if table().byPath[path] != nil {
		return false
	}
	in := table().byPath[parent(f.path)]
	if in == nil {
		in = table().root
	}
	_, meant := unknownKey(path, in)
	return meant != f.path
}

func TestMisspellingsAreFound(t *testing.T) {
	words := []string{"learning_rate", "logging_steps", "warmup_steps", "warmup_ratio", "seed"}
	for got, want := range map[string]string{
		"lerning_rate": "learning_rate", "learnign_rate": "learning_rate", "learningrate": "learning_rate",
		"learning-rate": "learning_rate",
		"warmup_step":   "warmup_steps", "sede": "seed", "Seed": "seed", "x": "", "banana": "", "": "", strings.Repeat("s", 100): "",
	} {
		if c := closest(got, words); c != want {
			t.Errorf("%q is taken for %q, want %q", got, c, want)
		}
	}
}

func TestRecipesStandOnTheirOwn(t *testing.T) {
	want := strings.Fields("glm4 length-cap llama3.1 qwen2.5-0.5b smollm2 smollm2-dpo smollm2-pairs smollm2-quickstart tiny")
	if !reflect.DeepEqual(RecipeNames(), want) {
		t.Errorf("recipes are %v, want %v", RecipeNames(), want)
	}
	for _, name := range RecipeNames() {
		raw, _ := RecipeText(name)
		says := func(command string) bool { return strings.Contains(string(raw), "lwtrain "+command+" -c "+name) }
		if !says("sft") && !says("dpo") && !says("pairs") && !says("experiment length-cap") || len(RecipeSummary(name)) < 20 {
			t.Errorf("%s: the head lacks a summary or the command", name)
		}
		if strings.Contains(string(raw), "\nrecipe:") {
			t.Errorf("%s starts from another recipe", name)
		}
		for i, line := range strings.Split(string(raw), "\n") {
			if len(line) > 140 || strings.TrimRight(line, " ") != line {
				t.Errorf("%s:%d is too long or ends in blanks", name, i+1)
			}
		}
		if c, err := Load(name, nil, nil); err != nil || c.Output.Dir == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := RecipeText("../configs/glm4"); ok {
		t.Error("a recipe is found by a path")
	}
}

// LongWriter's numbers: arXiv:2408.07055 and train/ of THUDM/LongWriter.
func TestGLM4IsLongWritersRecipe(t *testing.T) {
	for _, name := range []string{"glm4", "llama3.1"} {
		c, err := Load(name, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := rendered(c)
		for key, want := range map[string]string{
			"packing.capacity": "32768", "data.max_length": "32768", "packing.weighting": "token", "train.learning_rate": "1.0e-05",
			"train.lr_scheduler_type": "cosine", "train.warmup_ratio": "0.03", "train.adam_beta1": "0.9", "train.adam_beta2": "0.95",
			"train.weight_decay": "0.1", "train.num_train_epochs": "4.0", "train.save_steps": "400",
		} {
			if got[key] != want {
				t.Errorf("%s: %s is %s, want %s", name, key, got[key], want)
			}
		}
		if packs := c.Train.PerDeviceTrainBatchSize * c.Train.GradientAccumulationSteps; packs != 8 {
			t.Errorf("%s: %d packs in a step, want 8", name, packs)
		}
	}
}
