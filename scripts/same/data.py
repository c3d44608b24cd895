"""Cases: what stats, pack, data show and tokenize say, and models without training."""

import json
import os
import shutil

from box import content, masked
from cases import PAIRS, ROOT, TALKS, case, config, preferences, testdata


def look(b, source, name, *options, command="sft"):
    """What the commands about data say of a source."""
    b.write(
        name + ".yaml",
        config(
            data={
                "sources": source,
                "held_out": 0.1,
                "max_length": 2048,
                "too_long": "split" if command == "sft" else "skip",
                "on_bad_record": "skip",
            },
            packing={"capacity": 2048},
            output={"dir": "runs/" + name},
        ),
    )
    c = ["-c", name + ".yaml", *options]
    b.run("stats", *c, "--json")
    b.run("stats", *c)
    b.run("stats", *c, "--html", name + ".html")
    b.run("data", "show", *c)
    b.run("data", "show", *c, "--sample", 3, "--json")
    b.run("data", "show", *c, "--ids")
    b.run(command, *c, "--dry-run")
    if command == "sft":
        for packer in ("best_fit_decreasing", "next_fit"):
            for weighting in ("token", "sequence", "longwriter", "pack"):
                b.run("pack", *c, "--json", f"packing.weighting={weighting}", f"packing.strategy={packer}")
        b.run("pack", *c)
        b.run("pack", *c, "--write", name + ".jsonl", "--ids")
        b.tree(name + ".jsonl")


@case()
def data(b):
    """The examples that ship in the binary."""
    look(b, TALKS + [{"path": "builtin:quickstart/long_en.jsonl"}, {"path": "builtin:quickstart/long_zh.jsonl"}], "talks")
    look(b, TALKS, "mixed", "data.mix.strategy=interleave", "data.dedup=near", "train.num_train_epochs=3")
    look(b, PAIRS, "pairs", command="dpo")
    look(b, PAIRS, "labels", "dpo.loss_type=kto", command="dpo")
    look(b, [PAIRS[0] | {"side": "chosen"}], "side")
    b.run("stats", "-c", "talks.yaml", "--json", "data.dedup=near", "data.mix.strategy=interleave")
    b.write("before.json", b.run("stats", "-c", "talks.yaml", "--json")[1])
    b.run("stats", "-c", "talks.yaml", "--diff", "before.json", "data.max_length=512", "packing.capacity=512")
    for file in sorted(f for f in os.listdir(b.folder) if f.endswith(".html")):
        b.see(file, content(b.path(file), b.folder))
    b.tree("runs")


@case(given=True)
def given_data(b):
    """The files of --data: records with messages, Alpaca's, pairs, prompts."""
    for file in sorted(os.listdir(b.given)):
        name, path = file.split(".")[0], os.path.join(b.given, file)
        with open(path, encoding="utf-8") as f:
            head = f.read(100000)
        command = "dpo" if '"chosen"' in head else "sft"
        look(b, [{"path": path, "name": name}], name, command=command)
        if '"messages"' in head:
            b.run("sft", "-c", "tiny", "train.max_steps=1", "sample.prompts=0", "data.held_out=0", "output.dir=runs/model")
            b.run("tokenize", "-m", "runs/model/checkpoints/step-000001", "--chat", stdin=open(path, "rb").read())
        if '"prompt"' in head and '"chosen"' not in head:
            b.write("pairs.yaml", config(data={"sources": [{"path": path}]}, output={"dir": "runs/pairs-" + name}))
            b.run("pairs", "-c", "pairs.yaml", "--dry-run")
    for file in sorted(f for f in os.listdir(b.folder) if f.endswith(".html")):
        b.see(file, content(b.path(file), b.folder))
    b.tree("runs")


@case()
def models(b):
    """generate, tokenize, export, import, reports and self-tests."""
    b.write("c.yaml", config())
    b.run("sft", "-c", "c.yaml")
    m = "runs/one/checkpoints/step-000003"
    for options in (
        ["--greedy"],
        ["--temperature", 2, "--seed", 1],
        ["--top-p", 0.5, "--temperature", 3],
        ["--raw"],
        ["--precision", "bf16"],
        ["--system", "be brief"],
        ["--template", "chatml"],
    ):
        b.run("generate", "-m", m, "--prompt", "hello", "--max-new-tokens", 12, "--json", *options)
    b.write("prompts.jsonl", [{"prompt": "hello"}, {"prompt": "and you"}, {"prompt": "写一封请假邮件。"}])
    for batch in (1, 2):
        b.run("generate", "-m", m, "--prompts", "prompts.jsonl", "--batch", batch, "--max-new-tokens", 8)
    b.run("tokenize", "-m", m, stdin="hello\n中文 <|im_end|>\n".encode())
    b.run("tokenize", "-m", m, "--no-special-tokens", stdin=b"hello\n")
    for file in ("general_en", "general_zh", "long_zh"):
        with open(os.path.join(ROOT, f"examples/quickstart/{file}.jsonl"), "rb") as f:
            b.run("tokenize", "-m", m, "--chat", stdin=f.read())
    for dtype in ("bfloat16", "float32"):
        b.run("export", m, "out/" + dtype, "--dtype", dtype)
        b.run("generate", "-m", "out/" + dtype, "--prompt", "hello", "--max-new-tokens", 8, "--greedy", "--json")
    for path in testdata(r"testdata/[^/]*\.gguf$"):
        name = os.path.basename(path).removesuffix(".gguf")
        b.run("import", path, "imported/" + name)
        if os.path.isdir(b.path("imported", name)):
            b.run("generate", "-m", "imported/" + name, "--prompt", "hello", "--raw", "--max-new-tokens", 8, "--greedy", "--json")
            b.run("tokenize", "-m", "imported/" + name, stdin="hello world, 写一封请假邮件。\n".encode())
            b.write("m.yaml", config() | {"model": {"path": "imported/" + name}})
            b.run("sft", "-c", "m.yaml", "train.max_steps=1", "output.dir=runs/" + name)
            shutil.copy(path, b.path(name + ".gguf"))
            b.run("sft", "-c", "m.yaml", f"model.path={name}.gguf", "train.max_steps=1", "output.dir=runs/gguf-" + name)
    b.tree("out", "imported", "runs")


@case()
def selftests(b):
    """Self-tests, and what bench and doctor measure."""
    b.write("c.yaml", config(train={"max_steps": 4, "gradient_accumulation_steps": 2, "learning_rate": 0.01, "precision": "float32"}))
    b.write("d.yaml", preferences())
    b.run("selftest", "resume", "-c", "c.yaml", "--steps", 3)
    b.run("selftest", "packing", "-c", "c.yaml")
    b.run("selftest", "resume", "--dpo", "-c", "d.yaml", "--steps", 2)
    b.see(
        "bench",
        shape_of(
            json.loads(b.run("bench", "-c", "c.yaml", "--capacity", 64, "--steps", 1, "--documents", "16-32", "--json", quiet=True)[1])
        ),
    )
    b.see("doctor", shape_of(json.loads(b.run("doctor", "--json", quiet=True)[1])))
    b.see("left", sorted(os.listdir(b.folder)))


@case()
def reports(b):
    """Pages of runs whose speed and memory are masked first."""
    b.write("sft.yaml", config())
    b.write("dpo.yaml", preferences(output={"dir": "runs/two"}))
    for command, dir in (("sft", "runs/one"), ("dpo", "runs/two")):
        b.run(command, "-c", command + ".yaml")
        with open(b.path(dir, "metrics.jsonl")) as f:
            b.write(dir + "/metrics.jsonl", masked(f.read(), b.folder))
        b.run("report", dir, "--html", command + ".html")
        b.see(command + ".html", content(b.path(command + ".html"), b.folder))


def shape_of(v):
    """JSON with its numbers and texts taken out."""
    if isinstance(v, dict):
        return {k: shape_of(x) for k, x in v.items()}
    if isinstance(v, list):
        return [shape_of(x) for x in v[:1]]
    return type(v).__name__
