package migrate

import (
	"strconv"
	"strings"
)

// trl reads TRL's arguments: those of `trl sft`, `trl dpo` and `trl kto`, or of its scripts (trl/trainer, trl/scripts/utils.py).
func trl(r *reader) {
	kind := r.command
	if kind == "" {
		kind = r.trlKind()
	}
	switch kind {
	case "sft":
		r.command = "sft"
		r.huggingFace("2.0e-05", "10")
	case "dpo":
		r.command = "dpo"
		r.huggingFace("1.0e-06", "10")
		r.trlPreferences()
	case "kto":
		r.command = "dpo"
		r.huggingFace("1.0e-06", "10")
		r.setting("dpo.loss_type", "kto", "trl kto")
		r.take("beta", "dpo.beta", "0.1")
		r.take("desirable_weight", "dpo.desirable_weight", "1.0")
		r.take("undesirable_weight", "dpo.undesirable_weight", "1.0")
		if loss := r.text("loss_type"); loss != "" && loss != "kto" {
			r.problem("loss_type", "want kto: of the others lwtrain has no loss of single answers")
		}
	case "orpo", "cpo":
		r.command = "dpo"
		r.huggingFace("1.0e-06", "10")
		r.trlWithoutReference(kind)
	default:
		r.problems = append(r.problems, r.problemOfCommand(kind))
		return
	}
	r.trlAdapters()
	r.trlData()
	r.trlLengths()
	if rev := r.text("model_revision"); rev != "" && rev != "main" && hubName.MatchString(r.set["model.path"].Value) {
		r.setFrom("model.path", "hf://"+r.set["model.path"].Value+"@"+strings.ReplaceAll(rev, "/", "%2F"), "model_revision")
	}
	if t := r.text("chat_template_path"); t != "" {
		if strings.HasSuffix(t, ".jinja") {
			r.setFrom("model.template", quote(t), "chat_template_path")
		} else {
			r.note("chat_template_path", Missing, "would have taken the chat template of this tokenizer; here model.template names "+
				"a .jinja file")
		}
	}
	r.batches("per_device_train_batch_size", r.truth("packing", false))
	if r.command != "sft" {
		return
	}
	switch loss := r.text("loss_type"); loss {
	case "dft":
		r.setFrom("packing.weighting", "dft", "loss_type")
	case "", "nll", "chunked_nll":
		r.setting("packing.weighting", "token", "the mean over the targets of a step")
	default:
		r.setting("packing.weighting", "token", "the mean over the targets of a step")
		r.note("loss_type", Differs, "would have been another loss of tokens; here it is the cross-entropy (see packing.weighting)")
	}
	if !r.truth("assistant_only_loss", false) {
		r.notes = append(r.notes, Note{"assistant_only_loss", r.shown("assistant_only_loss"), Differs,
			"would have trained on all tokens of a conversation, those of the user too; here targets are the assistant's"})
	}
	if r.text("completion_only_loss") != "" && !r.truth("completion_only_loss", true) {
		r.note("completion_only_loss", Missing, "would have trained on the prompts, too; here targets are the assistant's tokens")
	}
}

// trlKind tells from the keys which trainer is meant.
func (r *reader) trlKind() string {
	for _, key := range []string{"desirable_weight", "undesirable_weight"} {
		if _, ok := r.given[key]; ok {
			return "kto"
		}
	}
	for _, key := range []string{"beta", "precompute_ref_log_probs", "label_smoothing", "loss_weights", "ref_model", "sync_ref_model"} {
		if _, ok := r.given[key]; ok {
			return "dpo"
		}
	}
	return "sft"
}

func (r *reader) trlPreferences() {
	r.take("beta", "dpo.beta", "0.1")
	ours := map[string]string{"sigmoid": "sigmoid", "hinge": "hinge", "ipo": "ipo", "robust": "robust", "sigmoid_norm": "sigmoid_norm",
		"apo_zero": "apo_zero", "apo_down": "apo_down"}
	var losses []string
	sft := "" // weight of the chosen answer's own loss
	weights := r.list("loss_weights")
	var kept []string
	for i, l := range r.list("loss_type") {
		w := "1.0"
		if i < len(weights) {
			w = weights[i]
		}
		switch name, ok := ours[l]; {
		case l == "sft":
			sft = w
		case !ok:
			r.problem("loss_type", "want losses of "+strings.Join(sorted(ours), ", ")+" or sft: lwtrain has no other of TRL's by "+
				"its name")
		default:
			losses, kept = append(losses, name), append(kept, w)
		}
	}
	if losses == nil {
		r.setDefault("dpo.loss_type", "sigmoid", "loss_type")
	} else {
		r.setFrom("dpo.loss_type", "["+strings.Join(losses, ", ")+"]", "loss_type")
	}
	if len(weights) > 0 && len(losses) > 1 {
		r.setFrom("dpo.loss_weights", "["+strings.Join(kept, ", ")+"]", "loss_weights")
	}
	if sft != "" {
		r.setFrom("dpo.sft_weight", sft, "loss_type")
	}
	r.take("label_smoothing", "dpo.label_smoothing", "")
	r.take("ld_alpha", "dpo.ld_alpha", "")
	for _, key := range []string{"ref_model", "ref_model_name_or_path"} {
		if v := r.text(key); v != "" {
			r.setFrom("dpo.reference", quote(v), key)
		}
	}
	if v := r.text("f_divergence_type"); v != "" && v != "reverse_kl" {
		r.note("f_divergence_type", Missing, "would have measured another distance to the reference; here it is reverse KL")
	}
}

// trlWithoutReference takes ORPO and CPO (SimPO), which need no reference.
func (r *reader) trlWithoutReference(kind string) {
	loss := "orpo"
	if kind == "cpo" {
		if loss = first(r.text("loss_type"), "sigmoid"); loss != "simpo" {
			r.problem("loss_type", "want simpo: of CPO's losses lwtrain has that one")
		}
		r.take("simpo_gamma", "dpo.simpo_gamma", "0.5")
		r.take("cpo_alpha", "dpo.sft_weight", "1.0")
	}
	r.setting("dpo.loss_type", loss, "trl "+kind)
	r.setting("dpo.reference", "none", "trl "+kind)
	r.take("beta", "dpo.beta", "0.1")
}

func (r *reader) trlAdapters() {
	if !r.truth("use_peft", false) {
		for _, key := range []string{"lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_modules_to_save"} {
			if _, ok := r.given[key]; ok {
				r.note(key, Same, "nothing: without use_peft TRL trains all weights, and so does lwtrain")
			}
		}
		return
	}
	r.lora("lora_r", "32", "0.05")
	r.variant("use_rslora", "use_dora")
	if !r.targets("lora_target_modules", "all-linear") {
		r.setting("lora.target", "all-linear", "PEFT's own choice where nothing is named differs by family: often q_proj and v_proj")
	}
	r.whole("lora_modules_to_save")
}

func (r *reader) trlData() {
	name := r.text("dataset_name")
	var list []source
	if name != "" {
		s := named(r.dataset(name, ""))
		if cfg := r.text("dataset_config"); cfg != "" {
			r.note("dataset_config", Differs, "would have been this configuration of the dataset; here a path names its files "+
				"(hf://owner/name/"+cfg+"/*.parquet)")
		}
		r.split("dataset_train_split", r.text("dataset_train_split"), name, &s)
		list = append(list, s)
	}
	if sets := r.value("datasets"); sets != nil {
		for _, d := range sets.Content {
			p := field(d, "path")
			if p == nil {
				continue
			}
			s := named(r.dataset(p.Value, ""))
			if v := field(d, "data_files"); v != nil {
				s.path = r.dataFiles(p.Value, v)
			}
			if v := field(d, "fraction"); v != nil {
				s.add("fraction", v.Value)
			}
			if v := field(d, "split"); v != nil {
				r.split("datasets", v.Value, p.Value, &s)
			}
			if v := field(d, "name"); v != nil {
				r.configuration("datasets", v.Value)
			}
			r.otherFields("datasets", d, map[string]bool{"path": true, "data_files": true, "fraction": true, "split": true,
				"name": true, "columns": true})
			list = append(list, s)
		}
	}
	if list == nil {
		r.problem("dataset_name", "want the dataset to train on")
		return
	}
	r.sources("data.sources", first(map[bool]string{true: "dataset_name"}[name != ""], "datasets"), list)
	if n, ok := r.number("test_split_size"); ok {
		r.setFrom("data.held_out", decimal(n), "test_split_size")
		return
	}
	if strategy := first(r.text("eval_strategy"), "no"); strategy != "no" {
		r.note("dataset_test_split", Differs, "would have been measured on the dataset's own split; here data.held_out is a share "+
			"of the samples, or a list of sources of its own")
		return
	}
	r.setting("data.held_out", "0", "eval_strategy: no")
}

// trlLengths takes the longest sample. With packing TRL's capacity is the same number.
func (r *reader) trlLengths() {
	tooLong := "truncate"
	switch strategy := r.text("packing_strategy"); strategy {
	case "", "bfd":
	case "bfd_split", "bfd-requeue":
		tooLong = "split"
	case "wrapped":
		tooLong = "split"
		r.note("packing_strategy", Differs, "would have cut samples wherever a pack ends; here they are whole, and longer ones are split")
	default:
		r.note("packing_strategy", Differs, "would have been its own way to fill packs; here packing.strategy is")
	}
	if mode := r.text("truncation_mode"); mode == "keep_end" {
		r.note("truncation_mode", Missing, "would have kept the end of a sample that is too long; here its begin is kept")
	}
	key := "max_length"
	if _, ok := r.given["max_seq_length"]; ok { // before TRL 0.20
		key = "max_seq_length"
	}
	if n, ok := r.number(key); ok {
		r.setFrom("data.max_length", strconv.Itoa(int(n)), key)
	} else {
		r.setDefault("data.max_length", "1024", key)
	}
	r.setting("packing.capacity", r.set["data.max_length"].Value, r.set["data.max_length"].From)
	r.heldOutLength()
	r.tooLong(tooLong, key)
}
