"""Makes the golden files of package gguf, in this folder.

    pip install gguf==0.19.0 safetensors==0.8.0 numpy==2.4.6
    python golden.py

quants.gguf          random blocks of every quantised type; quants.safetensors: what gguf.quants.dequantize makes of them
"""
from pathlib import Path

import gguf
import numpy as np
import safetensors.numpy
from gguf import GGMLQuantizationType as Q

here = Path(__file__).parent


def random_blocks(kind, rows, columns, rng):
    """Random bytes, with scales that are finite: plain numbers and subnormal ones."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (rows * columns // block, size), dtype=np.uint8)
    halves = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
    for at in halves.get(kind, []):
        scale = rng.normal(0, 0.02, raw.shape[0]).astype(np.float16)
        scale[0], scale[1] = np.float16(3e-7), np.float16(-60000)
        raw[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
    return raw.reshape(rows, -1)


def quants():
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter(here / "quants.gguf", "llama")
    golden = {}
    for kind in [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q4_K, Q.Q5_K, Q.Q6_K]:
        if kind in (Q.F32, Q.F16, Q.BF16):
            values = rng.normal(0, 1, (2, 512)).astype(np.float32)
            raw = gguf.quants.quantize(values, kind)
        else:
            raw = random_blocks(kind, 2, 512, rng)
        golden[kind.name] = np.ascontiguousarray(gguf.quants.dequantize(raw, kind), dtype=np.float32)
        w.add_tensor(kind.name, raw, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    safetensors.numpy.save_file(golden, here / "quants.safetensors")


quants()
