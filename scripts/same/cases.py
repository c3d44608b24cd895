"""What cases are made of: their table, small configs, the files beside the tests."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LLAMA = {
    "model_type": "llama",
    "vocab_size": 259,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
TALKS = [{"path": "builtin:quickstart/general_en.jsonl", "name": "en"}, {"path": "builtin:quickstart/general_zh.jsonl", "name": "zh"}]
PAIRS = [{"path": "builtin:pairs/lengths_en.jsonl", "name": "lengths"}]


def config(**sections):
    """A small Llama from a seed on conversations that ship in the binary."""
    c = {
        "model": {"init": {"seed": 0, "config": LLAMA}},
        "data": {"sources": TALKS, "held_out": 3, "max_length": 384, "too_long": "truncate"},
        "packing": {"capacity": 384},
        "train": {"max_steps": 3, "gradient_accumulation_steps": 2, "learning_rate": 0.01, "eval_steps": 2, "save_steps": 2},
        "sample": {"prompts": 1, "max_new_tokens": 8},
        "output": {"dir": "runs/one"},
    }
    for name, values in sections.items():
        c[name] = c.get(name, {}) | values if isinstance(values, dict) else values
    return c


def preferences(**sections):
    """The same on pairs."""
    return config(
        **{
            "data": {"sources": PAIRS, "held_out": 4, "max_length": 1024, "too_long": "skip"},
            "packing": {"capacity": 1024},
            "train": {
                "max_steps": 3,
                "per_device_train_batch_size": 2,
                "gradient_accumulation_steps": 1,
                "learning_rate": 0.001,
                "eval_steps": 2,
                "save_steps": 2,
            },
            "dpo": {},
        }
        | sections
    )


def testdata(pattern):
    """Files of the repository, wherever their package lies."""
    found = []
    for dir, dirs, files in os.walk(ROOT):
        dirs[:] = sorted(d for d in dirs if not d.startswith(".") and d not in ("runs", "bin"))
        found += [os.path.join(dir, f) for f in sorted(files) if re.search(pattern, os.path.relpath(os.path.join(dir, f), ROOT))]
    return found


def native_bf16():
    with open("/proc/cpuinfo") as f:
        return "avx512_bf16" in f.read()


CASES = {}  # by name, in the order of the table


class Case:
    def __init__(self, run, mixed, given, skipped):
        self.run, self.mixed, self.given, self.skipped = run, mixed, given, skipped
        self.about = (getattr(run, "func", run).__doc__ or "").partition("\n")[0]


def case(mixed=False, given=False, skipped="", name=""):
    """Puts a function of a Box into the table. mixed: work passes from one build to
    the other (Box.hand_over). given: it needs --data. skipped: why it cannot run here."""

    def add(f):
        CASES[name or f.__name__] = Case(f, mixed, given, skipped)
        return f

    return add
