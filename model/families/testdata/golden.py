"""Makes gguf_names.json, in this folder: what the package gguf calls the tensors of each family, by the names of Hugging
Face's files.

    pip install gguf==0.19.0
    python golden.py
"""
import json
from pathlib import Path

import gguf

COMMON = ["model.embed_tokens", "model.norm", "lm_head"]
LAYER = ["input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "self_attn.q_norm",
         "self_attn.k_norm", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.gate_up_proj", "mlp.down_proj",
         "post_self_attn_layernorm", "post_mlp_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
         "self_attn.qkv_proj", "self_attn.query_layernorm", "self_attn.key_layernorm"]
STATES = ["linear_attn.in_proj_qkv", "linear_attn.in_proj_z", "linear_attn.in_proj_b", "linear_attn.in_proj_a", "linear_attn.conv1d",
          "linear_attn.A_log", "linear_attn.dt_proj", "linear_attn.norm", "linear_attn.out_proj"]
LFM2 = ["model.embed_tokens", "model.embedding_norm", "lm_head"]
LFM2_LAYER = ["operator_norm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj",
              "self_attn.q_layernorm", "self_attn.k_layernorm", "conv.in_proj", "conv.conv", "conv.out_proj", "ffn_norm",
              "feed_forward.w1", "feed_forward.w2", "feed_forward.w3"]
CHATGLM = ["transformer.embedding.word_embeddings", "transformer.encoder.final_layernorm", "transformer.output_layer"]
CHATGLM_LAYER = ["input_layernorm", "self_attention.query_key_value", "self_attention.dense", "post_attention_layernorm",
                 "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]
FAMILIES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "glm": "chatglm", "glm4": "glm4", "chatglm": "chatglm",
            "mistral": "llama", "ministral": "llama", "smollm3": "smollm3", "granite": "granite", "granitemoehybrid": "granite", "olmo2": "olmo2",
            "olmo3": "olmo2", "ministral3": "mistral3", "gemma3_text": "gemma3", "phi3": "phi3",
            "exaone4": "exaone4", "hunyuan_v1_dense": "hunyuan-dense",
            "cohere": "command-r", "cohere2": "cohere2", "qwen3_5_text": "qwen35", "lfm2": "lfm2"}
ALIASES = {  # of forms that such a file has under the names of others
    "shared_mlp.output_linear": "mlp.down_proj",
}

golden = {}
for family, arch in FAMILIES.items():
    arch = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}[arch]
    known = gguf.get_tensor_name_map(arch, 2)
    names = COMMON + [f"model.layers.1.{n}" for n in (LAYER + STATES if family == "qwen3_5_text" else LAYER)]
    if family == "lfm2":
        names = LFM2 + [f"model.layers.1.{n}" for n in LFM2_LAYER]
    if family == "chatglm":
        names = CHATGLM + [f"transformer.encoder.layers.1.{n}" for n in CHATGLM_LAYER]
    found = {n: known.get_name(n.removeprefix("transformer.")) for n in names}
    golden[family] = {n: name for n, name in found.items() if name}
    if family == "qwen3_5_text":  # as convert_hf_to_gguf.py names it first
        golden[family]["model.layers.1.linear_attn.dt_bias"] = golden[family].pop("model.layers.1.linear_attn.dt_proj") + ".bias"
    if family == "granitemoehybrid":
        for own, common in ALIASES.items():
            golden[family]["model.layers.1." + own] = golden[family]["model.layers.1." + common]
(Path(__file__).parent / "gguf_names.json").write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
