"""Makes a model of Llama's form with random weights in bf16, and the tokenizer of bytes that lwtrain has built in, to measure
with where there is no network:

    python bench/peer/random_model.py --layers 32 --hidden 4096 DIR        the shape of Llama 3.1 8B: 16 GB
"""
import argparse
import json
import os
import shutil
import subprocess
import tempfile

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

p = argparse.ArgumentParser()
p.add_argument("dir")
p.add_argument("--layers", type=int, required=True)
p.add_argument("--hidden", type=int, required=True, help="other sizes follow from it as those of 8B do")
p.add_argument("--lwtrain", default="bin/lwtrain")
a = p.parse_args()

config = LlamaConfig(
    hidden_size=a.hidden, intermediate_size=a.hidden * 7 // 2, num_hidden_layers=a.layers, num_attention_heads=max(4, a.hidden // 128),
    num_key_value_heads=max(1, a.hidden // 512), vocab_size=min(128256, 32 * a.hidden), max_position_embeddings=131072,
    rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None,
)  # fmt: skip
with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
model.save_pretrained(a.dir, max_shard_size="5GB")

with tempfile.TemporaryDirectory() as work:
    data, recipe = os.path.join(work, "data.jsonl"), os.path.join(work, "run.yaml")
    with open(data, "w") as f:
        f.write('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' * 4)
    small = {
        "model_type": "llama", "vocab_size": 259, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    with open(recipe, "w") as f:
        json.dump({
            "model": {"init": {"config": small}}, "data": {"sources": [{"path": data}], "cache_dir": f"{work}/cache", "held_out": 0,
            "max_length": 256}, "packing": {"capacity": 256}, "train": {"max_steps": 1, "warmup_ratio": 0, "eval_steps": 0},
            "sample": {"prompts": 0}, "output": {"dir": f"{work}/run"},
        }, f)  # fmt: skip
    subprocess.run([a.lwtrain, "sft", "-c", recipe], check=True, stdout=subprocess.DEVNULL)
    for name in sorted(os.listdir(f"{work}/run/checkpoints/step-000001")):
        if "token" in name or name.startswith("chat_template"):
            shutil.copy(f"{work}/run/checkpoints/step-000001/{name}", a.dir)
