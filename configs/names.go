package configs

import (
	"strings"
)

// foreign maps the names that users of other trainers type to ours. A value
// with a space is a sentence instead of a key. Keys are looked up by their
// whole path first, then by their last part.
//
// LLaMA-Factory, ms-swift and TRL share Hugging Face's names, which are ours
// too; these are the rest.
var foreign = map[string]string{
	// the model
	"model_name_or_path":           "model.path",
	"base_model":                   "model.path",
	"model_id_or_path":             "model.path",
	"checkpoint_dir":               "model.path",
	"checkpointer":                 "model.path",
	"chat_template":                "model.template",
	"chat_template_path":           "model.template",
	"prompt_style":                 "model.template",
	"tokenizer":                    "the tokenizer of model.path is used",
	"tokenizer_type":               "the tokenizer of model.path is used",
	"tokenizer_name_or_path":       "the tokenizer of model.path is used",
	"model_type":                   "config.json of model.path says it",
	"trust_remote_code":            "a model folder's code is never run",
	"special_tokens":               "the tokenizer of model.path has them",
	"attn_implementation":          "attention never leaves a document and needs no choice",
	"flash_attn":                   "attention never leaves a document and needs no choice",
	"flash_attention":              "attention never leaves a document and needs no choice",
	"rope_scaling":                 "config.json of model.path says it",
	"resize_vocab":                 "the vocabulary of model.path is kept",
	"ref_checkpointer":             "dpo.reference",
	"ref_model":                    "dpo.reference",
	"ref_model_name_or_path":       "dpo.reference",
	"reference_free":               "dpo.reference",
	"adapter":                      noAdapters,
	"adapter_name_or_path":         noAdapters,
	"finetuning_type":              noAdapters,
	"tuner_type":                   noAdapters,
	"train_type":                   noAdapters,
	"use_peft":                     noAdapters,
	"peft_config":                  noAdapters,
	"lora_r":                       noAdapters,
	"lora_rank":                    noAdapters,
	"lora_alpha":                   noAdapters,
	"lora_dropout":                 noAdapters,
	"lora_target":                  noAdapters,
	"lora_target_modules":          noAdapters,
	"lora_target_linear":           noAdapters,
	"target_modules":               noAdapters,
	"load_in_4bit":                 noAdapters,
	"load_in_8bit":                 noAdapters,
	"quantization_bit":             noAdapters,
	"unfrozen_parameters":          noAdapters,
	"freeze_trainable_layers":      noAdapters,
	"merge_lora":                   noAdapters,
	"export_dir":                   "checkpoints are model folders in Hugging Face layout already",
	"stage":                        "the command says it: lwtrain sft, lwtrain dpo",
	"rl":                           "the command says it: lwtrain dpo",
	"rlhf_type":                    "the command says it: lwtrain dpo",
	"do_train":                     "the command says it: lwtrain sft",
	"do_eval":                      "train.eval_steps",
	"predict_with_generate":        "sample.prompts",
	"generate_samples":             "sample.prompts",
	"generation_max_length":        "sample.max_new_tokens",
	"overwrite_output_dir":         "a run goes on by itself; give output.dir another name for a new one",
	"resume_from_checkpoint":       "a run goes on by itself from its newest complete checkpoint",
	"auto_resume_from_checkpoints": "a run goes on by itself from its newest complete checkpoint",
	"save_only_model":              "checkpoints hold all that a resume needs; train.save_total_limit bounds them",

	// the data
	"dataset":                       "data.sources",
	"datasets":                      "data.sources",
	"dataset_name":                  "data.sources",
	"dataset_dir":                   "data.sources",
	"train_dataset":                 "data.sources",
	"train_data":                    "data.sources",
	"train_file":                    "data.sources",
	"data_path":                     "data.sources",
	"data_files":                    "data.sources",
	"dataset_mixer_list":            "data.sources",
	"max_samples":                   "samples of each of data.sources",
	"num_samples":                   "samples of each of data.sources",
	"interleave_probs":              "samples of each of data.sources",
	"interleave_prob":               "samples of each of data.sources",
	"mix_strategy":                  "samples of each of data.sources",
	"eval_dataset":                  "data.held_out",
	"test_datasets":                 "data.held_out",
	"val_dataset":                   "data.held_out",
	"dataset_val":                   "data.held_out",
	"val_size":                      "data.held_out",
	"val_set_size":                  "data.held_out",
	"validation_split":              "data.held_out",
	"split_dataset_ratio":           "data.held_out",
	"test_size":                     "data.held_out",
	"cutoff_len":                    "data.max_length",
	"sequence_len":                  "data.max_length",
	"max_seq_length":                "data.max_length",
	"max_seq_len":                   "data.max_length",
	"max_sequence_length":           "data.max_length",
	"model_max_length":              "data.max_length",
	"block_size":                    "data.max_length",
	"truncation_strategy":           "data.too_long",
	"truncation_mode":               "data.too_long",
	"excess_length_strategy":        "data.too_long",
	"dataset_prepared_path":         "data.cache_dir",
	"tokenized_path":                "data.cache_dir",
	"cache_dir":                     "data.cache_dir",
	"overwrite_cache":               "the cache is made again by itself when the data change",
	"train_on_inputs":               "targets are the assistant's tokens and the token that ends the turn",
	"train_on_input":                "targets are the assistant's tokens and the token that ends the turn",
	"train_on_prompt":               "targets are the assistant's tokens and the token that ends the turn",
	"assistant_only_loss":           "targets are the assistant's tokens and the token that ends the turn",
	"completion_only_loss":          "targets are the assistant's tokens and the token that ends the turn",
	"masking_strategy":              "targets are the assistant's tokens and the token that ends the turn",
	"roles_to_train":                "targets are the assistant's tokens and the token that ends the turn",
	"mask_history":                  "targets are the assistant's tokens and the token that ends the turn",
	"type":                          "the format is recognised from the records",
	"streaming":                     "samples are always read from disk as they are needed",
	"preprocessing_num_workers":     "threads",
	"dataloader_num_workers":        "threads",
	"dataset_num_proc":              "threads",
	"dataset_processes":             "threads",
	"num_proc":                      "threads",
	"shuffle":                       "samples are always shuffled, by seed and epoch",
	"data_seed":                     "seed",
	"loss_scale":                    "data.sources[].loss_factor, packing.weighting",
	"loss_weight":                   "data.sources[].loss_factor, packing.weighting",
	"weight":                        "loss_factor (of the loss) or samples (of the mix)",
	"fraction":                      "samples",
	"data.path":                     "data.sources",
	"model.name":                    "model.path",
	"data.val_size":                 "data.held_out",
	"packing.enabled":               "samples are always packed, and never see each other",
	"packing.method":                "packing.strategy",
	"packing.max_length":            "packing.capacity",
	"packing.loss_weighting":        "packing.weighting",
	"neat_packing":                  "samples are always packed, and never see each other (see packing)",
	"sample_packing":                "samples are always packed, and never see each other (see packing)",
	"eval_sample_packing":           "samples are always packed, and never see each other (see packing)",
	"multipack_real_batches":        "samples are always packed, and never see each other (see packing)",
	"packed":                        "samples are always packed, and never see each other (see packing)",
	"padding_free":                  "samples are always packed, and never see each other (see packing)",
	"group_by_length":               "samples are always packed, and never see each other (see packing)",
	"pad_to_sequence_len":           "packs always have packing.capacity tokens",
	"packing_strategy":              "packing.strategy",
	"packing_length":                "packing.capacity",
	"batch_seq_num":                 "packing.weighting",
	"average_tokens_across_devices": "packing.weighting",

	// the training
	"num_epochs":                      "train.num_train_epochs",
	"epochs":                          "train.num_train_epochs",
	"max_steps_per_epoch":             "train.max_steps",
	"max_epochs":                      "train.num_train_epochs",
	"micro_batch_size":                "train.per_device_train_batch_size",
	"batch_size":                      "train.per_device_train_batch_size",
	"train_batch_size":                "train.per_device_train_batch_size",
	"per_device_eval_batch_size":      "evaluation runs pack by pack, and needs no batch size",
	"eval_batch_size":                 "evaluation runs pack by pack, and needs no batch size",
	"batch_size_val":                  "evaluation runs pack by pack, and needs no batch size",
	"global_batch_size":               "train.gradient_accumulation_steps",
	"gradient_accumulation":           "train.gradient_accumulation_steps",
	"lr":                              "train.learning_rate",
	"max_learning_rate":               "train.learning_rate",
	"lr_scheduler":                    "train.lr_scheduler_type",
	"lr_schedule":                     "train.lr_scheduler_type",
	"scheduler":                       "train.lr_scheduler_type",
	"lr_scheduler_kwargs":             "train.lr_scheduler_type",
	"lr_warmup_steps":                 "train.warmup_steps",
	"num_warmup_steps":                "train.warmup_steps",
	"warmup":                          "train.warmup_ratio",
	"optim":                           "the optimiser is AdamW",
	"optimizer":                       "the optimiser is AdamW",
	"clip_grad_norm":                  "train.max_grad_norm",
	"max_norm":                        "train.max_grad_norm",
	"gradient_clipping":               "train.max_grad_norm",
	"wd":                              "train.weight_decay",
	"adam_eps":                        "train.adam_epsilon",
	"activation_checkpointing":        "train.gradient_checkpointing",
	"enable_activation_checkpointing": "train.gradient_checkpointing",
	"enable_activation_offloading":    "train.gradient_checkpointing",
	"disable_gradient_checkpointing":  "train.gradient_checkpointing",
	"gradient_checkpointing_kwargs":   "train.gradient_checkpointing",
	"bf16":                            "train.precision",
	"fp16":                            "train.precision",
	"fp8":                             "train.precision",
	"tf32":                            "train.precision",
	"pure_bf16":                       "train.precision",
	"dtype":                           "train.precision",
	"torch_dtype":                     "train.precision",
	"mixed_precision":                 "train.precision",
	"logging_strategy":                "train.logging_steps",
	"log_every_n_steps":               "train.logging_steps",
	"log_interval":                    "train.logging_steps",
	"eval_strategy":                   "train.eval_steps",
	"evaluation_strategy":             "train.eval_steps",
	"evals_per_epoch":                 "train.eval_steps",
	"eval_interval":                   "train.eval_steps",
	"run_val_every_n_steps":           "train.eval_steps",
	"save_strategy":                   "train.save_steps",
	"saves_per_epoch":                 "train.save_steps",
	"save_interval":                   "train.save_steps",
	"save_every_n_steps":              "train.save_steps",
	"num_workers":                     "threads",
	"num_threads":                     "threads",
	"neftune_noise_alpha":             "noise on embeddings (NEFTune) is not there",
	"optimizer.lr":                    "train.learning_rate",
	"train.lr":                        "train.learning_rate",
	"train.epochs":                    "train.num_train_epochs",
	"train.seed":                      "seed",

	// the machine, and where results go
	"output_dir":                    "output.dir",
	"out_dir":                       "output.dir",
	"logging_dir":                   "output.dir",
	"output_path":                   "output.dir",
	"run_name":                      "output.dir",
	"random_seed":                   "seed",
	"report_to":                     metricsFile,
	"logger_name":                   metricsFile,
	"metric_logger":                 metricsFile,
	"plot_loss":                     metricsFile,
	"wandb_project":                 metricsFile,
	"wandb_entity":                  metricsFile,
	"wandb_watch":                   metricsFile,
	"wandb_name":                    metricsFile,
	"wandb_log_model":               metricsFile,
	"use_wandb":                     metricsFile,
	"deepspeed":                     oneMachine,
	"fsdp":                          oneMachine,
	"fsdp_config":                   oneMachine,
	"ddp_timeout":                   oneMachine,
	"ddp_find_unused_parameters":    oneMachine,
	"accelerator_config":            oneMachine,
	"device":                        oneMachine,
	"device_map":                    oneMachine,
	"devices":                       oneMachine,
	"compile":                       oneMachine,
	"torch_compile":                 oneMachine,
	"include_num_input_tokens_seen": metricsFile,

	// preferences
	"pref_beta":                "dpo.beta",
	"rl_beta":                  "dpo.beta",
	"dpo_beta":                 "dpo.beta",
	"pref_loss":                "dpo.loss_type",
	"dpo_loss_type":            "dpo.loss_type",
	"pref_ftx":                 "dpo.sft_weight",
	"rpo_alpha":                "dpo.sft_weight",
	"dpo_label_smoothing":      "dpo.label_smoothing",
	"gamma":                    "dpo.simpo_gamma",
	"kto_chosen_weight":        "dpo.desirable_weight",
	"kto_desirable_weight":     "dpo.desirable_weight",
	"kto_rejected_weight":      "dpo.undesirable_weight",
	"kto_undesirable_weight":   "dpo.undesirable_weight",
	"precompute_ref_log_probs": "the reference's log-probabilities are always computed beforehand",
}

const (
	noAdapters  = "every weight is trained: there are no adapters and no quantised weights"
	metricsFile = "metrics go to metrics.jsonl in output.dir"
	oneMachine  = "training runs on this machine's processor, with all its cores (threads)"
)

// sameElsewhere finds where a key that stands in the wrong section belongs.
func sameElsewhere(name string) string {
	found := ""
	for _, f := range table().leaves {
		if f.name == name {
			if found != "" {
				return ""
			}
			found = f.path
		}
	}
	return found
}

// unknownKey explains a key that no field has: what it is called here, where it
// belongs, what it may be a misspelling of, or what there is. meant is the path
// of the key that is surely meant, or "".
func unknownKey(path string, in *field) (problem, meant string) {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if s := ours(path, name); s != "" {
		return "unknown key, want " + s, s
	}
	if near := closest(name, names(in.keys)); near != "" {
		return "unknown key; did you mean " + near + "?", join(in.path, near)
	}
	var all []string
	for _, f := range table().leaves {
		all = append(all, f.name)
	}
	if near := closest(name, all); near != "" && sameElsewhere(near) != "" {
		return "unknown key; did you mean " + sameElsewhere(near) + "?", sameElsewhere(near)
	}
	known := names(in.keys)
	if in == table().root {
		known = append([]string{"recipe"}, known...)
	}
	return "unknown key, want one of: " + strings.Join(known, ", "), ""
}

// ours is the name here of another trainer's key, or where a key of ours that
// stands in the wrong section belongs.
func ours(path, name string) string {
	for _, n := range []string{strings.ToLower(path), strings.ToLower(name)} {
		s, ok := foreign[n]
		switch {
		case !ok:
		case table().byPath[s] != nil || !strings.Contains(s, " "):
			return s
		default:
			return "it left out (" + s + ")"
		}
	}
	return sameElsewhere(strings.ToLower(name))
}

// values maps the names that users of other trainers give to values.
var values = map[string]string{
	"bfloat16": "bf16", "fp32": "float32", "f32": "float32", "32": "float32", "fp16": "bf16", "float16": "bf16",
	"constant_with_warmup": "constant", "cosine_with_warmup": "cosine", "cosine_with_min_lr": "cosine", "linear_with_warmup": "linear",
	"bfd": "best_fit_decreasing", "binpacking": "best_fit_decreasing", "ffd": "best_fit_decreasing", "best_fit": "best_fit_decreasing",
	"sequential": "next_fit", "greedy": "next_fit",
	"drop": "skip", "delete": "skip", "raise": "error", "truncation": "truncate", "right": "truncate",
	"dpo": "sigmoid", "dpo_norm": "sigmoid_norm", "kto_pair": "kto", "token_mean": "token", "sequence_mean": "sequence", "longalign": "sequence",
	"yes": "true", "on": "true", "no": "false", "off": "false", "unsloth": "true",
}

// nearest suggests the known value that was most likely meant.
func nearest(got string, known []string) string {
	low := strings.ToLower(got)
	if v, ok := values[low]; ok {
		for _, k := range known {
			if k == v {
				return "; did you mean " + v + "?"
			}
		}
	}
	if c := closest(low, known); c != "" {
		return "; did you mean " + c + "?"
	}
	return ""
}

// closest returns the word that is few edits away from got, or "". The fewest
// edits win, then the first in the list.
func closest(got string, words []string) string {
	const most = 64
	if len(got) < 2 || len(got) > most {
		return ""
	}
	best, at := "", 1+max(1, len(got)/3)
	for _, w := range words {
		if d := edits(strings.ToLower(got), w, at); d < at {
			best, at = w, d
		}
	}
	return best
}

// edits is the optimal string alignment distance (insertions, deletions,
// substitutions and swaps of neighbours), or limit when it is no smaller.
func edits(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return min(prev[len(b)], limit)
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}
