"""The model: transformers' own classes under FSDP2, with float32 master weights and a head that never holds the logits of
a whole pack."""

import contextlib
import resource
import sys
import time

import torch
import torch.distributed as dist
import torch.nn as nn
import transformers
from safetensors import safe_open
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.optim.adamw import adamw
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PretrainedConfig

import adapters
import attention
import recurrent


def product(a, b):
    """a @ b.T with float32 sums and a float32 result."""
    if a.is_cuda and a.dtype != torch.float32:
        return torch.mm(a, b.T, out_dtype=torch.float32)
    return a.float() @ b.float().T


class TokenNLL(torch.autograd.Function):
    """-ln p of each row's target [n], in float32, from hidden states h [n, d] and the head w [vocabulary, d]. Logits exist for
    `rows` rows at a time, in float32, and are made again in the backward pass; the head's gradient is summed in float32
    and rounded once."""

    @staticmethod
    def forward(ctx, h, w, targets, rows):
        lse = torch.empty(len(targets), dtype=torch.float32, device=h.device)
        nll = torch.empty_like(lse)
        for i in range(0, len(targets), rows):
            s = slice(i, i + rows)
            z = product(h[s], w)
            lse[s] = z.logsumexp(1)
            nll[s] = lse[s] - z.gather(1, targets[s, None])[:, 0]
        ctx.save_for_backward(h, w, targets, lse)
        ctx.rows = rows
        return nll

    @staticmethod
    def backward(ctx, grad):
        h, w, targets, lse = ctx.saved_tensors
        dh = torch.empty_like(h)
        dw = torch.zeros(w.shape, dtype=torch.float32, device=w.device) if ctx.needs_input_grad[1] else None
        for i in range(0, len(targets), ctx.rows):
            s = slice(i, i + ctx.rows)
            p = product(h[s], w).sub_(lse[s, None]).exp_()
            p[torch.arange(len(p), device=p.device), targets[s]] -= 1
            p = p.mul_(grad[s, None]).to(h.dtype)
            dh[s] = p @ w
            if dw is not None:
                dw += product(p.T, h[s].T)
        return dh, None if dw is None else dw.to(w.dtype), None, None


class LM(nn.Module):
    """A causal language model whose head and loss lie inside the outermost FSDP unit."""

    def __init__(self, hf, rows):
        super().__init__()
        self.hf, self.rows = hf, rows
        self.scale = getattr(hf.config, "logit_scale", 1) / getattr(hf.config, "logits_scaling", 1)  # of logits: Cohere's, Granite's

    def forward(self, ids, positions, at, targets=None, **documents):
        """ids, positions: [tokens]. Returns -ln p of targets at the positions `at`, or where there are none the logits there."""
        h = self.hf.model(input_ids=ids[None], position_ids=positions[None], use_cache=False, **documents).last_hidden_state[0][at]
        if self.scale != 1:
            h = h * self.scale
        if targets is None:
            return product(h, self.hf.lm_head.weight)
        return TokenNLL.apply(h, self.hf.lm_head.weight, targets, self.rows)


class Sharded:
    """A model over all ranks. `how` are the conductor's settings (open in __main__)."""

    def __init__(self, how, mesh, device, train):
        self.device, self.mesh = device, mesh
        self.shards = mesh["shard"].size()
        self.shard = mesh["shard"].get_local_rank()
        self.first_copy = mesh.ndim == 1 or mesh["replicate"].get_local_rank() == 0
        self.bf16, self.capacity = how["precision"] == "bf16", how["capacity"]
        self.compiled = train and how["compile"]
        kind = PretrainedConfig.get_config_dict(how["config"])[0]["model_type"]
        if kind not in CONFIG_MAPPING:
            raise ValueError(f"transformers {transformers.__version__} has no {kind}: a later one may (pip install -U transformers)")
        config = AutoConfig.from_pretrained(how["config"], local_files_only=True)
        with torch.device("meta"):
            hf = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention.NAME)
        hf.model.embed_tokens.padding_idx = None  # a padding token that ends turns must be learnt like any other
        for m in hf.modules():
            if isinstance(m, nn.Dropout):
                m.p = 0.0  # whatever config.json says: models are trained without it, and a warning has said so
        recurs = recurrent.add(hf)
        self.flash = attention.flash(device, self.bf16) and not recurs
        hf.requires_grad_(train).train(train)
        names = adapters.add(hf, how["adapters"], device) if train else {}
        for name in how["frozen"] if train else ():
            hf.get_parameter(name).requires_grad_(False)
        for name in how["half"] if train else ():
            hf.get_parameter(name).data = hf.get_parameter(name).data.bfloat16()
        if train and how["recompute"]:
            again = getattr(hf, "activation_checkpointing_enable", None) or hf.gradient_checkpointing_enable  # its name up to 5.2x
            again({"use_reentrant": False, "preserve_rng_state": False})  # nothing in a block is drawn: dropout follows from keys
        self.lm = LM(hf, max(1, (1 << 28 if device.type == "cuda" else 1 << 24) // config.vocab_size))
        self._wrap(hf, adapted=bool(names))
        self.lm.to_empty(device=device)
        known = ("model.rotary_emb.", "model.embed_tokens.embed_scale")
        strange = [name for name, _ in hf.named_buffers() if not name.startswith(known)]
        if strange:
            raise ValueError(f"{config.model_type}: the buffer {strange[0]} would be empty: this family is not for this engine")
        if getattr(hf.model.rotary_emb, "rope_type", None) == "longrope":
            hf.model.rotary_emb = recurrent.Longrope(config, device)
        elif hf.model.rotary_emb is not None:
            hf.model.rotary_emb = type(hf.model.rotary_emb)(config=config).to(device)
        if hasattr(hf.model.embed_tokens, "embed_scale"):  # Gemma's
            hf.model.embed_tokens.embed_scale.fill_(hf.model.embed_tokens.scalar_embed_scale)
        hf.tie_weights()
        adapters.tie(hf, names)
        self.parameters = {names.get(n, n): p for n, p in hf.named_parameters()}  # without the head where it is tied
        if how["tensors"]:
            self.load(how["tensors"])
        else:
            self.draw()

    def _wrap(self, hf, adapted):
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        torch._dynamo.config.recompile_limit = 64  # kinds of layers by kinds of passes (dropout, without adapters, no gradients)
        policy = lambda dtype: MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
        for block in hf.model.layers:
            # with adapters all else of a block is kept in bf16 where that is computed with: they are gathered as they are
            fully_shard(block, mesh=self.mesh, mp_policy=policy(None if adapted and self.bf16 else dtype))
            if self.compiled:  # without FSDP's hooks, which are no part of a graph
                block.forward = torch.compile(block.forward, fullgraph=True)
        fully_shard(self.lm, mesh=self.mesh, mp_policy=policy(dtype))  # embedding, last norm and head stay gathered
        # Each pack's gradients are summed at once. To wait for a step's last pack (set_requires_gradient_sync) each rank would keep all of
        # them in float32, 36 GB at 9B; what HSDP alone could let wait, set_requires_all_reduce, a step that is dropped could not clear.
        for m in self.units():
            m.set_gradient_divide_factor(1.0)  # gradients are summed: the conductor knows the one divisor
            m.set_force_sum_reduction_for_comms(True)

    def units(self):
        return [m for m in self.lm.modules() if isinstance(m, FSDPModule)]

    def rows_here(self, parameter):
        """The rows of a parameter that lie on this rank, from and to."""
        n = parameter.shape[0]
        each = -(-n // self.shards)
        a, b = min(n, self.shard * each), min(n, (self.shard + 1) * each)
        if parameter.to_local().shape[0] != b - a:
            raise RuntimeError(f"this rank holds {parameter.to_local().shape[0]} of {n} rows, want {b - a}: torch shards in another way")
        return a, b

    @torch.no_grad()
    def load(self, tensors, prefix="", into=None):
        """Reads this rank's rows. tensors: by name, the pieces [file, tensor, first row, rows] that a tensor is made of, one
        below the other. into: other values than the weights, by name."""
        files = {}
        for name, parameter in self.parameters.items():
            if into is not None and name not in into or not parameter.requires_grad and prefix + name not in tensors:
                continue  # what stays as it is need not be there
            a, b = self.rows_here(parameter)
            local, at = (parameter.to_local() if into is None else into[name]), 0
            for path, tensor, first, rows in tensors[prefix + name]:
                lo, hi = max(a, at), min(b, at + rows)
                if lo < hi:
                    if path not in files:
                        files[path] = safe_open(path, "pt")
                    local[lo - a : hi - a].copy_(files[path].get_slice(tensor)[first + lo - at : first + hi - at])
                at += rows
            if not torch.isfinite(local).all():
                raise ValueError(f"tensor {prefix}{name} holds a NaN or infinity")
            if prefix == "exp_avg_sq." and (local < 0).any():
                raise ValueError(f"tensor {prefix}{name} holds a value below 0, want means of squares")
            if at != parameter.shape[0]:
                raise ValueError(f"{prefix}{name}: the files have {at} rows, want {parameter.shape[0]}")

    @torch.no_grad()
    def draw(self):
        """Random weights, to measure with."""
        for p in self.parameters.values():
            local = p.to_local()
            local.normal_(0, 0.02) if p.ndim > 1 else local.fill_(1)

    def losses(self, pack, base=False):
        """-ln p of each target of this rank's pack, and their positions. base: without adapters."""
        at = ((pack["targets"] >= 0) & (pack["weights"] != 0)).nonzero()[:, 0]
        tokens, lengths = len(pack["ids"]), pack["documents"]
        short = max(0, self.capacity - tokens) if self.compiled else 0
        if short:  # one size for all packs; what is added is a document of its own
            lengths = lengths + [short]
        filled = lambda x: nn.functional.pad(x, (0, short)).to(self.device)
        adapters.now.base, adapters.now.keys = base, filled(pack["keys"]) if "keys" in pack else None
        positions = torch.cat([torch.arange(n) for n in lengths]).to(self.device)
        targets = pack["targets"][at].long().to(self.device)
        bounds = attention.bounds(lengths, self.device, max(self.capacity, tokens), self.flash)
        eager = self.compiled and tokens > self.capacity  # a long held-out document: a size of its own, which is not compiled for
        with torch.compiler.set_stance("force_eager") if eager else contextlib.nullcontext():
            return self.lm(filled(pack["ids"]).long(), positions, at.to(self.device), targets, **bounds), at

    def rest(self):
        """Gives back what a forward pass without a backward one left gathered."""
        for m in self.units():
            m.reshard()


class Trained(Sharded):
    """A model with gradients and AdamW's moments: float32, sharded as its weights are."""

    def __init__(self, how, mesh, device):
        super().__init__(how, mesh, device, train=True)
        self.how = how
        self.trained = {n: p for n, p in self.parameters.items() if p.requires_grad}
        self.kept = self.trained if how["adapters"] else self.parameters  # what a checkpoint has
        self.mean, self.square = ({n: torch.zeros_like(p.to_local()) for n, p in self.trained.items()} for _ in range(2))
        for name, p in self.trained.items():
            if not p.dtype == self.mean[name].dtype == self.square[name].dtype == torch.float32:
                raise RuntimeError(f"{name}: master weights and moments are {p.dtype}, {self.mean[name].dtype}, want float32")

    def gradient(self, name):
        """This rank's rows of a gradient."""
        grad = self.parameters[name].grad
        if grad is None:
            return torch.zeros_like(self.mean[name])
        if grad.dtype != torch.float32:
            raise RuntimeError(f"{name}: the gradient is {grad.dtype}, want float32")
        return grad.to_local()

    def drop(self):
        for p in self.parameters.values():
            p.grad = None

    @torch.no_grad()
    def update(self, step, rate, divisor, max_norm):
        """One step of AdamW on the gradients over divisor, scaled down to max_norm (0: never). Returns their norm before that;
        where it is not finite nothing changes, and the gradients are still there."""
        grads = {name: self.gradient(name) for name in self.trained}
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for g in grads.values():
            total += torch.linalg.vector_norm(g, dtype=torch.float64).square()
        dist.all_reduce(total, group=self.mesh["shard"].get_group())
        norm = total.sqrt().item() / divisor
        if not torch.isfinite(total):
            return norm
        scale = (min(1.0, max_norm / (norm + 1e-6)) if max_norm > 0 else 1.0) / divisor
        for matrices in (True, False):  # decay is for matrices
            names = [n for n, p in self.trained.items() if (p.ndim > 1) == matrices and grads[n].numel() > 0]
            if not names:
                continue
            torch._foreach_mul_([grads[n] for n in names], scale)
            adamw(
                [self.parameters[n].to_local() for n in names], [grads[n] for n in names],
                [self.mean[n] for n in names], [self.square[n] for n in names], [],
                [torch.full((), float(step - 1), device=self.device) for _ in names],  # filled there: nothing is sent, nobody waits
                fused=True, amsgrad=False, maximize=False,
                beta1=self.how["beta1"], beta2=self.how["beta2"], lr=rate, eps=self.how["epsilon"],
                weight_decay=self.how["decay"] if matrices else 0.0,
            )  # fmt: skip
        self.drop()
        return norm

    def state(self):
        """What a checkpoint holds of this rank: rows of weights and moments, by name."""
        for prefix, values in (("", None), ("exp_avg.", self.mean), ("exp_avg_sq.", self.square)):
            for name, p in (self.kept if values is None else self.trained).items():
                yield prefix + name, (p.to_local() if values is None else values[name]).detach()

    def restore(self, tensors):
        self.load(tensors)
        self.load(tensors, "exp_avg.", self.mean)
        self.load(tensors, "exp_avg_sq.", self.square)
        self.drop()


def speed(device, bf16):
    """GFLOP/s that a matrix product reaches here."""
    n, times = (8192, 20) if device.type == "cuda" else (1024, 4)
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    best = 0.0
    for _ in range(3):
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(times):
            a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2e-9 * n**3 * times / (time.perf_counter() - began))
    return best


def peak(device):
    """The most memory that this rank has had, in bytes: of the GPU, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)
