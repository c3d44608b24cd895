"""Makes the golden files of this folder with the reference implementation.

    python -m venv venv && venv/bin/pip install torch==2.15.0 transformers==5.24.0 safetensors==0.8.0
    venv/bin/python golden.py smollm3 mistral     # these forms alone; without names all

The forms up to chatglm were made with transformers 4.57.3.

For each form, a small random model: its folder as transformers writes it, and
golden.safetensors with, in float32, for a few documents run one by one:
logits, the weighted sum of losses, all gradients, the losses of 20 AdamW steps
on all documents, and greedy continuations. chatglm, whose code is not part of
transformers, is glm with the names of its tensors and of its config changed.
"""

import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.qwen3_5 import modeling_qwen3_5 as qwen3_5

torch.use_deterministic_algorithms(True)

# The delta rule token by token: in chunks, the gradients of its rates of forgetting are off by 4e-4 in float32, against
# the same in float64.
qwen3_5.torch_chunk_gated_delta_rule = qwen3_5.torch_recurrent_gated_delta_rule

SMALL = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=4, num_key_value_heads=2, head_dim=16, pad_token_id=None)
MULTIPLIERS = dict(
    tie_word_embeddings=True, embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.5, logits_scaling=2.0
)
FORMS = {
    "llama-tied": dict(model_type="llama", tie_word_embeddings=True, num_key_value_heads=2, rope_theta=100000.0),
    "llama-untied": dict(
        model_type="llama",
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
    "llama-biased": dict(
        model_type="llama",
        num_key_value_heads=4,
        attention_bias=True,
        rope_scaling=dict(rope_type="linear", factor=4.0),
    ),
    "qwen2": dict(model_type="qwen2", tie_word_embeddings=True, num_key_value_heads=2, rope_theta=1000000.0),
    "qwen3": dict(model_type="qwen3", tie_word_embeddings=True, num_key_value_heads=2, head_dim=16, rope_theta=1000000.0),
    "glm": dict(model_type="glm", num_key_value_heads=2, head_dim=16, rope_theta=5000000.0, pad_token_id=None),
    "glm4": dict(model_type="glm4", num_key_value_heads=2, head_dim=16, rope_theta=10000.0, pad_token_id=None),
    "chatglm": dict(model_type="glm", num_key_value_heads=2, head_dim=16, rope_theta=5000000.0, pad_token_id=None),
    "mistral": dict(SMALL, model_type="mistral", sliding_window=7, rope_theta=1000000.0),
    "ministral": dict(
        SMALL,
        model_type="ministral",
        sliding_window=7,
        rope_theta=100000000.0,
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
    ),
    "smollm3": dict(SMALL, model_type="smollm3", num_hidden_layers=5, rope_theta=5000000.0),
    "granite": dict(SMALL | MULTIPLIERS, model_type="granite", attention_bias=True, rope_theta=10000000.0),
    "granitemoehybrid": dict(
        SMALL | MULTIPLIERS,
        model_type="granitemoehybrid",
        num_local_experts=0,
        intermediate_size=8,
        shared_intermediate_size=24,
        layer_types=["full_attention"] * 4,
        position_embedding_type="rope",
        mamba_n_heads=4,
    ),
    "olmo2": dict(SMALL, model_type="olmo2", rope_theta=500000.0),
    "olmo3": dict(
        SMALL,
        model_type="olmo3",
        sliding_window=7,
        rope_scaling=dict(
            rope_type="yarn", rope_theta=500000.0, factor=8.0, original_max_position_embeddings=32, attention_factor=1.2079441541679836
        ),
    ),
    "ministral3": dict(
        SMALL,
        model_type="ministral3",
        sliding_window=None,
        rope_parameters=dict(
            rope_type="yarn",
            rope_theta=1000000.0,
            factor=16.0,
            original_max_position_embeddings=8,
            beta_fast=32.0,
            beta_slow=1.0,
            mscale=1.0,
            mscale_all_dim=0.5,
            llama_4_scaling_beta=0.1,
        ),
    ),
    "gemma3": dict(
        SMALL,
        model_type="gemma3_text",
        sliding_window=7,
        sliding_window_pattern=3,
        query_pre_attn_scalar=8,
        rope_scaling=dict(rope_type="linear", factor=8.0),
    ),
    "exaone4": dict(SMALL, model_type="exaone4", sliding_window=7, sliding_window_pattern=3, rope_theta=1000000.0),
    "hunyuan": dict(
        SMALL, model_type="hunyuan_v1_dense", attention_bias=True, rope_scaling=dict(rope_type="dynamic", alpha=1000.0, factor=1.0)
    ),
    "phi3": dict(
        SMALL,
        model_type="phi3",
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        tie_word_embeddings=True,
        partial_rotary_factor=0.75,
        original_max_position_embeddings=20,
        rope_scaling=dict(
            rope_type="longrope", short_factor=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5], long_factor=[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
        ),
    ),
    "cohere": dict(SMALL, model_type="cohere", attention_bias=True, logit_scale=0.5, layer_norm_eps=1e-5, rope_theta=10000.0),
    "cohere2": dict(
        SMALL, model_type="cohere2", sliding_window=7, sliding_window_pattern=3, logit_scale=0.25, layer_norm_eps=1e-5, rope_theta=50000.0
    ),
    "qwen3_5": dict(
        SMALL,
        model_type="qwen3_5_text",
        tie_word_embeddings=True,
        linear_num_key_heads=1,
        linear_num_value_heads=2,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        rope_parameters=dict(rope_type="default", rope_theta=10000000.0, partial_rotary_factor=0.25),
    ),
    "lfm2": dict(
        SMALL,
        model_type="lfm2",
        head_dim=8,
        hidden_size=32,
        layer_types=["conv", "full_attention", "conv", "conv"],
        norm_eps=1e-5,
        block_ff_dim=40,
        block_multiple_of=8,
    ),
}
CHATGLM = [  # of glm, of chatglm
    ("model.embed_tokens.", "transformer.embedding.word_embeddings."),
    ("model.layers.", "transformer.encoder.layers."),
    ("model.norm.", "transformer.encoder.final_layernorm."),
    ("lm_head.", "transformer.output_layer."),
    ("self_attn.o_proj.", "self_attention.dense."),
    ("mlp.gate_up_proj.", "mlp.dense_h_to_4h."),
    ("mlp.down_proj.", "mlp.dense_4h_to_h."),
]
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


def to_chatglm(tensors):
    """Renames glm's tensors; query, key and value become one."""
    out = {}
    for key, value in tensors.items():
        if ".self_attn.q_proj." in key:
            value = torch.cat([tensors[key.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")])
            key = key.replace("self_attn.q_proj", "self_attention.query_key_value")
        if ".self_attn.k_proj." in key or ".self_attn.v_proj." in key:
            continue
        for old, new in CHATGLM:
            key = key.replace(old, new)
        out[key] = value
    return out


def chatglm_folder(folder, config):
    tensors = to_chatglm(load_file(os.path.join(folder, "model.safetensors")))
    dim = config.head_dim // 2
    tensors["transformer.rotary_pos_emb.inv_freq"] = 1.0 / (10000 ** (torch.arange(0, dim, 2).float() / dim))
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(
            dict(
                architectures=["ChatGLMModel"],
                model_type="chatglm",
                auto_map={"AutoConfig": "configuration_chatglm.ChatGLMConfig"},
                add_bias_linear=False,
                add_qkv_bias=True,
                apply_residual_connection_post_layernorm=False,
                ffn_hidden_size=config.intermediate_size,
                hidden_size=config.hidden_size,
                kv_channels=config.head_dim,
                layernorm_epsilon=config.rms_norm_eps,
                multi_query_attention=True,
                multi_query_group_num=config.num_key_value_heads,
                num_attention_heads=config.num_attention_heads,
                num_layers=config.num_hidden_layers,
                original_rope=True,
                padded_vocab_size=config.vocab_size,
                post_layer_norm=True,
                rmsnorm=True,
                rope_ratio=500,
                seq_length=config.max_position_embeddings,
                tie_word_embeddings=False,
                torch_dtype="float32",
            ),
            f,
            indent=2,
        )


for name in sys.argv[1:] or FORMS:
    sizes = dict(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        initializer_range=0.2,
        eos_token_id=None,
    )
    config = AutoConfig.for_model(**{**sizes, **FORMS[name]})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    for n, p in model.named_parameters():
        if "norm" in n or "bias" in n:
            p.data += 0.1 * torch.randn_like(p)
    shutil.rmtree(name, ignore_errors=True)
    model.save_pretrained(name)
    os.remove(os.path.join(name, "generation_config.json"))
    if name == "chatglm":
        chatglm_folder(name, config)

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
    grads = {n: p.grad.clone() for n, p in model.named_parameters()}
    for n, grad in (to_chatglm(grads) if name == "chatglm" else grads).items():
        out[f"grad.{n}"] = grad
    prompt = docs[1][0][:6]
    greedy = model.generate(prompt[None], max_new_tokens=80 if "hidden_size" in FORMS[name] else 24, do_sample=False, pad_token_id=0, eos_token_id=None)
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
