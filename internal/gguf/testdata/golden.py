"""Makes the golden files of package gguf, in this folder.

    pip install gguf==0.19.0 safetensors==0.8.0 numpy==2.4.6 llama-cpp-python==0.3.36
    python golden.py

written.json         the SHA-256 of what gguf.quants.quantize makes of hard values, by type; and the square error that the
                     K-quants of llama.cpp (ggml_quantize_chunk of the library of llama-cpp-python 0.3.36) leave in them
quants.gguf          random blocks of every quantised type; quants.safetensors: what gguf.quants.dequantize makes of them
"""
import ctypes
import hashlib
import json
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
    halves = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
    for at in halves.get(kind, []):
        scale = rng.normal(0, 0.02, raw.shape[0]).astype(np.float16)
        scale[0], scale[1] = np.float16(3e-7), np.float16(-60000)
        raw[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
    return raw.reshape(rows, -1)


def quants():
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter(here / "quants.gguf", "llama")
    golden = {}
    for kind in [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K]:
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


def hard_values():
    """4,096 values that any language can make again: hash(i)^3 over a scale for each 32, with zeros, ties and extremes."""
    out = np.empty(4096, dtype=np.float32)
    for i in range(out.size):
        bits = (i * 2654435761 + 12345) % 2**32
        bits ^= bits >> 15
        bits = bits * 2246822519 % 2**32
        bits ^= bits >> 13
        unit = np.float32(bits >> 8) / np.float32(2**24) * np.float32(2) - np.float32(1)
        scale = np.float32(2.0) ** np.float32(i // 32 % 24 - 20)
        out[i] = unit * unit * unit * scale
    out[0:32] = 0  # a block of zeros
    out[256:288] = np.float32(0.375)  # one value
    out[512:544] = np.arange(32, dtype=np.float32) - np.float32(16)  # ties
    out[768:1024] = -abs(out[768:1024])  # of one sign
    return out


def written():
    import llama_cpp

    values = hard_values()
    sums = {k.name: hashlib.sha256(gguf.quants.quantize(values.reshape(8, -1), k).tobytes()).hexdigest()
            for k in (Q.F32, Q.F16, Q.BF16, Q.Q5_0, Q.Q5_1, Q.Q8_0)}
    ggml = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    errors = {}
    for kind in (Q.Q4_K, Q.Q5_K, Q.Q6_K):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        raw = np.empty(values.size // block * size, dtype=np.uint8)
        ggml.ggml_quantize_chunk(ctypes.c_int(kind.value), values.ctypes.data_as(ctypes.c_void_p), raw.ctypes.data_as(ctypes.c_void_p),
                                 ctypes.c_int64(0), ctypes.c_int64(1), ctypes.c_int64(values.size), None)
        back = gguf.quants.dequantize(raw, kind)
        errors[kind.name] = [float(e) for e in ((back.astype(np.float64) - values) ** 2).reshape(-1, block).sum(axis=1)]
    (here / "written.json").write_text(json.dumps({"values": hashlib.sha256(values.tobytes()).hexdigest(), "sha256": sums,
                                                   "errors": errors}, indent=1, sort_keys=True) + "\n")


quants()
written()
