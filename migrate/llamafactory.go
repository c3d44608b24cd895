package migrate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"lwtrain/internal/plainjson"
)

// llamaFactory reads LLaMA-Factory's arguments (src/llamafactory/hparams).
func llamaFactory(r *reader) {
	r.huggingFace("5.0e-05", "500")
	stage := first(r.text("stage"), "sft")
	switch stage {
	case "sft", "pt":
		r.command = "sft"
	case "dpo":
		r.command = "dpo"
		r.llamaPreferences()
	case "kto":
		r.command = "dpo"
		r.setFrom("dpo.loss_type", "kto", "stage")
		r.take("pref_beta", "dpo.beta", "0.1")
		r.take("kto_chosen_weight", "dpo.desirable_weight", "1.0")
		r.take("kto_rejected_weight", "dpo.undesirable_weight", "1.0")
		r.take("pref_ftx", "dpo.sft_weight", "0.0")
	default:
		r.problem("stage", "want sft, pt, dpo or kto: lwtrain trains neither reward models nor by PPO")
		return
	}
	r.take("early_stopping_steps", "train.early_stopping_patience", "")
	r.llamaAdapters()
	r.llamaData(stage)
	r.lengths("cutoff_len", "2048", "truncate")
	packed := r.truth("neat_packing", false) || r.truth("packing", stage == "pt")
	if r.truth("packing", stage == "pt") && !r.truth("neat_packing", false) {
		r.note("packing", Differs, "would have joined samples that see each other; here samples of a pack never do (neat_packing)")
	}
	if r.command == "sft" {
		if r.truth("use_dft_loss", false) {
			r.setFrom("packing.weighting", "dft", "use_dft_loss")
		} else {
			r.setting("packing.weighting", "token", "the mean over the targets of a step")
		}
	}
	r.batches("per_device_train_batch_size", packed)
	if t := r.text("template"); t != "" {
		r.note("template", Differs, "would have been LLaMA-Factory's own writing of this template; here the model's chat_template "+
			"is used (model.template names another)")
	}
	if r.truth("do_predict", false) {
		r.note("do_predict", Differs, "would have answered eval_dataset; here `lwtrain generate` and `lwtrain eval` do")
	}
	if v := r.text("enable_thinking"); v != "" && r.truth("enable_thinking", true) {
		r.note("enable_thinking", Same, "reasoning is learnt as the template writes it")
	} else if v != "" {
		r.note("enable_thinking", Differs, "would have taken the reasoning out of answers, and put an empty block before them that "+
			"is no target; here train_reasoning: false of a source has it read alone")
	}
	if r.truth("do_train", true) == false {
		r.note("do_train", Differs, "would not have trained; `lwtrain eval` and `lwtrain generate` do the rest")
	}
	if r.truth("mask_history", false) && r.command == "sft" {
		r.note("mask_history", Same, "train_on: last of each source")
	}
	if ref := r.text("ref_model"); ref != "" {
		r.setFrom("dpo.reference", quote(ref), "ref_model")
	}
}

func (r *reader) llamaPreferences() {
	r.take("pref_beta", "dpo.beta", "0.1")
	loss := first(r.text("pref_loss"), "sigmoid")
	switch loss {
	case "sigmoid", "hinge", "ipo":
		r.setting("dpo.loss_type", loss, "pref_loss: "+loss)
	case "orpo", "simpo":
		r.setting("dpo.loss_type", loss, "pref_loss: "+loss)
		r.setting("dpo.reference", "none", "pref_loss: "+loss)
	default:
		r.problem("pref_loss", "want sigmoid, hinge, ipo, orpo or simpo: of the others lwtrain has no loss of pairs")
	}
	if loss == "simpo" {
		r.take("simpo_gamma", "dpo.simpo_gamma", "0.5")
	}
	if loss == "sigmoid" {
		r.take("dpo_label_smoothing", "dpo.label_smoothing", "0.0")
	}
	r.take("pref_ftx", "dpo.sft_weight", "0.0")
	r.take("ld_alpha", "dpo.ld_alpha", "")
}

func (r *reader) llamaAdapters() {
	switch kind := first(r.text("finetuning_type"), "lora"); kind {
	case "full":
	case "lora":
		rank, _ := r.number("lora_rank")
		if rank == 0 {
			rank = 8
		}
		r.lora("lora_rank", decimal(2*rank), "0.0")
		r.variant("use_rslora", "use_dora")
		if !r.targets("lora_target", "all") {
			r.setDefault("lora.target", "all-linear", "lora_target")
		}
		if from := r.list("adapter_name_or_path"); len(from) == 1 {
			r.setFrom("lora.from", quote(from[0]), "adapter_name_or_path")
			if r.command == "dpo" {
				r.setFrom("dpo.reference", "base", "adapter_name_or_path")
			}
			if r.truth("create_new_adapter", false) {
				r.note("create_new_adapter", Differs, "would have merged this adapter and begun another; here lora.from goes on with it "+
					"(`lwtrain export` merges it to a model.path, beside which no lora.from is needed)")
			}
		} else if len(from) > 1 {
			r.note("adapter_name_or_path", Missing, "would have merged all but the last adapter first; here `lwtrain export` merges "+
				"one at a time, and lora.from goes on with the last")
		}
		r.whole("additional_target")
	case "freeze":
		r.note("finetuning_type", Differs, "would have trained some layers alone; here train.freeze names what stays as it is, and "+
			"all weights are trained until it does")
	default:
		r.problem("finetuning_type", "want lora, full or freeze: lwtrain has no other adapters")
	}
}

// datasetInfo is an entry of LLaMA-Factory's dataset_info.json.
type datasetInfo struct {
	HFHubURL   string            `json:"hf_hub_url"`
	MSHubURL   string            `json:"ms_hub_url"`
	OMHubURL   string            `json:"om_hub_url"`
	ScriptURL  string            `json:"script_url"`
	CloudFile  string            `json:"cloud_file_name"`
	FileName   string            `json:"file_name"`
	Formatting string            `json:"formatting"`
	Ranking    bool              `json:"ranking"`
	Subset     string            `json:"subset"`
	Split      string            `json:"split"`
	Folder     string            `json:"folder"`
	NumSamples int               `json:"num_samples"`
	Columns    map[string]string `json:"columns"`
	Tags       map[string]string `json:"tags"`
}

// llamaData takes the datasets, by LLaMA-Factory's table of them where it is found.
func (r *reader) llamaData(stage string) {
	dir := first(r.text("dataset_dir"), "data")
	table, at := r.datasetInfos(dir)
	probs := r.list("interleave_probs")
	if train := r.list("dataset"); len(train) > 0 {
		list := r.llamaSources("dataset", train, table, at, stage)
		if n, ok := r.number("max_samples"); ok && n > 0 {
			for i := range list {
				if !hasAtMost(list[i].path, int(n)) {
					list[i].least("samples", int(n))
				}
			}
			r.note("max_samples", Differs, "would have been the first ones of each dataset; here as many are drawn by the seed. Files "+
				"here with fewer are taken whole; of the hub, a dataset with fewer is refused until its samples is 0 (all)")
		}
		strategy := first(r.text("mix_strategy"), "concat")
		if strategy != "concat" {
			for i := range list {
				p := decimal(1 / float64(len(list)))
				if i < len(probs) {
					p = probs[i]
				}
				list[i].add("probability", p)
			}
			r.setFrom("data.mix.strategy", "interleave", "mix_strategy")
			if strategy == "interleave_under" {
				r.setFrom("data.mix.stop", "first_exhausted", "mix_strategy")
			} else {
				r.setFrom("data.mix.stop", "all_exhausted", "mix_strategy")
			}
			if strategy == "interleave_once" {
				r.note("mix_strategy", Differs, "would have given each sample once; here sources that have ended begin again until "+
					"all have")
			}
		}
		r.sources("data.sources", "dataset", list)
	} else {
		r.problem("dataset", "want the datasets to train on")
	}
	held := r.list("eval_dataset")
	switch n, ok := r.number("val_size"); {
	case len(held) > 0:
		r.sources("data.held_out", "eval_dataset", r.llamaSources("eval_dataset", held, table, at, stage))
	case ok && n >= 1:
		r.setFrom("data.held_out", strconv.Itoa(int(n)), "val_size")
	case ok:
		r.setFrom("data.held_out", decimal(n), "val_size")
	default:
		r.setDefault("data.held_out", "0", "val_size")
	}
}

// hasAtMost reports whether a file that is here has at most n records, in an array of JSON or on lines. Of large files it is not
// known, nor of what else there is.
func hasAtMost(quoted string, n int) bool {
	const most = 256 << 20
	path, err := strconv.Unquote(quoted)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	d := json.NewDecoder(f)
	if filepath.Ext(path) == ".json" {
		if t, _ := d.Token(); t != json.Delim('[') {
			return false
		}
	} else if filepath.Ext(path) != ".jsonl" {
		return false
	}
	for count := 0; count <= n; count++ {
		var one json.RawMessage
		if !d.More() {
			return true
		}
		if d.Decode(&one) != nil {
			return false
		}
	}
	return false
}

// datasetInfos reads dataset_info.json of a folder, which may lie beside the config or above it; nil: there is none.
func (r *reader) datasetInfos(dir string) (table map[string]datasetInfo, at string) {
	at, ok := r.found(dir)
	if !ok {
		return nil, dir
	}
	path := filepath.Join(at, "dataset_info.json")
	info, err := os.Stat(path)
	if err != nil || info.Size() > 4<<20 {
		return nil, at
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, at
	}
	if err := plainjson.Decode(raw, 1<<20, &table); err != nil {
		r.problems = append(r.problems, fmt.Errorf("%w; want the table of LLaMA-Factory's datasets", plainjson.In(path, err)))
	}
	return table, at
}

func (r *reader) llamaSources(key string, names []string, table map[string]datasetInfo, dir, stage string) []source {
	var out []source
	for _, name := range names {
		info, ok := table[name]
		if !ok {
			path, there := r.found(filepath.Join(dir, name))
			if !there {
				path = r.dataset(name, "")
			}
			if path == name {
				r.notes = append(r.notes, Note{key, name, Differs,
					fmt.Sprintf("would have been looked up in %s; it is not there, so the name stands as a path, to be set "+
						"right", filepath.Join(dir, "dataset_info.json"))})
			}
			out = append(out, source{name: name, path: quote(path)})
			continue
		}
		out = append(out, r.llamaSource(key, name, info, dir, stage))
	}
	return out
}

func (r *reader) llamaSource(key, name string, info datasetInfo, dir, stage string) source {
	s := source{name: name}
	switch {
	case info.HFHubURL != "":
		s.path = quote(r.dataset(info.HFHubURL, ""))
		if info.Folder != "" {
			s.path = quote("hf://" + info.HFHubURL + "/" + info.Folder)
		}
	case info.FileName != "":
		s.path = quote(filepath.Join(dir, info.FileName))
	default:
		s.path = quote(name)
		r.notes = append(r.notes, Note{key, name, Missing, "would have come from another place than the Hugging Face hub or a file; " +
			"fetch it, and set its path"})
	}
	if info.Subset != "" {
		r.notes = append(r.notes, Note{key, name, Differs, fmt.Sprintf(
			"would have been the configuration %s; here a path names its files "+
				"(hf://owner/name/%s/*.parquet)", info.Subset, info.Subset)})
	}
	r.split(key, info.Split, name, &s)
	if info.NumSamples > 0 {
		s.least("samples", info.NumSamples)
	}
	c, t := info.Columns, info.Tags
	switch {
	case stage == "pt":
		s.add("format", "text")
		s.columns("text", c["prompt"])
	case info.Formatting == "sharegpt" || info.Formatting == "openai":
		s.columns("messages", c["messages"], "system", c["system"], "tools", c["tools"], "role", t["role_tag"], "content",
			t["content_tag"],
			"chosen", c["chosen"], "rejected", c["rejected"], "label", c["kto_tag"])
		roles := map[string]string{}
		for tag, role := range map[string]string{"user_tag": "user", "assistant_tag": "assistant", "observation_tag": "tool",
			"function_tag": "function_call", "system_tag": "system"} {
			if n := t[tag]; n != "" && !usual(n) {
				roles[n] = role
			}
		}
		s.roles(roles)
	default:
		s.columns("instruction", c["prompt"], "input", c["query"], "output", c["response"], "history", c["history"], "system",
			c["system"],
			"tools", c["tools"], "chosen", c["chosen"], "rejected", c["rejected"], "label", c["kto_tag"])
	}
	if r.truth("mask_history", false) && stage == "sft" {
		s.add("train_on", "last")
	}
	if info.Ranking && stage == "sft" {
		s.add("side", "chosen")
	}
	return s
}

// usual reports whether a role is known by this name without being told.
func usual(name string) bool {
	switch name {
	case "user", "human", "assistant", "gpt", "system", "tool", "observation", "function_call":
		return true
	}
	return false
}

// heldOutLength bounds what is held out as other trainers do: they cut it as they cut what is trained on.
func (r *reader) heldOutLength() {
	if most := r.set["data.max_length"]; r.command == "sft" {
		r.setting("data.held_out_max_length", most.Value, most.From+", which holds for the evaluation, too")
	}
}

// lengths takes the longest sample, which is what a pack holds, and what becomes of longer ones.
func (r *reader) lengths(key, otherwise, tooLong string) {
	r.take(key, "data.max_length", otherwise)
	r.setting("packing.capacity", r.set["data.max_length"].Value, r.set["data.max_length"].From)
	r.heldOutLength()
	r.tooLong(tooLong, key)
}

// tooLong takes what becomes of a sample that is longer than key says. Here pairs and labelled answers are whole or not there.
func (r *reader) tooLong(theirs, key string) {
	if r.command == "dpo" && (theirs == "truncate" || theirs == "split") {
		r.notes = append(r.notes, Note{key, r.shown(key), Differs,
			"would have cut longer answers; here pairs with one are left out and counted (data.too_long: skip)"})
		r.setting("data.too_long", "skip", "pairs are whole, or left out")
		return
	}
	r.setting("data.too_long", theirs, "what "+r.trainer.name+" does with a sample above "+key)
}
