"""Attention within documents: a token sees those before it in its own document, and no others.

Documents lie one after the other in a pack, which is one row without padding between them. On a GPU the whole pack goes
through one flash kernel that takes the documents' bounds; elsewhere, and in float32, which flash does not compute in, each
document goes through SDPA by itself. In a layer with a window a token sees so many tokens at most, itself included.
"""

import contextlib
import functools
import inspect
import itertools
import time

import torch
import torch.nn.functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "lwtrain"
# To have fewer heads of keys, which torch 2.11 takes without being told.
GROUPED = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}


def bounds(lengths, device, capacity, flash):
    """What the blocks of a model are told of a pack's documents. Their lengths add up to all of its tokens: what lies
    behind the last bound would get NaN for gradients. flash: one kernel takes all of them; else they are computed one by one."""
    ends = list(itertools.accumulate(lengths, initial=0))
    if not flash:
        return {"documents": tuple(itertools.pairwise(ends))}
    cu = torch.tensor(ends, dtype=torch.int32, device=device)
    torch._dynamo.mark_dynamic(cu, 0)  # the number of documents is no reason to compile again
    return {"documents": (cu, 1 << (capacity - 1).bit_length())}


def flash(device, bf16):
    """Whether the flash kernel computes attention: it does so on GPUs, in bf16."""
    return device.type == "cuda" and bf16


def per_document(q, k, v, documents, scale, window=None):
    """q, k, v: [1, heads, tokens, size] -> [1, tokens, heads, size]"""
    if q.is_cuda and (q.dtype == torch.float32 or window is not None):
        # the kernel for float32 and masks takes as many heads of keys; without one all pairs of tokens are held
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    attend, parts = functools.partial(F.scaled_dot_product_attention, scale=scale, enable_gqa=True), []
    for a, b in documents:
        if window is None or b - a <= window:
            parts.append(attend(q[:, :, a:b], k[:, :, a:b], v[:, :, a:b], is_causal=True))
            continue
        rows = max(window, 64)  # at a time, with the keys that they see
        for i in range(a, b, rows):
            j, first = min(i + rows, b), max(a, i - window + 1)
            at, of = torch.arange(i, j, device=q.device)[:, None], torch.arange(first, j, device=q.device)[None]
            parts.append(attend(q[:, :, i:j], k[:, :, first:j], v[:, :, first:j], attn_mask=(of <= at) & (of > at - window)))
    return torch.cat(parts, 2).transpose(1, 2)


def varlen(q, k, v, documents, scale, window=None):
    """The same, where documents are their bounds and the most tokens that one may have."""
    cu, longest = documents  # the kernel sizes its grid by the longest: the capacity, so that a pack is no reason to compile again
    rows = [x.transpose(1, 2)[0].contiguous() for x in (q, k, v)]
    before = -1 if window is None else window - 1  # -1: all
    return varlen_attn(*rows, cu, cu, longest, longest, scale=scale, window_size=(before, 0), **GROUPED)[None]


class Cache:
    """The keys and values of texts that are being written, [texts, heads, tokens, size] a layer. While `now` is one, the
    attention of all layers puts what it gets into it, and reads from it."""

    now = None

    def __init__(self, texts, tokens, device):
        self.texts, self.tokens, self.device = texts, tokens, device
        self.layers = {}
        self.kept = {}  # what recurrent layers keep
        self.filled = torch.zeros(texts, dtype=torch.int64, device=device)  # tokens of each text
        self.only = None  # the text whose prompt is read; None: each gets a token

    @contextlib.contextmanager
    def open(self):
        Cache.now = self
        try:
            yield self
        finally:
            Cache.now = None

    def next(self):
        """Where the next token of each text goes. One that has ended may be full: nobody looks at what it gets."""
        return self.filled.clamp(max=self.tokens - 1)

    def keep(self, key, make):
        """What is kept under a key, made where there is nothing yet."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def attend(self, layer, q, k, v, scale, window):
        if layer not in self.layers:
            shape = (self.texts, k.shape[1], self.tokens, k.shape[3])
            self.layers[layer] = tuple(torch.zeros(shape, dtype=k.dtype, device=k.device) for _ in range(2))
        keys, values = self.layers[layer]
        if self.only is not None:
            keys[self.only, :, : k.shape[2]], values[self.only, :, : k.shape[2]] = k[0], v[0]
            return per_document(q, k, v, ((0, k.shape[2]),), scale, window)
        # q, k, v: [1, heads, texts, size]
        rows, at = torch.arange(self.texts, device=self.device), self.next()
        keys[rows, :, at], values[rows, :, at] = k[0].transpose(0, 1), v[0].transpose(0, 1)
        most = int(at.max()) + 1
        seen = torch.arange(most, device=self.device)[None] <= at[:, None]
        if window is not None:
            seen &= torch.arange(most, device=self.device)[None] > at[:, None] - window
        # heads that read the same keys are rows of one product: so keys are not copied for each
        rows = q[0].transpose(0, 1).unflatten(1, (keys.shape[1], -1))
        out = F.scaled_dot_product_attention(rows, keys[:, :, :most], values[:, :, :most], seen[:, None, None], scale=scale)
        return out.flatten(1, 2)[None]


def attention(module, q, k, v, mask, scaling=None, dropout=0.0, documents=None, sliding_window=None, **_):
    """What transformers calls. Dropout is 0: no family that is trained here has one."""
    if Cache.now is not None:
        return Cache.now.attend(module.layer_idx, q, k, v, scaling, sliding_window), None
    return (varlen if torch.is_tensor(documents[0]) else per_document)(q, k, v, documents, scaling, sliding_window), None


def register(device):
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, lambda *args, **kwargs: None)
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # flash is pinned: cuDNN's kernel is silently wrong on unaligned rows (pytorch#194818)


def measure(device, flash, heads, kv_heads, size, tokens):
    """By what attention is computed. Where that is the flash kernel, a full pack of 8 documents of odd lengths is held against SDPA
    of each of them, forward and backward, and what both take is said in milliseconds."""
    if not flash:
        return "SDPA for each document"
    make = lambda n: torch.randn(1, n, tokens, size, device=device, dtype=torch.bfloat16, requires_grad=True)
    q, k, v = make(heads), make(kv_heads), make(kv_heads)
    lengths = [max(1, tokens // 8 - 2 * i - 1) for i in range(min(7, tokens - 1))]
    lengths.append(tokens - sum(lengths))
    up = torch.randn(1, tokens, heads, size, device=device, dtype=torch.bfloat16)
    ways = {"varlen flash": (varlen, True), "SDPA for each document": (per_document, False)}
    out, took = {}, {}
    for name, (way, at_once) in ways.items():
        documents = bounds(lengths, device, tokens, at_once)["documents"]
        for _ in range(2):  # the first one warms up
            torch.cuda.synchronize()
            began = time.perf_counter()
            y = way(q, k, v, documents, None)
            out[name] = (y.detach(), *torch.autograd.grad(y, (q, k, v), up))
            torch.cuda.synchronize()
            took[name] = 1e3 * (time.perf_counter() - began)
    apart = max(((a - b).float().norm() / b.float().norm()).item() for a, b in zip(*out.values()))
    if not apart < 2e-2:
        raise RuntimeError(f"varlen attention is wrong here: {apart:.3g} from SDPA of each document alone, want below 0.02")
    return ", ".join(f"{name} {t:.2f} ms" for name, t in took.items()) + f" a layer, {apart:.1e} apart: varlen flash, cuDNN off"
