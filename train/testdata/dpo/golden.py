"""Makes the files of this folder with TRL's own trainers.

    python -m venv venv && venv/bin/pip install trl==1.16.0 torch==2.15.0 transformers==5.24.0
    venv/bin/python golden.py

Two small random models, policy and reference, as transformers writes them;
pairs.jsonl and labels.jsonl; and golden.safetensors with, for each loss, what
DPOTrainer (simpo: CPOTrainer; kto: KTOTrainer) computes on all pairs or labelled
answers as one batch, in float32: the loss, its metrics, and all gradients of the
policy; for sigmoid and kto also what the trainer logs in STEPS steps of training,
each on that batch. TRL tokenises the pairs with the
byte-level tokenizer; the newline that ChatML puts behind <|im_end|>, which TRL
counts as a target, is taken off.
"""

import json
import os
import shutil
import tempfile

import torch
import trl
from datasets import Dataset
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer

assert trl.__version__ == "1.16.0" and torch.__version__.startswith("2.15.0")
torch.use_deterministic_algorithms(True)

PAIRS = [
    ("Write about rain.", "Rain falls on the roof, and on the street, and on the sea.", "It is wet."),
    ("Count to five.", "One, two, three, four, five.", "One, two."),
    ("Say no.", "No.", "No, and here is a very long account of why I say so."),
    ("Tell me of the sea, at length.", "The sea is wide. The sea is deep. The sea is older than the land.", "The sea is wide."),
    ("中文", "好的，我来写。", "不。"),
]
STEPS = 4
DIR = os.path.dirname(os.path.abspath(__file__))
os.chdir(DIR)

config = LlamaConfig(
    vocab_size=259, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    max_position_embeddings=512, tie_word_embeddings=True, initializer_range=0.3, eos_token_id=258, bos_token_id=None, pad_token_id=256,
)  # fmt: skip
for seed, name in enumerate(["policy", "reference"]):
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    shutil.rmtree(name, ignore_errors=True)
    model.save_pretrained(name)
    if os.path.exists(f"{name}/generation_config.json"):
        os.remove(f"{name}/generation_config.json")

records = [
    {
        "prompt": [{"role": "user", "content": p}],
        "chosen": [{"role": "assistant", "content": c}],
        "rejected": [{"role": "assistant", "content": r}],
    }
    for p, c, r in PAIRS
]
with open("pairs.jsonl", "w") as f:
    for r in records:
        f.write(json.dumps(r, ensure_ascii=False) + "\n")
LABELS = [True, False, False, True, True]
labelled = [
    {"prompt": r["prompt"], "completion": r["chosen" if good else "rejected"], "label": good} for r, good in zip(records, LABELS)
]
with open("labels.jsonl", "w") as f:
    for r in labelled:
        f.write(json.dumps(r, ensure_ascii=False) + "\n")
tokenizer = AutoTokenizer.from_pretrained("../../../tokenizer/bytes")
common = dict(
    output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, report_to=[], max_length=None, gradient_checkpointing=False,
    max_steps=STEPS, learning_rate=1e-3, lr_scheduler_type="constant", weight_decay=0.1, logging_steps=1, save_strategy="no",
)  # fmt: skip


def load(name):
    return AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32).train()


def rows(prepared):
    out = []
    for row in prepared:
        row = {k: row[k] for k in ("prompt_ids", "chosen_ids", "rejected_ids")}
        for k in ("chosen_ids", "rejected_ids"):
            assert row[k][-2:] == [258, 10]
            row[k] = row[k][:-1]
        out.append(row)
    return out


out = {}


METRICS = ("rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected", "kl")


def keep(name, model, loss, metrics):
    loss.backward()
    out[f"{name}.loss"] = loss.detach().reshape(1)
    for k in METRICS:
        if k not in metrics:
            continue
        out[f"{name}.{k}"] = torch.tensor([float(metrics[k])])
    for n, p in model.named_parameters():
        out[f"{name}.grad.{n}"] = p.grad.reshape(-1).clone()
    print(name, loss.item(), torch.cat([p.grad.reshape(-1) for p in model.parameters()]).norm().item())


def keep_steps(name, model, trainer, prepared):
    model.zero_grad()
    trainer.train_dataset = Dataset.from_list(prepared)
    trainer.train()
    logs = [log for log in trainer.state.log_history if "loss" in log]
    assert len(logs) == STEPS
    for k in METRICS + ("loss", "grad_norm"):
        if k in logs[0]:
            out[f"{name}.steps.{k}"] = torch.tensor([float(log[k]) for log in logs])
            print(name, k, out[f"{name}.steps.{k}"])


for loss_type in ("sigmoid", "ipo"):
    model = load("policy")
    trainer = DPOTrainer(
        model, load("reference"), DPOConfig(loss_type=[loss_type], beta=0.1, **common),
        train_dataset=Dataset.from_list(records), processing_class=tokenizer,
    )  # fmt: skip
    prepared = rows(trainer.train_dataset)
    loss = trainer._compute_loss(model, trainer.data_collator(prepared), False)
    keep(loss_type, model, loss, {k: v[-1] for k, v in trainer._metrics["train"].items()})
    if loss_type == "sigmoid":
        trainer._metrics["train"].clear()
        keep_steps(loss_type, model, trainer, prepared)

model = load("policy")
args = CPOConfig(loss_type="simpo", cpo_alpha=0.0, beta=2.0, simpo_gamma=0.5, **common | {"max_length": 512})
trainer = CPOTrainer(model, args, train_dataset=Dataset.from_list(records), processing_class=tokenizer)
width = max(len(r["prompt_ids"]) + max(len(r["chosen_ids"]), len(r["rejected_ids"])) for r in prepared)
batch = {}
for side in ("chosen", "rejected"):
    ids = [r["prompt_ids"] + r[f"{side}_ids"] for r in prepared]
    gap = [width - len(x) for x in ids]
    batch[f"{side}_input_ids"] = torch.tensor([x + [256] * g for x, g in zip(ids, gap)])
    batch[f"{side}_attention_mask"] = torch.tensor([[1] * len(x) + [0] * g for x, g in zip(ids, gap)])
    batch[f"{side}_labels"] = torch.tensor(
        [[-100] * len(r["prompt_ids"]) + r[f"{side}_ids"] + [-100] * g for r, g in zip(prepared, gap)]
    )
loss, metrics = trainer.get_batch_loss_metrics(model, batch)
keep("simpo", model, loss, metrics)

model = load("policy")
args = KTOConfig(beta=0.1, desirable_weight=1.0, undesirable_weight=1.2, per_device_train_batch_size=5, **common | {"max_length": 512})
trainer = KTOTrainer(model, load("reference"), args, train_dataset=Dataset.from_list(labelled), processing_class=tokenizer)
prepared = []
for row in trainer.train_dataset:
    for k in ("completion_ids", "KL_completion_ids"):
        assert row[k][-2:] == [258, 10]
        row[k] = row[k][:-1]
    prepared.append(row)
loss = trainer._compute_loss(model, trainer.data_collator(prepared), False)
keep("kto", model, loss, {k: v[-1] for k, v in trainer._metrics["train"].items()})
trainer._metrics["train"].clear()
keep_steps("kto", model, trainer, prepared)

save_file({k: v.contiguous() for k, v in out.items()}, "golden.safetensors")
