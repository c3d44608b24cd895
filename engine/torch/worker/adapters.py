"""LoRA: beside a linear layer, which stays as it is, two small matrices are trained, and W + scale B A takes the place of W.
What is computed is what internal/graph/adapter.go computes, dropout to the bit."""

import torch
import torch.nn as nn
import torch.nn.functional as F

STEP, FIRST, SECOND = (n - (1 << 64) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))  # as int64


class Now:
    """What holds for all layers in the pass that is computed, and when its blocks are computed again."""

    def __init__(self):
        self.base = False  # the model without its adapters
        self.keys = None  # int64 of each token that its dropout follows from; None: there is none


now = Now()  # an object: for what a class has, torch 2.11 does not look again whether a compiled block still holds


def mix(z):
    """SplitMix64's finaliser (Steele et al. 2014) on int64, whose products wrap; bits that are shifted in are 0."""
    z = (z ^ (z >> 30 & (1 << 34) - 1)) * FIRST
    z = (z ^ (z >> 27 & (1 << 37) - 1)) * SECOND
    return z ^ (z >> 31 & (1 << 33) - 1)


def dropout(x, salt, threshold):
    """x [1, tokens, inputs] with the inputs 0 that follow from keys and salt, and the others as much larger."""
    if now.keys is None or threshold == 0:
        return x
    n = x.shape[-1]
    bits = mix((now.keys ^ salt)[:, None] + STEP * torch.arange(1, (n + 3) // 4 + 1, device=x.device))
    stays = torch.stack([(bits >> place & 0xFFFF) >= threshold for place in (0, 16, 32, 48)], -1).flatten(1)[:, :n]
    return torch.where(stays, x * (1 / (1 - threshold / 65536)), 0)


class Adapted(nn.Linear):
    """A linear layer with an adapter, or with rows of one that several layers have."""

    def forward(self, x):
        y = F.linear(x, self.weight)
        if not now.base:
            y = self.adapt(x, y)
        return y if self.bias is None else y + self.bias

    def adapt(self, x, y):
        rows = slice(self.first, self.first + self.out_features)
        a, b = self.lora_a, self.lora_b[rows]  # float32, and computed with as the weights are
        h = self.scale * F.linear(dropout(x, self.salt, self.threshold), a.to(x.dtype))
        y = y + F.linear(h, b.to(x.dtype))
        if self.lora_magnitude is None:
            return y
        with torch.no_grad():  # DoRA: lengths of rows are constants to the gradient
            lengths = (self.weight.float() + (self.scale * b) @ a).norm(dim=1)
        return (y * (self.lora_magnitude[rows] / lengths)).to(x.dtype)


def add(hf, adapters, device):
    """Gives linear layers of a model their adapters (the conductor's Adapting), without memory. Returns the names that the
    adapter's files have for the parameters, by those that the model now has."""
    tensors, names = {}, {}
    for a in adapters:
        linear = hf.get_submodule(a["linear"])
        if type(linear) is not nn.Linear:
            raise TypeError(f"{a['linear']} is a {type(linear).__name__}, want a linear layer: its adapter is not for this engine")
        shapes = {"a": (a["rank"], linear.in_features), "b": (a["rows"], a["rank"]), "magnitude": (a["rows"],)}
        linear.register_parameter("lora_magnitude", None)
        for part, shape in shapes.items():
            if name := a[part]:
                tensors.setdefault(name, nn.Parameter(torch.empty(shape, device="meta")))
                linear.register_parameter(f"lora_{part}", tensors[name])
                names[f"{a['linear']}.lora_{part}"] = name
        linear.first, linear.scale, linear.threshold = a["first"], a["scale"], a["threshold"]
        linear.salt = torch.tensor(a["salt"], device=device)  # no number: each would be a reason to compile again
        linear.__class__ = Adapted
    return names


def tie(hf, names):
    """Makes one parameter again of those that several layers have, once there is memory."""
    first = {}
    for at, name in names.items():
        linear, _, part = at.rpartition(".")
        linear = hf.get_submodule(linear)
        setattr(linear, part, first.setdefault(name, getattr(linear, part)))
