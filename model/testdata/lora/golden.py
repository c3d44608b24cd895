"""Makes the golden adapters of this folder with PEFT, on the models of the folder above.

    python -m venv venv && venv/bin/pip install torch==2.15.0 peft==0.21.2 transformers==5.24.0 safetensors==0.8.0
    venv/bin/python golden.py

For each case: an adapter's folder as PEFT writes it, of random values, and golden.safetensors
with, in float32, for the documents of the model's own golden file run one by one: the weighted
sum of losses, the gradients of the adapter, logits with the adapter and with the adapter
merged, and the losses of 20 AdamW steps.

    venv/bin/python golden.py check MODEL ADAPTER LOGITS

loads an adapter that was saved elsewhere, and says how far its logits are from those of a
safetensors file (ids, logits).
"""

import json
import os
import shutil
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CASES = {
    "lora": ("llama-tied", dict(r=4, lora_alpha=8, target_modules="all-linear")),
    "lora-biased": ("qwen2", dict(r=1, lora_alpha=2, target_modules=["q_proj", "v_proj", "down_proj"])),
    "rslora": ("qwen3", dict(r=5, lora_alpha=7, use_rslora=True, target_modules=ALL)),
    "dora": ("qwen2", dict(r=3, lora_alpha=4, use_dora=True, target_modules=ALL)),
    "dora-fused": ("glm4", dict(r=2, lora_alpha=8, use_dora=True, target_modules="all-linear")),
    "whole": (
        "llama-untied",
        dict(r=2, lora_alpha=8, target_modules=["q_proj", "up_proj"], modules_to_save=["embed_tokens", "model.norm", "lm_head"]),
    ),
    "whole-tied": (
        "llama-tied",
        dict(r=2, lora_alpha=8, target_modules=["q_proj", "up_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True),
    ),
    "patterns": (
        "llama-untied",
        dict(
            r=4,
            lora_alpha=8,
            target_modules=ALL,
            rank_pattern={"layers.1.mlp.up_proj": 2},
            alpha_pattern={"o_proj": 16.0, "layers.0.mlp.down_proj": 3},
            layers_to_transform=[1],
        ),
    ),
}
ADAMW = dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)


def base(form):
    path = form if os.path.isdir(form) else os.path.join("..", form)
    return AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager", dtype=torch.float32).eval()


def weighted_loss(model, ids, weights):
    logits = model(ids[None]).logits[0]
    nll = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
    return logits, (nll * weights[:-1]).sum()


def name(parameter):
    """As the adapter's file has it."""
    parameter = parameter.replace(".default", "").replace(".modules_to_save", "")
    return parameter.removesuffix(".weight") if "lora_magnitude_vector" in parameter else parameter


def make(case):
    form, how = CASES[case]
    torch.manual_seed(3)
    model = get_peft_model(base(form), LoraConfig(task_type="CAUSAL_LM", **how)).eval()
    for n, p in model.named_parameters():
        if "lora_B" in n:
            p.data = 0.1 * torch.randn_like(p)
        if "modules_to_save" in n:
            p.data = p.data * (1 + 0.1 * torch.randn_like(p))
        if "lora_magnitude" in n:
            p.data = p.data * (1 + 0.1 * torch.randn_like(p))
    shutil.rmtree(case, ignore_errors=True)
    model.save_pretrained(case)
    os.remove(os.path.join(case, "README.md"))

    golden = load_file(os.path.join("..", form, "golden.safetensors"))
    docs = []
    while f"ids.{len(docs)}" in golden:
        docs.append((golden[f"ids.{len(docs)}"].long(), golden[f"weights.{len(docs)}"]))
    out, total = {}, 0.0
    for i, (ids, weights) in enumerate(docs):
        logits, loss = weighted_loss(model, ids, weights)
        loss.backward()
        total += loss.item()
        out[f"ids.{i}"], out[f"weights.{i}"], out[f"logits.{i}"] = ids.float(), weights, logits.detach()
    out["loss"] = torch.tensor([total])
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for n, p in trained.items():
        out[f"grad.{name(n)}"] = p.grad.clone()

    decay = [p for p in trained.values() if p.dim() > 1]
    rest = [p for p in trained.values() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay}, {"params": rest, "weight_decay": 0.0}], **ADAMW)
    divisor = sum(w.sum() for _, w in docs)
    losses, norms = [], []
    for _ in range(20):
        optimizer.zero_grad()
        loss = sum(weighted_loss(model, ids, w)[1] for ids, w in docs) / divisor
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained.values(), 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    out["adamw.losses"], out["adamw.norms"] = torch.tensor(losses), torch.tensor(norms)

    merged = PeftModel.from_pretrained(base(form), case).merge_and_unload()
    for i, (ids, _) in enumerate(docs):
        out[f"merged.{i}"] = merged(ids[None]).logits[0].detach()
    prompt = docs[1][0][:6]
    greedy = merged.generate(prompt[None], max_new_tokens=24, do_sample=False, pad_token_id=0, eos_token_id=None)
    out["greedy"] = greedy[0, len(prompt):].float()
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(case, "golden.safetensors"))
    print(case, total, json.dumps(losses[:3]), losses[-1])


def check(model, adapter, logits):
    got = load_file(logits)
    with torch.no_grad():
        want = PeftModel.from_pretrained(base(model), adapter).eval()(got["ids"].long()[None]).logits[0]
    print(f"{((got['logits'] - want).abs().max() / want.abs().max()).item():.2e}")


if sys.argv[1:2] == ["check"]:
    check(*sys.argv[2:])
else:
    for case in sys.argv[1:] or CASES:
        make(case)
