"""Makes the golden files of package checkpoints, in this folder.

    pip install safetensors==0.8.0 torch==2.15.0 numpy==2.4.6
    python golden.py

f32.safetensors      as the reference implementation writes it; bf16.safetensors: the same values rounded by torch
dtypes.safetensors   every dtype that numpy has; dtypes-f32.safetensors: its floats, converted by numpy
"""
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

here = Path(__file__).parent


def floats():
    rng = np.random.default_rng(2)
    ties = np.arange(0x3f7f0000, 0x3f830000, 0x4000, dtype=np.uint32).view(np.float32)
    edges = np.array([0, -0.0, np.inf, -np.inf, 1e-45, -1e-40, 3.4028235e38, 65504, 1 / 3], dtype=np.float32)
    t = {
        "model.layers.10.b": torch.from_numpy(rng.normal(0, 1, (3, 5)).astype(np.float32)),
        "model.layers.2.a": torch.from_numpy(ties), "edges": torch.from_numpy(edges), "empty": torch.zeros(0, 4),
        "one": torch.tensor(2.5), "\u00fcber \"quoted\" <&>": torch.ones(2, 2, 2),
    }
    safetensors.torch.save_file(t, here / "f32.safetensors", {"format": "pt"})
    safetensors.torch.save_file({k: v.bfloat16() for k, v in t.items()}, here / "bf16.safetensors", {"format": "pt"})


def dtypes():
    rng = np.random.default_rng(3)
    x = rng.normal(0, 100, (4, 3))
    t = {d.__name__: x.astype(d) for d in (np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.bool_)}
    t["float16"][0] = [6e-8, 65504, -0.0]
    safetensors.numpy.save_file(t, here / "dtypes.safetensors")
    safetensors.numpy.save_file({k: v.astype(np.float32) for k, v in t.items() if v.dtype.kind == "f"}, here / "dtypes-f32.safetensors")


floats()
dtypes()
