"""What the worker does on GPUs, by a processor that plays one: attention by torch's own varlen_attn, whose flash kernels compute here what
its documentation says of them, and compiled blocks, which are traced as ever and then run without kernels of their own. Held against
each document by itself with nothing compiled.

    gpu.py FOLDER HOW    the worker's folder; how to open a model, as the conductor says it, in JSON"""

import json
import sys

sys.path.insert(0, sys.argv[1])
import torch
import torch.distributed as dist
import torch.nn.attention.varlen as torch_varlen
from torch.distributed.device_mesh import init_device_mesh

calls = 0


def documented(q, k, v, cu, left, scale, up=None):
    """q, k, v: [tokens, heads, size]. A token sees the `left` before it in its document and itself; -1: all before it. Returns what they
    give, or where its gradient is told theirs."""
    scale, more, parts = scale or q.shape[2] ** -0.5, q.shape[1] // k.shape[1], []
    for a, b in zip(cu[:-1].tolist(), cu[1:].tolist()):
        queries, keys, values = q[a:b], *(x[a:b].repeat_interleave(more, 1) for x in (k, v))
        back = torch.arange(b - a)[:, None] - torch.arange(b - a)[None]
        seen = (back >= 0) & ((back <= left) | (left < 0))
        p = (scale * torch.einsum("qhd,khd->hqk", queries, keys)).masked_fill(~seen, -torch.inf).softmax(-1)
        if up is None:
            parts.append((torch.einsum("hqk,khd->qhd", p, values),))
            continue
        dp = torch.einsum("qhd,khd->hqk", up[a:b], values)
        ds = scale * p * (dp - (p * dp).sum(-1, keepdim=True))
        dk, dv = torch.einsum("hqk,qhd->khd", ds, queries), torch.einsum("hqk,qhd->khd", p, up[a:b])
        parts.append((torch.einsum("hqk,khd->qhd", ds, keys), *(x.unflatten(1, (-1, more)).sum(2) for x in (dk, dv))))
    return [torch.cat(x) for x in zip(*parts)]


def named(op, args, more):
    return dict(zip([a.name for a in op._opoverload._schema.arguments], args)) | more


def settings(a):
    left, right = a.get("window_size") or (-1, -1)
    if right != 0 or a["cu_seq_q"].tolist() != a["cu_seq_k"].tolist() or max(a["cu_seq_q"].diff().tolist()) > a["max_q"]:
        raise ValueError(f"other arguments than those of a causal pack: {a}")
    return a["cu_seq_q"], left, a.get("scale")


@torch_varlen._varlen_attn.register_kernel("cpu")
def kernel(*args, **more):
    global calls
    calls += 1
    a = named(torch_varlen._varlen_attn, args, more)
    q = a["query"]
    out = documented(q, a["key"], a["value"], *settings(a))[0]
    return out, q.new_zeros(q.shape[1::-1], dtype=torch.float), torch.zeros(2, dtype=torch.uint64)


@torch_varlen._varlen_attn_backward.register_kernel("cpu")
def backward_kernel(*args, **more):
    a = named(torch_varlen._varlen_attn_backward, args, more)
    return tuple(documented(a["query"], a["key"], a["value"], *settings(a), a["grad_out"]))


compiler, torch.compile = torch.compile, lambda f, **how: compiler(f, backend="aot_eager", **how)

import attention
import model

# The checks of the start.
attention.register(torch.device("cuda"))
torch.cuda.synchronize = lambda: None
print(attention.measure(torch.device("cpu"), True, 4, 2, 16, 300))
right, attention.varlen = attention.varlen, lambda *args: right(*args).detach() + 0 * sum(x.sum() for x in args[:3])
try:
    attention.measure(torch.device("cpu"), True, 4, 2, 16, 300)
    raise SystemExit("gradients of attention that are 0 were not noticed")
except RuntimeError as e:
    if "attention is wrong here" not in str(e):
        raise
attention.varlen = right

# A model.
how = json.load(open(sys.argv[2]))
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
mesh = init_device_mesh("cpu", (1,), mesh_dim_names=("shard",))
size = json.load(open(how["config"] + "/config.json"))["vocab_size"]


def pack(*lengths):
    n = sum(lengths)
    targets = torch.randint(0, size, (n,))
    targets[::5] = -1
    return {
        "ids": torch.randint(0, size, (n,)), "targets": targets, "weights": torch.rand(n) + 0.1, "documents": list(lengths),
        "keys": torch.randint(-(1 << 62), 1 << 62, (n,)),
    }  # fmt: skip


torch.manual_seed(1)
packs = [pack(5, 1, 40, 17), pack(90, 3), pack(how["capacity"]), pack(30, 30, 2, 1, 1)]


def run(flash, compiled):
    """Losses of all packs, with gradients and without, and gradients; how often attention was computed with them, a pack."""
    attention.flash = lambda *_: flash
    m = model.Trained(how | {"compile": compiled}, mesh, torch.device("cpu"))
    with torch.no_grad():  # held out: what is compiled for it, without dropout, is not for the passes that have it
        out = {"held out": m.losses({name: x for name, x in packs[0].items() if name != "keys"})[0]}
        m.rest()
    before = calls
    for i, p in enumerate(packs):
        nll, at = m.losses(p)
        (nll * p["weights"][at]).sum().backward()
        out[f"loss {i}"] = nll.detach()
    often = (calls - before) / len(packs)
    for base in (False, True):
        with torch.no_grad():
            out[f"score {base}"] = m.losses(packs[0], base)[0]
            m.rest()
    return out | {name: m.gradient(name).clone() for name in m.trained}, often / len(m.lm.hf.model.layers)


want, _ = run(False, False)
got, often = run(True, True)
if often != (2 if how["recompute"] else 1):
    raise SystemExit(f"attention of a layer was computed {often} times a pack")
if not torch._dynamo.utils.counters["stats"]["unique_graphs"]:
    raise SystemExit("nothing was compiled")
for name, b in want.items():
    apart = ((got[name] - b).norm() / b.norm().clamp(min=1e-30)).item()
    if not apart <= 1e-5:
        raise SystemExit(f"{name} is {apart:.2g} from that without kernel and compiler")
print(f"the same: {len(want)} tensors, {torch._dynamo.utils.counters['stats']['unique_graphs']} graphs")
