package migrate

import (
	"fmt"
	"strconv"
	"strings"
)

// huggingFace takes the keys of transformers' TrainingArguments, which LLaMA-Factory and TRL share; rate is the trainer's own
// default of learning_rate, and logging that of logging_steps.
func (r *reader) huggingFace(rate, logging string) {
	r.take("model_name_or_path", "model.path", "")
	r.take("output_dir", "output.dir", "")
	r.take("num_train_epochs", "train.num_train_epochs", "3.0")
	r.steps()
	r.take("per_device_train_batch_size", "train.per_device_train_batch_size", "8")
	r.take("gradient_accumulation_steps", "train.gradient_accumulation_steps", "1")
	r.take("learning_rate", "train.learning_rate", rate)
	r.adamw()
	r.warmup("0.0")
	r.schedule("lr_scheduler_type", "linear")
	r.optimiser("optim")
	r.take("seed", "seed", "42")
	r.take("logging_steps", "train.logging_steps", logging)
	if r.text("eval_strategy") == "" && r.text("evaluation_strategy") == "" { // nothing is measured, whatever eval_steps
		r.text("eval_steps")
		r.setDefault("train.eval_steps", "0", "eval_strategy")
	} else {
		r.every("eval_strategy", "eval_steps", "train.eval_steps", "no")
	}
	r.every("save_strategy", "save_steps", "train.save_steps", "steps")
	r.take("save_total_limit", "train.save_total_limit", "0")
	r.precision()
	r.take("early_stopping_patience", "train.early_stopping_patience", "")
	r.places("report_to")
}

// adamw takes the keys of the update, whose names and defaults are transformers' in all three.
func (r *reader) adamw() {
	r.take("weight_decay", "train.weight_decay", "0.0")
	r.take("adam_beta1", "train.adam_beta1", "0.9")
	r.take("adam_beta2", "train.adam_beta2", "0.999")
	r.take("adam_epsilon", "train.adam_epsilon", "1.0e-08")
	r.take("max_grad_norm", "train.max_grad_norm", "1.0")
}

// steps takes a bound of the steps; -1 is none.
func (r *reader) steps() {
	if n, ok := r.number("max_steps"); ok && n > 0 {
		r.setFrom("train.max_steps", strconv.Itoa(int(n)), "max_steps")
	}
}

// places takes where metrics go beside metrics.jsonl.
func (r *reader) places(key string) {
	for _, name := range r.list(key) {
		switch name {
		case "tensorboard", "all":
			r.setFrom("output.report_to", "[tensorboard]", key)
		case "none", "":
		default:
			r.note(key, Missing, "would have sent the metrics to a service; here they are files of the run (output.report_to), "+
				"which wandb, "+
				"trackio and others read")
		}
	}
}

// warmup takes the steps in which the rate rises; below 1 they are a share of all, as transformers 5 has it.
func (r *reader) warmup(share string) {
	ratio, hasRatio := r.number("warmup_ratio")
	steps, hasSteps := r.number("warmup_steps")
	switch {
	case hasSteps && steps >= 1:
		r.setFrom("train.warmup_steps", strconv.Itoa(int(steps)), "warmup_steps")
		r.setFrom("train.warmup_ratio", "0.0", "warmup_steps")
	case hasSteps && steps > 0:
		r.setFrom("train.warmup_ratio", decimal(steps), "warmup_steps")
	case hasRatio:
		r.setFrom("train.warmup_ratio", decimal(ratio), "warmup_ratio")
	case hasSteps:
		r.setFrom("train.warmup_ratio", "0.0", "warmup_steps")
	default:
		r.setDefault("train.warmup_ratio", share, "warmup_ratio")
	}
}

// schedule takes how the rate falls.
func (r *reader) schedule(theirs, otherwise string) {
	name := r.text(theirs)
	if name == "" {
		r.setDefault("train.lr_scheduler_type", otherwise, theirs)
		return
	}
	const ours = "train.lr_scheduler_type"
	switch name {
	case "cosine", "linear":
		r.setFrom(ours, name, theirs)
	case "constant_with_warmup":
		r.setFrom(ours, "constant", theirs)
	case "constant":
		r.setFrom(ours, "constant", theirs)
		r.setFrom("train.warmup_ratio", "0.0", theirs)
		delete(r.set, "train.warmup_steps")
	case "cosine_with_min_lr":
		r.setFrom(ours, name, theirs)
		r.leastRate()
	case "warmup_stable_decay":
		r.setFrom(ours, name, theirs)
		r.lastPart()
	case "polynomial":
		r.setFrom(ours, "linear", theirs)
		if r.text("lr_scheduler_kwargs") != "" {
			r.note("lr_scheduler_kwargs", Missing, "would have bent the line along which the rate falls; here it is straight, as "+
				"with its power of 1")
		}
	case "cosine_with_restarts":
		r.setFrom(ours, "cosine", theirs)
		r.note("lr_scheduler_kwargs", Missing, "num_cycles would have begun the half cosine anew; here there is one, as with its "+
			"default of 1")
	default:
		r.setFrom(ours, "cosine", theirs)
		r.note(theirs, Differs, "would have been its own way to lower the learning rate; here cosine does it")
	}
}

// lastPart takes how much of the run the rate falls in: a number of steps there, a share here.
func (r *reader) lastPart() {
	kwargs := r.value("lr_scheduler_kwargs")
	if kwargs == nil {
		return
	}
	steps, _ := strconv.ParseFloat(r.set["train.max_steps"].Value, 64)
	if v := field(kwargs, "num_decay_steps"); v != nil && steps > 0 {
		if n, err := strconv.ParseFloat(v.Value, 64); err == nil && n > 0 && n <= steps {
			r.setFrom("train.decay_ratio", decimal(n/steps), "lr_scheduler_kwargs")
		}
	}
	text := "would have said how many steps the last part has; here it is a share of the run, train.decay_ratio"
	if v := field(kwargs, "min_lr_ratio"); v != nil && v.Value != "0" && v.Value != "0.0" {
		text += "; and the rate ends at 0, not at a share of its peak"
	}
	r.note("lr_scheduler_kwargs", Differs, text)
}

// leastRate takes where cosine_with_min_lr ends.
func (r *reader) leastRate() {
	kwargs := r.value("lr_scheduler_kwargs")
	if kwargs == nil {
		return
	}
	if v := field(kwargs, "min_lr_rate"); v != nil {
		r.endsAt(v.Value, "lr_scheduler_kwargs")
		return
	}
	v := field(kwargs, "min_lr")
	if v == nil {
		r.note("lr_scheduler_kwargs", Differs, "would have said where the cosine ends; neither min_lr nor min_lr_rate can be read "+
			"here, so train.min_lr_ratio holds")
		return
	}
	least, err := strconv.ParseFloat(v.Value, 64)
	rate, _ := strconv.ParseFloat(r.set["train.learning_rate"].Value, 64)
	if err != nil || rate <= 0 {
		r.problem("lr_scheduler_kwargs", "want min_lr as a number, and a learning rate")
		return
	}
	r.endsAt(decimal(least/rate), "lr_scheduler_kwargs")
}

// endsAt sets the share of the rate at which a cosine ends; one that ends where it begins is no cosine.
func (r *reader) endsAt(ratio, theirs string) {
	if v, err := strconv.ParseFloat(ratio, 64); err == nil && v >= 1 {
		r.setFrom("train.lr_scheduler_type", "constant", theirs)
		return
	}
	r.setFrom("train.lr_scheduler_type", "cosine_with_min_lr", theirs)
	r.setFrom("train.min_lr_ratio", ratio, theirs)
}

// optimiser takes its name. All forms of AdamW are one here.
func (r *reader) optimiser(theirs string) {
	name := r.text(theirs)
	switch {
	case name == "":
	case strings.Contains(name, "adamw") && strings.Contains(name, "8bit"), name == "adamw_torch_8bit":
		r.setFrom("train.optim", "adamw_8bit", theirs)
	case strings.HasPrefix(name, "adamw") || strings.HasPrefix(name, "paged_adamw"):
		r.note(theirs, Same, "AdamW, whose forms differ in speed alone")
	default:
		r.note(theirs, Differs, "would have been another optimiser, whose learning rate and decay may be none for AdamW, which "+
			"trains here")
	}
}

// every takes how often something is done.
func (r *reader) every(strategy, steps, ours, otherwise string) {
	kind := r.text(strategy)
	if kind == "" {
		kind = r.text(strings.Replace(strategy, "eval_", "evaluation_", 1))
	}
	n, has := r.number(steps)
	switch {
	case kind == "" && !has && otherwise == "no", kind == "no":
		r.setting(ours, "0", strategy+": "+first(kind, "no"))
	case kind == "epoch":
		r.note(strategy, Differs, "would have been done after each epoch; "+ours+" counts steps, of which `lwtrain plan` says how "+
			"many an epoch has")
	case kind == "best":
		r.note(strategy, Differs, "would have saved at each better evaluation; here the best checkpoint is kept beside the newest "+
			"(best.json)")
	case has && n > 0 && n < 1:
		r.note(steps, Differs, "would have been a share of the run; "+ours+" counts steps, of which `lwtrain plan` says how many "+
			"there are")
	case has:
		r.setFrom(ours, strconv.Itoa(int(n)), steps)
	case strategy == "save_strategy":
		r.setDefault(ours, "500", steps)
	}
}

// precision takes in what the products are computed.
func (r *reader) precision() {
	for _, key := range []string{"fp16", "float16"} {
		if r.truth(key, false) {
			r.setFrom("train.precision", "bf16", key)
			r.note(key, Differs, "would have computed in float16 with scaled losses; here products take bf16, which needs no scale")
			return
		}
	}
	for _, key := range []string{"bf16", "bfloat16", "pure_bf16"} {
		switch r.text(key) {
		case "":
		case "auto":
			r.setFrom("train.precision", "auto", key)
			return
		default:
			if r.truth(key, false) {
				r.setFrom("train.precision", "bf16", key)
				if key == "pure_bf16" {
					r.note(key, Differs, "would have kept weights and optimiser in bf16, too; here they are float32")
				}
				return
			}
		}
	}
	if _, ok := r.given["bf16"]; ok {
		r.setFrom("train.precision", "float32", "bf16")
	}
}

// batches says what a step is made of here: where there it is single samples, and that the number of processes does not count.
func (r *reader) batches(key string, packed bool) {
	batch := r.set["train.per_device_train_batch_size"].Value
	r.notes = append(r.notes, Note{key, batch, Differs,
		"is of one GPU: on eight a step would have had eight times as many; here a step is what stands here, whatever the number of " +
			"processes (raise train.gradient_accumulation_steps)"})
	if packed || r.command == "dpo" {
		return
	}
	r.notes = append(r.notes, Note{key, batch, Differs,
		"would have been samples, each padded to the longest; here a step is packs of packing.capacity tokens, which hold several: " +
			"for a step of as many samples lower " +
			"train.gradient_accumulation_steps, or packing.capacity (`lwtrain pack` says how many a pack holds)"})
}

func decimal(v float64) string {
	s := strconv.FormatFloat(v, 'g', 6, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func first(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// lora takes the keys of adapters.
func (r *reader) lora(rank, alpha string, dropout string) {
	r.take(rank, "lora.rank", map[string]string{"lora_rank": "8", "lora_r": "16"}[rank])
	r.take("lora_alpha", "lora.alpha", alpha)
	r.take("lora_dropout", "lora.dropout", dropout)
}

// variant takes whether adapters are rank-stabilised or decomposed.
func (r *reader) variant(rslora, dora string) {
	rs, do := r.truth(rslora, false), r.truth(dora, false)
	switch {
	case rs && do:
		r.setFrom("lora.variant", "dora", dora)
		r.note(rslora, Missing, "would have scaled DoRA's adapters by 1 / sqrt(rank); here lora.variant is one of the two")
	case do:
		r.setFrom("lora.variant", "dora", dora)
	case rs:
		r.setFrom("lora.variant", "rslora", rslora)
	}
}

// targets takes the matrices that get an adapter.
func (r *reader) targets(key string, all ...string) bool {
	names := r.list(key)
	if len(names) == 0 {
		return false
	}
	for _, a := range all {
		if len(names) == 1 && names[0] == a {
			r.setFrom("lora.target", "all-linear", key)
			return true
		}
	}
	r.setFrom("lora.target", quoted(names), key)
	if strings.ContainsAny(strings.Join(names, ""), `*\()[|^$`) {
		r.note(key, Differs, "would have been a pattern of names; here lora.target lists the matrices, to be set")
	}
	return true
}

// whole takes the modules that are trained as a whole beside adapters.
func (r *reader) whole(key string) {
	if names := r.list(key); len(names) > 0 {
		r.setFrom("lora.modules_to_save", quoted(names), key)
	}
}

// quoted is a list in YAML.
func quoted(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, quote(n))
	}
	return fmt.Sprintf("[%s]", strings.Join(out, ", "))
}
