package migrate

import (
	"fmt"
	"slices"
	"strings"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/terminal"
)

// others are keys without a counterpart, alike or by how they begin (with a *), and what becomes of them.
var others = []struct {
	keys string
	kind Kind
	text string
}{
	{"trust_remote_code", Missing, "would have run code of the model's folder; none is ever run here"},
	{"deepspeed fsdp* ddp* dp_* zero* accelerator_config tensor_parallel* tensor_model* pipeline_model* context_parallel* cp_* " +
		"sequence_parallel* ray_* use_ray* accelerate_config launcher " +
		"local_rank world_size num_processes num_machines expert_parallel*", Differs,
		"would have spread the work over GPUs; here engine.kind: torch does, with engine.processes and engine.shard"},
	{"load_in_4bit load_in_8bit quantization_* bnb_* use_bnb* gptq* double_quantization qlora* quantize_* model_quantization*", Missing,
		"would have kept the base in fewer bits; here it stays in the precision of its file"},
	{"wandb_* use_wandb mlflow* comet* swanlab* use_swanlab trackio* use_mlflow use_comet", Missing,
		"would have sent the metrics to a service; here they are files of the run (output.report_to)"},
	{"run_name logging_dir", Differs, "would have said where metrics go; here they lie in output.dir"},
	{"plot_loss", Same, "`lwtrain report` draws the losses"},
	{"push_to_hub hub_* push_dataset* hf_*", Missing, "would have uploaded the result; here `lwtrain push` does, when a run is done"},
	{"gradient_checkpointing* disable_gradient_checkpointing activation_* selective_checkpointing use_reentrant_gc recompute*", Same,
		"activations are computed again as far as memory asks for (train.gradient_checkpointing), which changes no result"},
	{"flash_attn flash_* attn_* sdp_* sdpa* xformers* flex_* eager_* s2_* shift_attn sage_* use_kernels fused_* enable_liger* " +
		"liger_* use_liger* use_unsloth* unsloth* " +
		"lora_mlp_kernel lora_qkv_kernel lora_o_kernel lora_embedding_kernel torch_compile* tf32 chunked_cross* " +
		"tiled_*", Same, "the fastest exact kernels of the machine are taken"},
	{"dataloader_* preprocessing_* dataset_num_proc dataset_processes dataset_keep* num_proc streaming buffer_size overwrite_cache " +
		"dataset_prepared_path tokenized_path " +
		"data_shared* skip_prepare* remove_unused* ddp_timeout dataset_streaming preprocess_shards", Same,
		"samples are made once by all cores, kept by content, and read from disk as they are needed"},
	{"overwrite_output_dir resume_from_checkpoint auto_resume* save_only_model ignore_data_skip save_safetensors restore_*", Same,
		"a run goes on by itself where it was; give output.dir another name for a new one"},
	{"do_train do_eval do_predict predict_with_generate", Same, "the command says it"},
	{"per_device_eval_batch_size eval_batch_size eval_sample_packing eval_packing eval_on* eval_accumulation*", Same, "held-out " +
		"samples are packed as the others are"},
	{"group_by_length length_column* sample_packing* multipack* pad_to* padding_free batch_flattening curriculum* packing " +
		"neat_packing", Same,
		"samples are always packed, and never see each other"},
	{"tokenizer_* special_tokens tokens eot_tokens added_tokens* resize_* new_special* add_tokens* use_fast*", Differs,
		"would have changed the tokenizer; here that of model.path is used as it is"},
	{"model_type tokenizer_type is_*_model processor_type model_class torch_dtype dtype", Same, "config.json of model.path says it"},
	{"rope_scaling rope_*", Differs, "would have stretched the positions; here model.rope_scaling does, whose rope_type and " +
		"factor are to be set: where nothing stands there, config.json of model.path holds"},
	{"neftune*", Missing, "would have added noise to the embeddings"},
	{"label_smoothing_factor", Missing, "would have smoothed the targets"},
	{"use_galore galore_* use_apollo apollo_* use_badam badam_* use_muon use_adam_mini relora* loraplus* pissa* optim_* lr_groups " +
		"embedding_lr* use_llama_pro " +
		"mixture_of* loftq* lisa_*", Missing, "would have been another way to update the weights; here AdamW does, with the keys of " +
		"train and lora"},
	{"loss_watchdog*", Same, "a step that is not finite ends the run before it changes anything, and names its samples"},
	{"load_best_model* metric_for_best* greater_is*", Same, "the checkpoint with the lowest held-out loss is kept, and best.json " +
		"names it"},
	{"early_stopping_threshold", Missing, "would have asked for so much of a better loss; here any better one counts"},
	{"default_system default_system_message", Missing, "would have put this system prompt before conversations without one; here " +
		"they stand as they are"},
	{"enable_thinking preserve_thinking", Differs, "would have been told to the template; here chat_template_kwargs of a record are"},
	{"shuffle_* disable_shuffling data_seed shuffle_dataset", Same, "samples are shuffled by seed and epoch"},
	{"plugins", Missing, "would have loaded code; there are no plug-ins here"},
	{"freeze_vision* freeze_multi* freeze_mm* image_* video_* audio_* media_dir freeze_language*", Missing, "would have been of " +
		"images, videos or sounds; here only text is trained on"},
	{"include_* log_* logging_first* logging_nan* logging_strategy disable_tqdm debug gc_* empty_cache* torch_empty* " +
		"profiler*", Same, "metrics.jsonl has every step"},
	{"disable_dropout", Same, "models have no dropout here but that of adapters"},
	{"precompute_ref* ref_model_*", Same, "the reference's log-probabilities are always computed beforehand"},
	{"max_prompt_length max_completion_length max_prompt_len", Missing, "would have cut prompts or answers by themselves; here " +
		"data.max_length is of both"},
	{"generate_samples num_generation* generation_* eval_max_new* max_new_tokens temperature top_p top_k do_sample", Differs,
		"would have said how answers are written in training; here sample and eval.during do"},
	{"use_dft_loss use_asft* asft_* use_eaft* eaft_*", Differs, "would have weighted tokens by what the model thinks of them; here " +
		"packing.weighting says what weights they have"},
	{"warmup_ratio warmup_steps", Same, "it is taken with the schedule"},
	{"lr_scheduler_kwargs", Missing, "would have bent the course of the learning rate; here it is that of train.lr_scheduler_type"},
	{"simpo_gamma cpo_alpha orpo_alpha rl_beta dpo_label_smoothing pref_loss pref_beta pref_ftx kto_chosen_weight " +
		"kto_rejected_weight kto_desirable_weight kto_undesirable_weight", Same, "another loss takes it, and not this one, there too"},
	{"create_new_adapter", Same, "adapters begin anew where none is named"},
	{"freeze_trainable* freeze_extra*", Differs, "would have said which layers are trained; here train.freeze names what stays as it " +
		"is"},
	{"embeddings_skip_upcast", Same, "adapters lie beside a base in the precision of its file"},
	{"fix_untrained_tokens", Missing, "would have given tokens that were never trained a mean embedding"},
	{"shards shards_idx", Missing, "would have taken one part of so many; here fraction of a source draws as much"},
	{"data_dir", Differs, "would have been this folder of the dataset; here a path names its files (hf://owner/name/FOLDER/*.parquet)"},
	{"conversation", Differs, "would have been this writing of the template; here the model's chat_template is used (model.template " +
		"names another)"},
	{"strict", Same, "no code of the model's is loaded"},
	{"field_thinking template_thinking_key split_thinking", Same, "reasoning is read under all its usual names, and told to the " +
		"template"},
	{"drop_system_message", Missing, "would have left out the system prompts of the records"},
	{"train_on_eos train_on_eot", Differs, "would have said of which turns the token that ends them is a target; here it is one with " +
		"every answer that is trained on"},
	{"eta_min cosine_constant_lr_ratio lr_div_factor lr_quadratic_warmup jagged_*", Missing, "would have bent the course of the " +
		"learning rate (train.lr_scheduler_type has others)"},
	{"use_kt kt_* use_scattermoe use_sonicmoe experts_* moe_* router_*", Missing, "would have been of models with experts, which " +
		"are refused by name"},
	{"min_sample_len", Missing, "would have left out shorter samples; here filter of a source does (min_words)"},
	{"project trl vllm vllm_* use_vllm unfrozen_parameters", Missing, "has no counterpart here (train.freeze names parameters that " +
		"stay as they are)"},
}

// otherKey is what becomes of a key that no one reads.
func otherKey(key string) (Kind, string) {
	low := strings.ToLower(key)
	for _, o := range others {
		if slices.Contains(strings.Fields(o.keys), low) {
			return o.kind, o.text
		}
	}
	for _, o := range others {
		for name := range strings.FieldsSeq(o.keys) {
			if begin, ok := strings.CutSuffix(name, "*"); ok && strings.HasPrefix(low, begin) {
				return o.kind, o.text
			}
		}
	}
	if why := configs.Elsewhere(key); why != "" {
		return Differs, why
	}
	return Missing, "is not known here: look up what it does there"
}

// problemOfCommand refuses what lwtrain does not train.
func (r *reader) problemOfCommand(name string) error {
	err := fmt.Errorf("%s: trl %s, want sft, dpo, kto, orpo or cpo", r.name, terminal.Printable(name))
	return fault.Hint(err, "lwtrain trains on answers and on preferences, not by rewards")
}
