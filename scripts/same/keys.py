"""Cases: each key of the schema is changed in a run that goes on. Both builds must say
the same of it: the run goes on, to the same bytes, or it is refused."""

import json

from cases import LLAMA, TALKS, PAIRS, case, config, preferences
from pairs import PROMPTS, pairs_config

# Values for keys whose schema does not tell one that differs, and makes sense.
OTHER = {
    "data.held_out": 2,
    "data.max_length": 300,
    "data.cache_dir": "elsewhere",
    "dpo.loss_type": "ipo",
    "dpo.loss_weights": 2,
    "dpo.reference": "none",
    "model.init.config": LLAMA | {"rms_norm_eps": 1e-6},
    "model.template": "chatml",
    "output.dir": "runs/moved",
    "packing.capacity": 1100,
    "train.memory_limit": "2MiB",
    "pairs.command": ["echo", "7"],
    "pairs.length_column": "words",
    "threads": 1,
    "train.max_steps": 4,
    "recipe": "tiny",
}
SOURCE = {  # of an element of data.sources; a column is called as it is by default
    "name": "other",
    "format": "messages",
    "side": "chosen",
    "train_on": "last",
    "roles": {"user": "user"},
    "samples": 5,
    "fraction": 0.5,
    "tokens": 2000,
    "repeat": 2,
    "probability": 0.5,
    "loss_factor": 2,
    "path": "copy.jsonl",
    "paths": ["copy.jsonl"],
    "filter.stated_length": "required",
    "filter.min_length_score": 50,
    "filter.languages": ["en", "zh"],
    "filter.min_words": 1,
    "filter.max_words": 5000,
    "filter.prompt": ".",
    "filter.not_prompt": "no such text",
    "filter.answer": ".",
    "filter.not_answer": "no such text",
}


def leaves(node, path=()):
    if "properties" in node:
        for name, key in sorted(node["properties"].items()):
            yield from leaves(key, path + (name,))
    elif path:
        yield ".".join(path), node


def another(path, node, now):
    """A value of the key that is not the one now."""
    if path in OTHER:
        return OTHER[path]
    if "enum" in node:
        return next(v for v in node["enum"] if v not in (now, "auto", True, False))
    low, high = node.get("minimum", node.get("exclusiveMinimum")), node.get("maximum", node.get("exclusiveMaximum"))
    if node.get("type") == "integer":
        return now + 1 if isinstance(now, int) else 3
    if node.get("type") == "number":
        return next(
            v for v in ((now or 0) / 2 + 0.01, (now or 0) + 0.25) if v != now and (low is None or v > low) and (high is None or v < high)
        )
    return "other"


def verdicts(b, command, base, prepare):
    """Changes each key in a copy of a run that is half done."""
    schema = json.loads(b.run("schema")[1])
    b.write("c.yaml", base)
    b.run(command, "-c", "c.yaml")
    prepare()
    b.copy("runs", "half")
    sources = base["data"]["sources"]
    changes = []
    for path, node in leaves(schema):
        now = base
        for part in path.split("."):
            now = now.get(part) if isinstance(now, dict) else None
        if path != "data.sources":
            changes.append(f"{path}={json.dumps(another(path, node, node.get('default') if now is None else now))}")
    for key, _ in leaves(schema["properties"]["data"]["properties"]["sources"]["items"]):
        source = {k: v for k, v in sources[0].items() if (k, key) != ("path", "paths")}
        section, _, name = key.rpartition(".")
        value = SOURCE.get(key, name)
        changes.append("data.sources=" + json.dumps([source | ({section: {name: value}} if section else {key: value}), *sources[1:]]))
    changes += [
        "data.sources=" + json.dumps(sources[::-1]),
        "data.sources=" + json.dumps(sources + [{"name": "more", "path": "copy.jsonl"}]),
    ]
    for change in changes:
        b.copy("half", "runs")
        b.run(command, "-c", "c.yaml", change, "--dry-run")
        b.run(command, "-c", "c.yaml", change)
        b.tree("runs")


@case()
def keys_sft(b):
    """Each key changed in a run of sft that goes on."""
    b.write("copy.jsonl", [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello you"}]}])
    verdicts(
        b,
        "sft",
        config(
            data={"sources": TALKS, "held_out": 1, "max_length": 256, "too_long": "truncate", "cache_dir": "cache"},
            packing={"capacity": 256},
            train={"max_steps": 2, "gradient_accumulation_steps": 1, "learning_rate": 0.01, "eval_steps": 0, "save_steps": 1},
            sample={"prompts": 0},
        ),
        lambda: b.remove("runs/one/checkpoints/step-000002"),
    )


@case()
def keys_dpo(b):
    """The same in a run of dpo."""
    b.write("copy.jsonl", [{"prompt": "hi", "chosen": "hello you", "rejected": "no"}])
    verdicts(
        b,
        "dpo",
        preferences(
            data={"sources": PAIRS, "held_out": 1, "max_length": 1024, "too_long": "skip", "cache_dir": "cache"},
            train={"max_steps": 2, "gradient_accumulation_steps": 1, "per_device_train_batch_size": 1, "eval_steps": 0, "save_steps": 1},
            sample={"prompts": 0},
        ),
        lambda: b.remove("runs/one/checkpoints/step-000002"),
    )


@case()
def keys_pairs(b):
    """The same in a run of pairs."""
    b.write("q.jsonl", PROMPTS)
    b.write("copy.jsonl", PROMPTS[:2])

    def half():
        with open(b.path("runs/pairs/answers.jsonl")) as f:
            lines = f.readlines()
        b.write("runs/pairs/answers.jsonl", "".join(lines[:5]))

    verdicts(b, "pairs", pairs_config(), half)
