"""Cases: mistakes on purpose, damage, and folders that are in use."""

import fcntl
import itertools
import os
import shlex
import shutil

from cases import case, config, preferences
from pairs import PROMPTS, pairs_config

GOOD = '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}\n'
BROKEN = {
    "cut": GOOD + '{"messages": [{"role":\n',
    "latin": b'{"prompt": "caf\xe9", "completion": "x"}\n',
    "empty": "",
    "lines": "\n\n",
    "list": "[1, 2]\n",
    "text": '"text"\n',
    "role": GOOD.replace("assistant", "robot"),
    "no_answer": GOOD.replace("assistant", "user"),
    "empty_answer": GOOD.replace('"yo"', '""'),
    "twice": '{"messages": 1, "messages": []}\n',
    "number": GOOD.replace('"yo"', "3"),
    "mixed": '{"instruction": "a", "output": "b"}\n' + GOOD,
    "two_systems": '{"messages": [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}]}\n',
    "pair": '{"prompt": "a", "chosen": "b", "rejected": "b"}\n',
    "label": '{"prompt": "a", "completion": "b", "label": "maybe"}\n',
    "array": '[{"prompt": "a", "completion": "b"},\n',
    "utf16": ("\ufeff" + GOOD).encode("utf-16-le"),
    "csv": "prompt,completion\na,b\n",
    "gzip": b"\x1f\x8bnothing",
    "unknown": '{"a": 1, "b": 2}\n',
    "content": '{"messages": [{"role": "user"}]}\n',
}
MISTAKES = """
sft -c c.yaml train.lerning_rate=1 | sft -c c.yaml train.learning_rate=2 | sft -c c.yaml train.learning_rate=x
sft -c c.yaml learning_rate=1 | sft -c c.yaml lora_rank=8 | sft -c c.yaml packing.capacity=1.5 | sft -c c.yaml packing.capacity=8
sft -c c.yaml packing.strategy=first | sft -c c.yaml packing.weighting=tokens | sft -c c.yaml seed=-1 | sft -c c.yaml data.held_out=1.0
sft -c c.yaml data.held_out=2.5 | sft -c c.yaml data.held_out=1000 | sft -c c.yaml data.max_length=4096
sft -c c.yaml data.too_long=cut | sft -c c.yaml 'data.sources=[]' | sft -c c.yaml 'data.sources=[{name: a}]'
sft -c c.yaml 'data.sources=[{path: no.jsonl}]' | sft -c c.yaml 'data.sources=[{path: nowhere/}]' | sft -c c.yaml data.sources=x
sft -c c.yaml 'data.sources=[{path: builtin:quickstart/none.jsonl}]' | sft -c c.yaml 'data.sources=[{path: c.yaml}]'
sft -c c.yaml 'data.sources=[{path: hf://a/b/c.jsonl}]' | sft -c c.yaml data.dedup=all | sft -c c.yaml model.path=nowhere
sft -c m.yaml model.path=nowhere | sft -c m.yaml model.path=c.yaml | sft -c m.yaml model.path=hf://a
sft -c c.yaml model.template=none.jinja | sft -c c.yaml model.template=smolm | sft -c c.yaml model.init.config.vocab_size=10
sft -c c.yaml model.init.config.model_type=gpt2 | sft -c c.yaml model.init.config.num_attention_heads=3
sft -c c.yaml train.max_steps=-1 | sft -c c.yaml train.precision=fp16 | sft -c c.yaml train.memory_limit=lots
sft -c c.yaml train.memory_limit=1KiB | sft -c c.yaml threads=9999 | sft -c c.yaml train.gradient_checkpointing=maybe
sft -c c.yaml output.dir=c.yaml | sft -c c.yaml output.dir=held | sft -c c.yaml output.dir=foreign | sft -c c.yaml c.yaml
sft -c c.yaml --no-such | sft | sft -c no.yaml | sft -c bad.yaml | sft -c twice.yaml | sft -c tab.yaml | sft -c empty.yaml
sft -c list.yaml | sft -c c.yaml data.cache_dir=c.yaml | sft -c c.yaml output.dir=broken_run
sft -c c.yaml data.mix.strategy=interleave 'data.sources=[{path: good.jsonl, probability: 0.5}]'
sft -c c.yaml 'data.sources=[{path: good.jsonl, probability: 0.5}]' | sft -c c.yaml 'data.sources=[{path: good.jsonl, repeat: 0}]'
sft -c c.yaml 'data.sources=[{path: good.jsonl, samples: 5}]' | sft -c c.yaml 'data.sources=[{path: good.jsonl, filter: {answer: "("}}]'
sft -c c.yaml 'data.sources=[{path: good.jsonl, side: chosen}]' | sft -c c.yaml 'data.sources=[{path: good.jsonl, format: alpaca}]'
sft -c c.yaml 'data.sources=[{path: good.jsonl, columns: {messages: talk}}]'
sft -c c.yaml 'data.sources=[{path: good.jsonl, format: csv}]' | sft -c c.yaml 'data.sources=[{path: good.jsonl, loss_factor: 0}]'
sft -c c.yaml 'data.sources=[{path: good.jsonl, train_on: marked}]' | sft -c c.yaml 'data.sources=[{path: good.jsonl, min_words: 3}]'
dpo -c c.yaml | dpo -c d.yaml dpo.loss_type=none | dpo -c d.yaml dpo.beta=0 | dpo -c d.yaml dpo.loss_type=simpo
dpo -c d.yaml dpo.loss_type=kto dpo.reference=none | dpo -c d.yaml data.too_long=split
dpo -c d.yaml 'dpo.loss_type=[sigmoid, ipo]' 'dpo.loss_weights=[1]' | dpo -c d.yaml dpo.label_smoothing=0.5
dpo -c d.yaml dpo.reference=nowhere | dpo -c d.yaml dpo.reference=c.yaml | sft -c d.yaml | dpo -c d.yaml 'dpo.loss_type=[kto, sigmoid]'
dpo -c d.yaml dpo.loss_type=robust | dpo -c d.yaml dpo.simpo_gamma=1 | dpo -c d.yaml dpo.ld_alpha=2
dpo -c d.yaml packing.capacity=64 data.max_length=64 | pairs -c p.yaml pairs.samples=1 | pairs -c p.yaml pairs.temperature=0
pairs -c p.yaml pairs.length_weight=0 | pairs -c p.yaml pairs.server.url=localhost | pairs -c p.yaml pairs.server.model=m
pairs -c p.yaml 'pairs.command=[no-such-command]' | pairs -c p.yaml 'pairs.command=[false]' | pairs -c p.yaml 'pairs.command=[echo, x]'
pairs -c p.yaml 'data.sources=[{path: c.yaml}]' | pairs -c p.yaml output.dir=foreign
pairs -c p.yaml pairs.server.url=http://127.0.0.1:1/v1 pairs.server.model=m pairs.server.retries=0
pairs -c p.yaml 'data.sources=[{path: empty.jsonl}]' | pairs -c p.yaml 'data.sources=[{path: unknown.jsonl}]' | validate
validate -c bad.yaml | config -c bad.yaml | recipes none | init c.yaml | init x.yaml --capacity 3 | schema x | report nowhere
report held | stats -c c.yaml --diff c.yaml | stats -c c.yaml --html nowhere/x.html | pack -c c.yaml --write x.txt
pack -c c.yaml --ids | data show -c c.yaml --sample 0 | data show -c c.yaml --sample 9999 | data show -c c.yaml --source none
data show -c c.yaml --origin x | data none | generate | generate -m nowhere --prompt x | generate -m held --prompt x
generate -m m --prompt x --top-p 0 | generate -m m --prompt x --temperature -1 | generate -m m --prompt x --precision int4
generate -m m --prompt "" | generate -m m --prompts no.jsonl | generate -m m --prompts empty.jsonl | generate -m m --prompts cut.jsonl
generate -m m --prompt x --template none | generate -m m --prompt x --max-new-tokens 0 | generate -m m --prompts good.jsonl --batch 0
export m m | export nowhere x | export m x --dtype int8 | export | import c.yaml x | import no.gguf x | import | tokenize
tokenize -m nowhere | tokenize -m m --chat | pull | pull not-a-name | pull owner/name | bench --shape gpt-2 | bench --documents 5-3
bench --capacity 1 | bench --steps 0 | selftest | selftest resume | selftest resume -c c.yaml --steps 1
selftest packing -c c.yaml --packs 0 | doctor -c no.yaml | doctor train.max_steps=1 | stat | version x
"""


@case()
def mistakes(b):
    """Wrong configs, records, files and folders: the same exit status, and the same places."""
    b.write("c.yaml", config(train={"max_steps": 1, "gradient_accumulation_steps": 1, "eval_steps": 0}))
    b.write("d.yaml", preferences(train={"max_steps": 1, "gradient_accumulation_steps": 1, "eval_steps": 0}))
    b.write("m.yaml", config() | {"model": {"path": "m"}})
    b.write("p.yaml", pairs_config())
    b.write("q.jsonl", PROMPTS)
    b.write("good.jsonl", GOOD)
    b.write(
        "bad.yaml",
        "model:\n  path: 5\ntrain:\n  lerning_rate: 1e-5\n  save_steps: 10m\npacking: {capacity: 2048}\n"
        "data:\n  sources: [{name: a, path: a.jsonl}, {name: a, path: b.jsonl}]\n  held_out: 2.5\n",
    )
    b.write("twice.yaml", "seed: 1\nseed: 2\n")
    b.write("tab.yaml", "model:\n\tpath: m\n")
    b.write("empty.yaml", "")
    b.write("list.yaml", "[1, 2]\n")
    b.write("foreign/metrics.jsonl", "{}\n")
    b.write("foreign/pairs.jsonl", "{}\n")
    b.write("broken_run/run.json", "{")
    b.run("sft", "-c", "c.yaml", "output.dir=held", quiet=True)
    shutil.copytree(b.path("held/checkpoints/step-000001"), b.path("m"))
    for name, text in BROKEN.items():
        b.write(name + ".jsonl", text)
    with open(b.path("held/lock-of-the-test"), "w"):
        pass
    for line in MISTAKES.replace("\n", " | ").split(" | "):
        if line.strip():
            b.run(*shlex.split(line))
    for name in BROKEN:
        for command, policy in itertools.product(("sft", "dpo", "stats"), ("error", "skip")):
            b.run(
                command,
                "-c",
                "c.yaml",
                "data.held_out=0",
                f"data.sources=[{{path: {name}.jsonl}}]",
                f"data.on_bad_record={policy}",
                f"output.dir=runs/{command}-{policy}-{name}",
            )
    b.tree("runs", "foreign", "broken_run")


@case()
def damaged(b):
    """Checkpoints, stores and folders that something happened to."""
    b.write("c.yaml", config())
    b.run("sft", "-c", "c.yaml")
    b.copy("runs", "kept")
    for file, at in itertools.product(
        ("model.safetensors", "state/optimizer.safetensors", "state/trainer.json", "manifest.json", "config.json"),
        ("step-000003", "step-000002 step-000003"),
    ):
        b.copy("kept", "runs")
        for step in at.split():
            path = b.path("runs/one/checkpoints", step, file)
            with open(path, "r+b") as f:
                f.seek(os.path.getsize(path) // 2)
                f.write(b"\xff")
        b.run("sft", "-c", "c.yaml")
        b.run("generate", "-m", "runs/one/checkpoints/step-000003", "--prompt", "x", "--max-new-tokens", 2)
        b.tree("runs/one")
    stores = sorted(d for d in os.listdir(b.path("kept/cache")))
    for n, file in enumerate(("samples-00000.arrow", "index.bin", "facts.bin", "manifest.json")):
        b.copy("kept", "runs")
        with open(b.path("runs/cache", stores[n % len(stores)], file), "r+b") as f:
            f.write(b"\xff\xff")
        b.run("stats", "-c", "c.yaml", "--json")
        b.tree("runs/cache")
    for name in (".tmp-step-000009", "step-000009", "notes"):
        b.copy("kept", "runs")
        os.makedirs(b.path("runs/one/checkpoints", name))
        b.run("sft", "-c", "c.yaml")
        b.see("left", sorted(os.listdir(b.path("runs/one/checkpoints"))))


@case()
def held(b):
    """A folder in which another process works."""
    b.write("c.yaml", config())
    b.run("sft", "-c", "c.yaml")
    b.write("q.jsonl", PROMPTS)
    b.write("p.yaml", pairs_config())
    fd = os.open(b.path("runs/one"), os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        b.run("sft", "-c", "c.yaml")
        b.run("sft", "-c", "c.yaml", "--dry-run")
        b.run("report", "runs/one", "--html", "x.html")
        b.run("pairs", "-c", "p.yaml", "output.dir=runs/one")
    finally:
        os.close(fd)
