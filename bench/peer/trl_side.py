"""The peer's half of compare.py: the same packs, trained by TRL's SFTTrainer.

Reads the packs that `lwtrain pack --write FILE --ids` wrote, takes one pack a
step, and prints a JSON object: losses, tokens a second, peak memory.
"""
import argparse
import json
import resource
import time

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

p = argparse.ArgumentParser()
p.add_argument("--model", required=True)
p.add_argument("--packs", required=True)
p.add_argument("--rate", type=float, required=True)
p.add_argument("--precision", choices=["float32", "bf16"], required=True)
p.add_argument("--checkpointing", type=int, required=True)
p.add_argument("--attention", default="sdpa")
p.add_argument("--scratch", required=True)
p.add_argument("--lora", type=int, default=0, help="rank of adapters, by PEFT; 0: none")
a = p.parse_args()

rows = []
for line in open(a.packs):
    pack = json.loads(line)
    ids, labels, lengths = [], [], []
    for doc in pack["documents"]:
        target = [-100] * len(doc["ids"])
        for start, end in doc["target"]:
            target[start:end] = doc["ids"][start:end]
        ids += doc["ids"]
        labels += target
        lengths.append(len(doc["ids"]))
    rows.append({"input_ids": ids, "labels": labels, "seq_lengths": lengths})

torch.set_num_threads(torch.get_num_threads())
gpu = torch.cuda.is_available()
# with adapters the weights stay as the file has them; PEFT makes the adapters float32
dtype = "auto" if a.lora else torch.float32
model = AutoModelForCausalLM.from_pretrained(a.model, dtype=dtype, attn_implementation=a.attention)
adapters = None
if a.lora:
    from peft import LoraConfig

    adapters = LoraConfig(task_type="CAUSAL_LM", r=a.lora, lora_alpha=32, target_modules="all-linear")
times, losses = [], []


class Clock(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        self.began = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        if gpu:
            torch.cuda.synchronize()
        times.append(time.monotonic() - self.began)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            losses.append(logs["loss"])


trainer = SFTTrainer(
    model=model,
    processing_class=AutoTokenizer.from_pretrained(a.model),
    train_dataset=Dataset.from_list(rows),
    callbacks=[Clock()],
    peft_config=adapters,
    args=SFTConfig(
        output_dir=a.scratch,
        max_steps=len(rows),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        learning_rate=a.rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        adam_beta1=0.9,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        bf16=a.precision == "bf16",
        use_cpu=not gpu,
        gradient_checkpointing=bool(a.checkpointing),
        padding_free=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=0,
    ),
)
# The packs are in the order of lwtrain's steps.
trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(trainer.train_dataset)
trainer.train()
tokens = sum(len(r["input_ids"]) for r in rows[1:])
print(
    json.dumps(
        {
            "losses": losses[: len(rows)],
            "tokens_per_second": tokens / sum(times[1:]) if len(times) > 1 else len(rows[0]["input_ids"]) / times[0],
            "peak_rss_bytes": torch.cuda.max_memory_reserved() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    )
)
