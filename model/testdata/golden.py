"""Makes the golden files of this folder with the reference implementation.

    python -m venv venv && venv/bin/pip install torch==2.15.0 transformers==4.57.3 safetensors==0.8.0
    venv/bin/python golden.py

For each small random Llama: the model folder as transformers writes it, and
golden.safetensors with, in float32, for a few documents run one by one:
logits, the weighted sum of losses, all gradients, the losses of 20 AdamW steps
on all documents, and greedy continuations.
"""

import json
import os
import shutil

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
torch.use_deterministic_algorithms(True)

FORMS = {
    "llama-tied": dict(tie_word_embeddings=True, num_key_value_heads=2, rope_theta=100000.0),
    "llama-untied": dict(
        tie_word_embeddings=False,
        num_key_value_heads=1,
        head_dim=16,
        rope_theta=500000.0,
        attention_bias=False,
        rope_scaling=dict(
            rope_type="llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=32,
        ),
    ),
}
LENGTHS = [7, 19, 1, 33, 4]
ADAMW = dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)


def documents(vocab, seed):
    g = torch.Generator().manual_seed(seed)
    docs = []
    for n in LENGTHS:
        ids = torch.randint(0, vocab, (n,), generator=g)
        weights = torch.rand(n, generator=g) * (torch.rand(n, generator=g) < 0.7)
        weights[-1] = 0  # the last position predicts nothing
        docs.append((ids, weights))
    return docs


def weighted_loss(model, ids, weights):
    logits = model(ids[None]).logits[0]
    nll = torch.nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
    return logits, (nll * weights[:-1]).sum()


for name, extra in FORMS.items():
    config = LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        initializer_range=0.2,
        attn_implementation="eager",
        **extra,
    )
    model = LlamaForCausalLM(config).float().eval()
    for n, p in model.named_parameters():
        if "norm" in n:
            p.data += 0.1 * torch.randn_like(p)
    shutil.rmtree(name, ignore_errors=True)
    model.save_pretrained(name)
    os.remove(os.path.join(name, "generation_config.json"))

    docs = documents(config.vocab_size, 1)
    out = {}
    total = 0.0
    for i, (ids, weights) in enumerate(docs):
        logits, loss = weighted_loss(model, ids, weights)
        loss.backward()
        total += loss.item()
        out[f"ids.{i}"] = ids.float()
        out[f"weights.{i}"] = weights
        out[f"logits.{i}"] = logits.detach()
    out["loss"] = torch.tensor([total])
    for n, p in model.named_parameters():
        out[f"grad.{n}"] = p.grad.clone()
    prompt = docs[1][0][:6]
    greedy = model.generate(prompt[None], max_new_tokens=24, do_sample=False, pad_token_id=0, eos_token_id=None)
    out["greedy"] = greedy[0, len(prompt):].float()

    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decay}, {"params": rest, "weight_decay": 0.0}], **ADAMW)
    divisor = sum(w.sum() for _, w in docs)
    losses, norms = [], []
    for _ in range(20):
        optimizer.zero_grad()
        loss = sum(weighted_loss(model, ids, w)[1] for ids, w in docs) / divisor
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    out["adamw.losses"] = torch.tensor(losses)
    out["adamw.norms"] = torch.tensor(norms)
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(name, "golden.safetensors"))
    print(name, total, json.dumps(losses[:3]), losses[-1])
