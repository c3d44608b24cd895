package migrate

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// axolotl reads axolotl's config (src/axolotl/utils/schemas).
func axolotl(r *reader) {
	r.command = "sft"
	r.take("base_model", "model.path", "")
	r.take("output_dir", "output.dir", "runs/model-out")
	r.take("num_epochs", "train.num_train_epochs", "1.0")
	r.steps()
	r.take("micro_batch_size", "train.per_device_train_batch_size", "1")
	r.take("gradient_accumulation_steps", "train.gradient_accumulation_steps", "1")
	r.take("learning_rate", "train.learning_rate", "")
	if _, ok := r.set["train.learning_rate"]; !ok {
		r.problem("learning_rate", "want a number: axolotl has no default of it")
	}
	r.adamw()
	r.warmup("0.03")
	if r.text("warmup_ratio") == "" && r.text("warmup_steps") == "" {
		r.notes = append(r.notes, Note{"warmup_steps", "", Differs, "would have been 3 % of the steps, but at most 100; here 3 % of them"})
	}
	r.schedule("lr_scheduler", "cosine")
	if ratio := r.text("cosine_min_lr_ratio"); ratio != "" {
		r.endsAt(ratio, "cosine_min_lr_ratio")
	}
	r.optimiser("optimizer")
	r.take("seed", "seed", "42")
	r.take("logging_steps", "train.logging_steps", "10")
	r.often("evals_per_epoch", "eval_strategy", "eval_steps", "train.eval_steps", "no")
	r.often("saves_per_epoch", "save_strategy", "save_steps", "train.save_steps", "steps")
	r.take("save_total_limit", "train.save_total_limit", "4")
	r.take("early_stopping_patience", "train.early_stopping_patience", "")
	r.precision()
	if r.truth("use_tensorboard", false) {
		r.setFrom("output.report_to", "[tensorboard]", "use_tensorboard")
	}
	r.axolotlAdapters()
	r.axolotlPreferences()
	r.axolotlData()
	r.lengths("sequence_len", "512", map[string]string{"": "skip", "drop": "skip", "truncate": "truncate",
		"raise": "error"}[r.text("excess_length_strategy")])
	if r.command == "sft" {
		r.take("eval_sequence_len", "data.held_out_max_length", "")
		r.setting("packing.weighting", "token", "the mean over the targets of a step")
	}
	r.batches("micro_batch_size", r.truth("sample_packing", false))
	if t := r.text("chat_template"); t != "" && t != "tokenizer_default" {
		r.note("chat_template", Differs, "would have been axolotl's own writing of this template; here the model's chat_template is "+
			"used (model.template names another)")
	}
	if r.truth("train_on_inputs", false) {
		r.note("train_on_inputs", Missing, "would have trained on the prompts, too; here targets are the assistant's tokens alone")
	}
}

// often takes how often something is done: per epoch, or every so many steps.
func (r *reader) often(perEpoch, strategy, steps, ours, otherwise string) {
	if n, ok := r.number(perEpoch); ok && n > 0 {
		r.note(perEpoch, Differs, fmt.Sprintf("would have been done so often in each epoch; %s counts steps, of which `lwtrain plan` "+
			"says how many an epoch has", ours))
		return
	}
	r.every(strategy, steps, ours, otherwise)
}

func (r *reader) axolotlAdapters() {
	switch kind := r.text("adapter"); kind {
	case "":
		return
	case "lora", "qlora":
		if kind == "qlora" {
			r.note("adapter", Differs, "would have kept the base in 4 bits; here it stays in the precision of its file (lora)")
		}
	default:
		r.problem("adapter", "want lora or qlora: lwtrain has no other adapters")
		return
	}
	r.take("lora_r", "lora.rank", "")
	if _, ok := r.set["lora.rank"]; !ok && r.text("lora_model_dir") == "" {
		r.problem("lora_r", "want a rank: axolotl has no default of it")
	}
	r.take("lora_alpha", "lora.alpha", "")
	r.take("lora_dropout", "lora.dropout", "0.0")
	r.variant("peft_use_rslora", "peft_use_dora")
	linear := r.truth("lora_target_linear", false)
	if !r.targets("lora_target_modules", "all-linear") || linear {
		r.setting("lora.target", "all-linear", "lora_target_linear: true")
	}
	if from := r.text("lora_model_dir"); from != "" {
		r.setFrom("lora.from", quote(from), "lora_model_dir")
	}
	r.whole("lora_modules_to_save")
}

func (r *reader) axolotlPreferences() {
	rl := r.text("rl")
	if rl == "" {
		for _, key := range []string{"reward_model", "process_reward_model"} {
			if r.truth(key, false) {
				r.problem(key, "want it left out: lwtrain trains no reward models")
			}
		}
		return
	}
	r.command = "dpo"
	beta, from := first(r.text("rl_beta"), "0.1"), "rl_beta"
	if v := field(r.value("trl"), "beta"); v != nil {
		beta, from = v.Value, "trl"
	}
	switch rl {
	case "dpo", "ipo":
		loss := rl
		if rl == "dpo" {
			loss = "sigmoid"
		}
		r.setting("dpo.loss_type", loss, "rl: "+rl)
		if losses := r.list("dpo_loss_type"); len(losses) > 0 {
			r.setFrom("dpo.loss_type", "["+strings.Join(losses, ", ")+"]", "dpo_loss_type")
		}
		if weights := r.list("dpo_loss_weights"); len(weights) > 0 {
			r.setFrom("dpo.loss_weights", "["+strings.Join(weights, ", ")+"]", "dpo_loss_weights")
		}
		if rl == "dpo" {
			r.take("dpo_label_smoothing", "dpo.label_smoothing", "")
		}
	case "orpo":
		r.setting("dpo.loss_type", "orpo", "rl: orpo")
		r.setting("dpo.reference", "none", "rl: orpo")
		if alpha := r.text("orpo_alpha"); alpha != "" {
			beta, from = alpha, "orpo_alpha"
		}
	case "simpo":
		r.setting("dpo.loss_type", "simpo", "rl: simpo")
		r.setting("dpo.reference", "none", "rl: simpo")
		r.take("simpo_gamma", "dpo.simpo_gamma", "0.5")
		r.take("cpo_alpha", "dpo.sft_weight", "1.0")
	case "kto":
		r.setting("dpo.loss_type", "kto", "rl: kto")
		r.take("kto_desirable_weight", "dpo.desirable_weight", "1.0")
		r.take("kto_undesirable_weight", "dpo.undesirable_weight", "1.0")
	default:
		r.problem("rl", "want dpo, ipo, orpo, simpo or kto: lwtrain trains on preferences, not by rewards")
	}
	if r.shown(from) == "" {
		r.setDefault("dpo.beta", beta, from)
		return
	}
	r.setFrom("dpo.beta", beta, from)
}

// axolotlData takes the datasets, each with the names of its columns.
func (r *reader) axolotlData() {
	datasets := r.value("datasets")
	key := "datasets"
	if datasets == nil {
		key = "pretraining_dataset"
		datasets = r.value(key)
	}
	if datasets != nil && datasets.Kind == yaml.ScalarNode { // a path alone
		datasets = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{datasets}}
	}
	if datasets == nil || datasets.Kind != yaml.SequenceNode || len(datasets.Content) == 0 {
		r.problem("datasets", "want a list of datasets")
		return
	}
	var list []source
	for _, d := range datasets.Content {
		list = append(list, r.axolotlSource(key, d))
	}
	r.sources("data.sources", key, list)
	held := r.value("test_datasets")
	switch n, ok := r.number("val_set_size"); {
	case held != nil && held.Kind == yaml.SequenceNode:
		list = nil
		for _, d := range held.Content {
			list = append(list, r.axolotlSource("test_datasets", d))
		}
		r.sources("data.held_out", "test_datasets", list)
	case ok && n >= 1:
		r.setFrom("data.held_out", strconv.Itoa(int(n)), "val_set_size")
	case ok:
		r.setFrom("data.held_out", decimal(n), "val_set_size")
	default:
		r.setDefault("data.held_out", "0", "val_set_size")
	}
	if r.truth("dataset_exact_deduplication", false) {
		r.setFrom("data.dedup", "exact", "dataset_exact_deduplication")
	}
}

func (r *reader) axolotlSource(key string, d *yaml.Node) source {
	get := func(name string) string {
		if v := field(d, name); v != nil && v.Kind == yaml.ScalarNode {
			return v.Value
		}
		return ""
	}
	path := get("path")
	if d.Kind == yaml.ScalarNode {
		path = d.Value
	}
	s := named(r.dataset(path, get("revision")))
	if files := field(d, "data_files"); files != nil {
		s.path = r.dataFiles(path, files)
	}
	said := map[string]bool{"path": true, "revision": true, "data_files": true, "type": true, "split": true, "ds_type": true}
	kind := get("type")
	switch base, _, _ := strings.Cut(kind, "."); {
	case kind == "completion" || key == "pretraining_dataset":
		s.add("format", "text")
		s.columns("text", first(get("field"), get("text_column")))
		said["field"], said["text_column"] = true, true
	case strings.HasPrefix(kind, "alpaca"):
		s.add("format", "alpaca")
	case base == "chat_template" && r.command == "sft":
		s.add("format", "messages")
	case kind == "input_output":
		r.notes = append(r.notes, Note{key, "type: " + kind, Missing, "would have trained on the marked parts of a text; here " +
			"targets are an assistant's answers"})
	case kind == "" || base == "chat_template" || kind == "sharegpt":
	default:
		r.notes = append(r.notes, Note{key, "type: " + kind, Differs,
			"would have read this dataset's records in its own way; here their format is recognised from them (`lwtrain data show` " +
				"shows what is made of them)"})
	}
	role, content := get("message_field_role"), get("message_field_content")
	if m := field(d, "message_property_mappings"); m != nil {
		said["message_property_mappings"] = true
		if v := field(m, "role"); v != nil {
			role = v.Value
		}
		if v := field(m, "content"); v != nil {
			content = v.Value
		}
	}
	s.columns("messages", get("field_messages"), "role", role, "content", content, "system", get("field_system"), "tools",
		get("field_tools"),
		"instruction", get("field_instruction"), "input", get("field_input"), "output", get("field_output"),
		"chosen", get("field_chosen"), "rejected", get("field_rejected"))
	for _, name := range []string{"field_messages", "field_system", "field_tools", "field_instruction", "field_input",
		"field_output", "field_chosen",
		"field_rejected", "message_field_role", "message_field_content"} {
		said[name] = true
	}
	if roles := field(d, "roles"); roles != nil && roles.Kind == yaml.MappingNode {
		said["roles"] = true
		ours := map[string]string{}
		for i := 0; i+1 < len(roles.Content); i += 2 {
			for _, n := range roles.Content[i+1].Content {
				if !usual(n.Value) {
					ours[n.Value] = roles.Content[i].Value
				}
			}
		}
		s.roles(ours)
	}
	if v := get("train_on_eos"); v == "turn" {
		said["train_on_eos"] = true
		r.notes = append(r.notes, Note{key, "train_on_eos: turn", Same, "the token that ends an answer is always a target with it"})
	}
	if v := field(d, "roles_to_train"); v != nil {
		said["roles_to_train"] = true
		if len(v.Content) != 1 || !usual(v.Content[0].Value) || v.Content[0].Value == "user" {
			r.notes = append(r.notes, Note{key, "roles_to_train: " + flow(v), Missing, "would have trained on these roles; here " +
				"targets are the assistant's tokens alone"})
		}
	}
	if name := get("name"); name != "" {
		said["name"] = true
		r.configuration(key, name)
	}
	r.split(key, get("split"), path, &s)
	r.otherFields(key, d, said)
	return s
}

// configuration notes that a dataset is told which of its configurations is meant.
func (r *reader) configuration(key, name string) {
	r.notes = append(r.notes, Note{key, "name: " + name, Differs,
		"would have been this configuration of the dataset; here a path names its files (hf://owner/name/" + name + "/*.parquet)"})
}

// dataFiles are the files of a dataset that are named, as YAML.
func (r *reader) dataFiles(path string, files *yaml.Node) string {
	nodes := files.Content
	if files.Kind == yaml.ScalarNode {
		nodes = []*yaml.Node{files}
	}
	var out []string
	for _, f := range nodes {
		p := f.Value
		if q, ok := r.found(p); ok {
			p = q
		} else if hubName.MatchString(path) {
			p = "hf://" + path + "/" + p
		}
		out = append(out, quote(p))
	}
	if len(out) == 1 {
		return out[0]
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// otherFields notes what a dataset says that no one has read.
func (r *reader) otherFields(key string, d *yaml.Node, said map[string]bool) {
	if d.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(d.Content); i += 2 {
		name := d.Content[i].Value
		if said[name] || field(d, name) == nil {
			continue
		}
		kind, text := otherKey(name)
		r.notes = append(r.notes, Note{key, name + ": " + flow(d.Content[i+1]), kind, text})
	}
}
