"""Convolutions, the gated delta rule and longrope within documents: what transformers computes over a whole row begins anew
with each document of a pack, and what a text that is being written needs of its past is kept."""

import inspect

import torch
import torch.nn as nn
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

import attention

CONVOLVE, CHUNKS, STEP = "causal_conv1d_fn", "torch_chunk_gated_delta_rule", "torch_recurrent_gated_delta_rule"


class Now:
    layer = None  # the mixer that is computed


def add(hf):
    """Has the recurrent layers of a model go by documents, and its longrope. Returns whether there are such layers."""
    mixers = [getattr(block, name) for block in hf.model.layers for name in ("linear_attn", "conv") if hasattr(block, name)]
    for mixer in mixers:
        forward = inspect.unwrap(type(mixer).forward)
        there, called = forward.__globals__, forward.__code__.co_names
        if CONVOLVE not in called or CONVOLVE not in there or hasattr(mixer, "A_log") and not {CHUNKS, STEP} <= set(called):
            raise ValueError(
                f"{type(mixer).__name__} of this transformers computes its states in another way than that of 5.24, so they would go on "
                "from one document of a pack to the next: this family is for engine.kind: native here"
            )
        mixer.register_forward_pre_hook(lambda mixer, _: setattr(Now, "layer", mixer.layer_idx))
        if not hasattr(there[CONVOLVE], "by_document"):
            there[CONVOLVE] = _convolution(there[CONVOLVE])
            if CHUNKS in called:
                there[CHUNKS] = _rule(there[STEP])
    return bool(mixers)


def _convolution(convolve):
    def by_document(x, weight, bias=None, activation=None, documents=None, **_):
        """x: [1, channels, tokens]"""
        run = lambda x: convolve(x, weight, bias, activation=activation)
        cache = attention.Cache.now
        if cache is None:
            return torch.cat([run(x[:, :, a:b]) for a, b in documents], 2)
        taps = weight.shape[-1]
        newest = cache.keep((Now.layer, "taps"), lambda: x.new_zeros(cache.texts, x.shape[1], taps))
        if cache.only is not None:
            newest[cache.only] = nn.functional.pad(x[0], (taps, 0))[:, -taps:]
            return run(x)
        newest[:] = torch.cat([newest[:, :, 1:], x[0].T[:, :, None]], 2)
        return run(newest)[:, :, -1].T[None]

    by_document.by_document = True
    return by_document


def _chunks(q, k, v, g, beta, normal, size=64):
    """The gated delta rule over one document, a chunk after the other (arXiv:2412.06464, section 3.3). q, k, v: [1, tokens,
    heads, size]; g, beta: [1, tokens, heads]. Returns what queries read, as v, and the state at the end [heads, size of k,
    size of v]. On the processor it is computed in float64: in float32 the gradients of g, sums that nearly cancel, are
    wrong by up to 1e-3. GPUs are many times slower in it, and stay with float32."""
    kind, tokens, heads = v.dtype, v.shape[1], v.shape[2]
    wide = torch.float64 if v.device.type == "cpu" else torch.float32
    q, k, v, g, beta = (x[0].transpose(0, 1).to(wide) for x in (q, k, v, g, beta))
    if normal:
        q, k = (x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt() for x in (q, k))
    q, k = (x.repeat_interleave(heads // x.shape[0], 0) for x in (q * q.shape[-1] ** -0.5, k))
    fill = (0, -tokens % size)
    q, k, v, g, beta = (nn.functional.pad(x, (0, 0) * (x.dim() - 2) + fill).unflatten(1, (-1, size)) for x in (q, k, v, g, beta))
    c = g @ g.new_ones(size, size).triu()  # the logs of the decay since the chunk's start: cumsum has no fixed order on a GPU
    decay = (c[..., :, None] - c[..., None, :]).tril().exp().tril()  # from column to row
    bk = k * beta[..., None]
    system = (bk @ k.mT * decay).tril(-1)  # with ones on the diagonal
    u, w = torch.linalg.solve_triangular(
        system, torch.cat((v * beta[..., None], bk * c.exp()[..., None]), -1), upper=False, unitriangular=True
    ).split((v.shape[-1], k.shape[-1]), -1)
    seen, read, left = q @ k.mT * decay, q * c.exp()[..., None], k * (c[..., -1:] - c).exp()[..., None]
    state, out = v.new_zeros(heads, k.shape[-1], v.shape[-1]), []
    for i in range(v.shape[1]):
        new = u[:, i] - w[:, i] @ state
        out.append(read[:, i] @ state + seen[:, i] @ new)
        state = state * c[:, i, -1:, None].exp() + left[:, i].mT @ new
    return torch.cat(out, 1)[:, :tokens].transpose(0, 1)[None].to(kind), state


def _rule(step):
    def by_document(q, k, v, g, beta, documents=None, use_qk_l2norm_in_kernel=False, **_):
        """q, k, v: [1, tokens, heads, size]; g, beta: [1, tokens, heads]"""

        cache, all, normal = attention.Cache.now, (q, k, v, g, beta), use_qk_l2norm_in_kernel
        if cache is None:
            return torch.cat([_chunks(*(x[:, a:b] for x in all), normal)[0] for a, b in documents], 1), None
        shape = (cache.texts, v.shape[2], k.shape[3], v.shape[3])
        states = cache.keep((Now.layer, "state"), lambda: torch.zeros(shape, device=v.device))
        if cache.only is not None:
            out, states[cache.only] = _chunks(*all, normal)
            return out, None
        q, k, v, g, beta = (x.transpose(0, 1) for x in all)
        out, states[:] = step(q, k, v, g=g, beta=beta, initial_state=states, output_final_state=True, use_qk_l2norm_in_kernel=normal)
        return out.transpose(0, 1), None

    return by_document


class Longrope(nn.Module):
    """Rotations by longrope, where the length of each document chooses between the frequencies, and not that of the longest
    of a batch."""

    def __init__(self, config, device):
        super().__init__()
        self.original = int(config.rope_parameters["original_max_position_embeddings"])
        make = ROPE_INIT_FUNCTIONS["longrope"]
        (self.short, self.factor), (self.long, _) = (make(config, device, seq_len=self.original + more) for more in (0, 1))

    def forward(self, x, position_ids):
        at, cache = position_ids[0], attention.Cache.now
        lengths = at + 1  # of texts that are being written, each row one of them
        if cache is None or cache.only is not None:
            document = (at == 0).cumsum(0) - 1
            lengths = torch.zeros_like(at).index_add(0, document, torch.ones_like(at))[document]
        turned = at[:, None] * torch.where((lengths > self.original)[:, None], self.long.to(at.device), self.short.to(at.device))
        turned = torch.cat((turned, turned), -1)[None]
        return (turned.cos() * self.factor).to(x.dtype), (turned.sin() * self.factor).to(x.dtype)
