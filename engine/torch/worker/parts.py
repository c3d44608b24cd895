"""A rank's part of a checkpoint: one safetensors file, written tensor by tensor, so that it takes no memory beside the
weights."""

import contextlib
import json
import os
import struct


def write(path, tensors):
    """tensors: a function that yields names with tensors, which become float32, the same each time. The file is on the disk
    when this returns."""
    header, at = {}, 0
    for name, t in tensors():
        if t.numel() > 0:
            header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + 4 * t.numel()]}
            at += 4 * t.numel()
    text = json.dumps(header).encode()
    try:
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for _, t in tensors():
                if t.numel() > 0:
                    f.write(t.float().cpu().contiguous().numpy().data)
            f.flush()
            os.fsync(f.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)  # the disk may be full, and what went wrong is to be written there
        raise
