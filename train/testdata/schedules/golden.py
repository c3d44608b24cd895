"""Makes rates.json: the learning rates of each update by transformers' schedulers.

    python -m venv venv && venv/bin/pip install torch==2.15.0 transformers==5.24.0
    venv/bin/python golden.py > rates.json
"""

import json
import sys

import torch
from transformers.optimization import get_cosine_with_min_lr_schedule_with_warmup, get_wsd_schedule


def rates(total, make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-5)
    scheduler = make(optimizer)
    out = []
    for _ in range(total):
        out.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return out


cases = []
for warmup, total, ratio in [(2, 12, 0.1), (0, 7, 0.0), (3, 50, 0.25), (5, 5, 0.5)]:
    make = lambda o: get_cosine_with_min_lr_schedule_with_warmup(o, warmup, total, min_lr_rate=ratio)
    cases.append({"type": "cosine_with_min_lr", "warmup": warmup, "total": total, "least": ratio, "rates": rates(total, make)})
for warmup, total, decay in [(2, 12, 4), (0, 7, 7), (3, 50, 10), (4, 20, 16), (0, 9, 1)]:
    make = lambda o: get_wsd_schedule(o, warmup, decay, num_training_steps=total, decay_type="1-sqrt")
    cases.append({"type": "warmup_stable_decay", "warmup": warmup, "total": total, "decay": decay, "rates": rates(total, make)})
json.dump(cases, sys.stdout, indent=0)
print()
