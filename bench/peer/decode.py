"""Decoding speed next to llama.cpp's with F16 weights, in turn: one prompt, and
for lwtrain also 16 prompts together.

    pip install llama-cpp-python==0.3.16 gguf==0.19.0
    python bench/peer/decode.py MODEL.gguf MODEL_DIR

MODEL_DIR is what `lwtrain import MODEL.gguf MODEL_DIR` made; llama.cpp gets the
same values as F16, in a file that is written once beside the folder.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import time

import numpy as np

TOKENS = 256
ROUNDS = 3
source, folder = sys.argv[1:3]
half = folder.rstrip("/") + ".F16.gguf"


def to_f16():
    import gguf

    reader = gguf.GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(half + ".part", arch)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type", "general.quantization_version"):
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=sub)
    for t in reader.tensors:
        values = gguf.dequantize(t.data, t.tensor_type).astype(np.float32)
        writer.add_tensor(t.name, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.rename(half + ".part", half)


def llama():
    from llama_cpp import Llama

    model = Llama(half, n_ctx=1024, n_threads=os.cpu_count(), verbose=False)
    prompt = model.tokenize(b"Write a long story about a lighthouse keeper.")
    speeds = []
    for _ in range(2):  # the first one warms up
        model.reset()
        n, began = 0, None
        for _ in model.generate(prompt, temp=0.0, repeat_penalty=1.0):
            began = began or time.monotonic()  # the prompt is not counted
            n += 1
            if n > TOKENS:
                break
        speeds.append((n - 1) / (time.monotonic() - began))
    return max(speeds)


def lwtrain(prompts, precision):
    path = "runs/bench/prompts.jsonl"
    os.makedirs("runs/bench", exist_ok=True)
    with open(path, "w") as f:
        for i in range(prompts):
            f.write(json.dumps({"prompt": "Write a long story about a lighthouse keeper." + " Go on." * (i % 4)}) + "\n")

    def seconds(tokens):
        out = subprocess.run(
            ["bin/lwtrain", "generate", "-m", folder, "--prompts", path, "--greedy",
             "--max-new-tokens", str(tokens), "--precision", precision],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found, rate = re.findall(r"([\d,]+) tokens in .* ([\d.]+) tokens/s", out.stderr)[-1]
        found = int(found.replace(",", ""))
        assert found, "the model ends at once"
        return found, found / float(rate)

    first, prompt = seconds(1)  # not counted, as llama.cpp's is not
    found, took = seconds(TOKENS)
    return (found - first) / (took - prompt)


if not os.path.exists(half):
    to_f16()
one, many, peer = [], [], []
for _ in range(ROUNDS):
    one.append(lwtrain(1, "bf16"))
    peer.append(llama())
    many.append(lwtrain(16, "bf16"))
show = lambda v: f"{statistics.median(v):6.1f} ({min(v):.1f} to {max(v):.1f})"
print("llama.cpp, F16, one prompt    ", show(peer), "tokens/s")
print("lwtrain, bf16, one prompt     ", show(one), "tokens/s")
print("lwtrain, bf16, 16 prompts     ", show(many), "tokens/s")
print("one prompt against llama.cpp  ", show([a / b for a, b in zip(one, peer)]))
print("16 prompts against one        ", show([a / b for a, b in zip(many, one)]))
