"""Makes golden.json with the loss code of TRL's own trainers.

    python -m venv venv && venv/bin/pip install trl==1.16.0 torch==2.15.0 transformers==5.24.0
    venv/bin/python golden.py

No model is run: the trainers' methods are called on a stand-in for the trainer
whose model returns given log-probabilities, so everything but ORPO's loss,
which TRL computes in float32, is float64. For each case: the options, the
log-probabilities of each answer's target tokens under policy and reference,
TRL's loss and metrics, and the gradient of the loss with regard to the
policy's log-probability of every target token.
"""

import contextlib
import json
import os
from collections import defaultdict
from types import SimpleNamespace

import torch
import trl
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer
from trl.trainer import dpo_trainer, kto_trainer

assert trl.__version__ == "1.16.0" and torch.__version__.startswith("2.15.0")
torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
for module in (dpo_trainer, kto_trainer):
    module.disable_gradient_checkpointing = lambda *args: contextlib.nullcontext()
    module.is_peft_model = lambda model: False

PROMPT = 2  # tokens before each answer
CHOSEN, REJECTED = [3, 7, 5, 1], [6, 2, 5, 4]


def log_probs(lengths, like=None):
    """Rows of log-probabilities, 0 where an answer has ended; near `like` for a policy near its reference."""
    width = max(lengths)
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    if like is None:
        return -torch.empty(len(lengths), width).exponential_(0.5) * mask
    return (like + 0.8 * torch.randn(len(lengths), width)).clamp(max=-1e-3) * mask


class Model:
    """Returns given log-probabilities for a prompt and an answer, as the trainers' fused head does."""

    def __init__(self, rows):
        self.rows, self.training = rows, True

    def __call__(self, input_ids, **_):
        rows = self.rows[input_ids[0, 0].item()]
        padded = torch.cat([torch.zeros(len(rows), PROMPT - 1), rows], 1)
        zeros = torch.zeros_like(padded)
        return SimpleNamespace(log_probs=padded, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())


def batch(lengths, kind=0):
    width = PROMPT + max(lengths)
    mask = (torch.arange(width)[None] >= PROMPT) & (torch.arange(width)[None] < PROMPT + torch.tensor(lengths)[:, None])
    ids = torch.full((len(lengths), width), kind)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask.long()}


def trainer(policy, ref, **options):
    same = lambda x: x
    return SimpleNamespace(
        model=policy, ref_model=ref, precompute_ref_logps=False, aux_loss_enabled=False, use_weighting=False,
        f_divergence_type="reverse_kl", _metrics=defaultdict(lambda: defaultdict(list)), _total_train_tokens=0, _tp_size=1,
        accelerator=SimpleNamespace(device="cpu", gather=same, gather_for_metrics=same), calculate_KL=True,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None), **options,
    )  # fmt: skip


def answers(rows, lengths):
    return [row[:n].tolist() for row, n in zip(rows, lengths)]


def metrics(self):
    return {k: v[-1] for k, v in self._metrics["train"].items() if k.split("/")[0] in ("rewards", "logps", "kl")}


def dpo(policy, ref, lengths, loss_type, loss_weights=None, beta=0.1, label_smoothing=0.0, ld_alpha=None):
    policy = policy.clone().requires_grad_()
    self = trainer(
        Model([policy]), Model([ref]), loss_types=loss_type, loss_weights=loss_weights or [1.0] * len(loss_type),
        beta=beta, label_smoothing=label_smoothing, ld_alpha=ld_alpha,
    )  # fmt: skip
    loss = dpo_trainer.DPOTrainer._compute_loss(self, self.model, batch(lengths), False)
    loss.backward()
    return loss.item(), metrics(self), policy.grad


cases = []


def add(name, options, lengths, policy, ref, loss, metric, grad, **more):
    cases.append({
        "name": name, "options": options, "policy": answers(policy, lengths), "reference": answers(ref, lengths),
        "loss": loss, "metrics": metric, "grad": answers(grad, lengths), **more,
    })  # fmt: skip


lengths = CHOSEN + REJECTED
reference = log_probs(lengths)
policy = log_probs(lengths, reference)
for options in [
    dict(loss_type=["sigmoid"]),
    dict(loss_type=["sigmoid"], beta=2.0),
    dict(loss_type=["sigmoid"], beta=0.5, ld_alpha=0.4),
    dict(loss_type=["sigmoid"], beta=0.5, ld_alpha=0.0),
    dict(loss_type=["hinge"], beta=0.5),
    dict(loss_type=["hinge"], beta=0.5, ld_alpha=0.3),
    dict(loss_type=["ipo"]),
    dict(loss_type=["robust"], beta=0.5, label_smoothing=0.2),
    dict(loss_type=["sigmoid_norm"], beta=5.0),
    dict(loss_type=["apo_zero"], beta=0.5),
    dict(loss_type=["apo_down"], beta=0.5),
    dict(loss_type=["sigmoid", "ipo", "apo_zero"], loss_weights=[0.8, 0.2, 1.5], beta=0.3),
]:
    add(" ".join(options["loss_type"]), options, lengths, policy, reference, *dpo(policy, reference, lengths, **options))

# TRL's sft is a mean over the batch's tokens, ours one over pairs: they agree on batches of one pair.
options = dict(loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.3], beta=0.5)
for i in range(2):
    two = [lengths[i], lengths[i + 4]]
    p, r = policy[[i, i + 4], : max(two)], reference[[i, i + 4], : max(two)]
    ours = dict(loss_type=["sigmoid"], beta=0.5, sft_weight=0.3)
    add("sft", ours, two, p, r, *dpo(p, r, two, **options))

# SimPO and ORPO are functions of mean log-probabilities.
policy = log_probs(lengths)
n = torch.tensor(lengths)
for loss_type in ("simpo", "orpo"):
    leaf = policy.clone().requires_grad_()
    w, l = (leaf.sum(1) / n).chunk(2)
    if loss_type == "simpo":
        options = dict(loss_type=["simpo"], beta=2.5, simpo_gamma=1.4)
        self = trainer(None, None, loss_type="simpo", beta=2.5, simpo_gamma=1.4, label_smoothing=0.0, alpha=0.0)
        losses, rewards_w, rewards_l = CPOTrainer.cpo_loss(self, w, l)
        loss = losses.mean()
    else:
        options = dict(loss_type=["orpo"], beta=0.3)
        self = trainer(None, None, beta=0.3)
        losses, rewards_w, rewards_l, _, _ = ORPOTrainer.odds_ratio_loss(self, w, l)
        loss = (-w - losses).mean()  # TRL's own cross-entropy is over the prompt, too
    loss.backward()
    metric = {"rewards/chosen": rewards_w.mean().item(), "rewards/rejected": rewards_l.mean().item()}
    add(loss_type, options, lengths, policy, torch.zeros_like(policy), loss.item(), metric, leaf.grad)

# KTO: the answers' labels, and answers to other prompts for its estimate of the KL.
labels = torch.tensor([1, 0, 0, 1, 1, 0, 0, 0]).bool()
mismatched = lengths[1:] + lengths[:1]
for shift in (0.3, -0.3):  # a KL above 0, and one that is cut off there
    reference, ref_kl = log_probs(lengths), log_probs(mismatched)
    policy, kl = log_probs(lengths, reference), ref_kl + shift * (ref_kl != 0)
    leaf = policy.clone().requires_grad_()
    options = dict(beta=0.2, desirable_weight=1.3, undesirable_weight=0.7)
    self = trainer(Model([leaf, kl]), Model([reference, ref_kl]), loss_type="kto", **options)
    self._compute_kl_logps = lambda model, b: kto_trainer.KTOTrainer._compute_kl_logps(self, model, b)
    inputs = batch(lengths) | {"KL_" + k: v for k, v in batch(mismatched, 1).items()} | {"label": labels}
    loss = kto_trainer.KTOTrainer._compute_loss(self, self.model, inputs, False)
    loss.backward()
    add("kto", options | {"loss_type": ["kto"]}, lengths, policy, reference, loss.item(), metrics(self), leaf.grad,
        desirable=labels.tolist(), mismatched=answers(kl, mismatched), mismatched_reference=answers(ref_kl, mismatched))  # fmt: skip

with open(os.path.join(os.path.dirname(__file__), "golden.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
