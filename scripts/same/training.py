"""Cases: runs of sft and dpo, resumed ones, and what they leave."""

import itertools
import json
import os
import shutil

from box import content, masked
from cases import LLAMA, PAIRS, TALKS, case, config, native_bf16, preferences, testdata


@case()
def tiny(b):
    """The recipe tiny as it is."""
    b.run("sft", "-c", "tiny", "--dry-run")
    b.run("sft", "-c", "tiny", "threads=2")
    b.tree("runs")


def sft_matrix(b, precision):
    b.write("c.yaml", config())
    for n, (weighting, packer, threads) in enumerate(
        itertools.product(("token", "sequence", "longwriter", "pack"), ("best_fit_decreasing", "next_fit"), (1, 2))
    ):
        b.run(
            "sft",
            "-c",
            "c.yaml",
            f"packing.weighting={weighting}",
            f"packing.strategy={packer}",
            f"threads={threads}",
            f"train.precision={precision}",
            f"output.dir=runs/{n}",
        )
    b.tree("runs")


@case()
def sft_float32(b):
    """Each weighting with each packer, on one thread and two."""
    sft_matrix(b, "float32")


@case(skipped="" if native_bf16() else "this processor has no bf16")
def sft_bf16(b):
    """The same in bf16."""
    sft_matrix(b, "bf16")


@case()
def sft_options(b):
    """Settings of training and of the choice of samples, one run each."""
    b.write(
        "c.yaml", config(train={"max_steps": 2, "gradient_accumulation_steps": 2, "learning_rate": 0.01, "eval_steps": 0, "save_steps": 0})
    )
    for n, options in enumerate(
        (
            ["data.too_long=split"],
            ["data.too_long=skip"],
            ["data.dedup=exact"],
            ["data.dedup=near"],
            ["data.held_out=0.2"],
            ["data.mix.strategy=interleave"],
            ["data.mix.strategy=interleave", "data.mix.stop=all_exhausted", "train.max_steps=20", "train.num_train_epochs=2"],
            [
                "data.sources=" + json.dumps([TALKS[0] | {"repeat": 1.5, "loss_factor": 2, "samples": 9}, TALKS[1] | {"train_on": "last"}]),
                "train.max_steps=8",
            ],
            ["train.gradient_checkpointing=true"],
            ["train.memory_limit=1MiB"],
            ["train.memory_limit=2.4MiB"],
            ["train.lr_scheduler_type=linear", "train.warmup_steps=1"],
            ["train.lr_scheduler_type=constant", "train.max_grad_norm=0"],
            ["train.max_steps=0", "train.num_train_epochs=0.5"],
            ["seed=7"],
            ["train.per_device_train_batch_size=2", "train.gradient_accumulation_steps=1"],
            ["model.template=chatml"],
            ["sample.temperature=0.8", "sample.prompts=3"],
            ["train.save_steps=1", "train.save_total_limit=1", "train.logging_steps=2"],
            ["data.held_out=" + json.dumps([{"path": "builtin:quickstart/held_out.jsonl"}])],
        )
    ):
        b.run("sft", "-c", "c.yaml", *options, f"output.dir=runs/{n}", "--dry-run")
        b.run("sft", "-c", "c.yaml", *options, f"output.dir=runs/{n}")
    b.run("sft", "-c", "c.yaml", "output.dir=runs/go", env={"LWTRAIN_NO_ONEDNN": "1"})
    b.tree("runs")


@case()
def families(b):
    """Every architecture of which a small model lies beside the tests."""
    b.write(
        "c.yaml", config(train={"max_steps": 2, "gradient_accumulation_steps": 1, "learning_rate": 0.01, "eval_steps": 0, "save_steps": 0})
    )
    for path in testdata(r"testdata/[^/]+/config\.json$"):
        with open(path) as f:
            shape = json.load(f)
        name = os.path.basename(os.path.dirname(path))
        if "model_type" not in shape:
            continue
        key = "padded_vocab_size" if "padded_vocab_size" in shape else "vocab_size"
        shape = {k: v for k, v in shape.items() if k not in ("architectures", "auto_map", "transformers_version")} | {key: 259}
        b.run("sft", "-c", "c.yaml", "model.init.config=" + json.dumps(shape), f"output.dir=runs/{name}")
        b.run("generate", "-m", f"runs/{name}/checkpoints/step-000002", "--prompt", "hello", "--greedy", "--max-new-tokens", "8", "--json")
        b.copy(os.path.dirname(path), f"models/{name}")
        for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            source = b.path(f"runs/{name}/checkpoints/step-000002", file)
            if os.path.exists(source):
                shutil.copy(source, b.path(f"models/{name}", file))
        b.run("generate", "-m", f"models/{name}", "--prompt", "\x01", "--raw", "--greedy", "--max-new-tokens", "8", "--json")
    b.tree("runs")


@case()
def dpo(b):
    """Losses of pairs and of labelled answers, with pairs that a pack does not hold."""
    b.write("c.yaml", preferences())
    b.run("dpo", "-c", "c.yaml", "--dry-run")
    for n, options in enumerate(
        (
            [],
            ["dpo.loss_type=ipo"],
            ["dpo.loss_type=apo_zero"],
            ["dpo.loss_type=simpo", "dpo.beta=2", "dpo.reference=none"],
            ["dpo.loss_type=orpo", "dpo.reference=none"],
            ["dpo.loss_type=[sigmoid, hinge]", "dpo.loss_weights=[0.8, 0.2]", "dpo.sft_weight=0.1"],
            ["dpo.ld_alpha=0.5", "dpo.label_smoothing=0.1"],
            ["dpo.loss_type=kto"],
            ["dpo.loss_type=kto", "dpo.desirable_weight=2", "train.precision=float32"],
            ["packing.capacity=512", "data.max_length=512"],
            ["packing.capacity=400", "data.max_length=400", "data.held_out=1"],
            ["threads=1", "train.precision=float32"],
            ["train.gradient_checkpointing=true"],
            ["dpo.reference=runs/0/checkpoints/step-000002"],
            ["train.max_steps=0", "train.num_train_epochs=1"],
        )
    ):
        b.run("dpo", "-c", "c.yaml", *options, f"output.dir=runs/{n}")
    b.tree("runs")


@case(mixed=True)
def resumed(b):
    """Killed and resumed: begun by one build, ended by the other."""
    b.write(
        "sft.yaml",
        config(
            train={
                "max_steps": 12,
                "gradient_accumulation_steps": 2,
                "learning_rate": 0.01,
                "eval_steps": 3,
                "save_steps": 2,
                "save_total_limit": 0,
            }
        ),
    )
    b.write(
        "dpo.yaml",
        preferences(
            train={
                "max_steps": 12,
                "per_device_train_batch_size": 2,
                "gradient_accumulation_steps": 1,
                "eval_steps": 3,
                "save_steps": 2,
                "save_total_limit": 0,
            },
            output={"dir": "runs/two"},
        ),
    )
    b.killed("sft", "-c", "sft.yaml", when=lambda: b.holds("runs/one/metrics.jsonl", "grad_norm", 5))
    b.killed("dpo", "-c", "dpo.yaml", when=lambda: b.holds("runs/two/metrics.jsonl", "grad_norm", 5))
    b.killed(
        "dpo",
        "-c",
        "dpo.yaml",
        "dpo.loss_type=kto",
        "output.dir=runs/three",
        when=lambda: b.holds("runs/three/metrics.jsonl", "grad_norm", 5),
    )
    b.hand_over()
    b.run("sft", "-c", "sft.yaml", "--dry-run", quiet=True)
    b.run("sft", "-c", "sft.yaml", quiet=True)
    b.run("dpo", "-c", "dpo.yaml", quiet=True)
    b.run("dpo", "-c", "dpo.yaml", "dpo.loss_type=kto", "output.dir=runs/three", quiet=True)
    b.run("sft", "-c", "sft.yaml")
    b.run("dpo", "-c", "dpo.yaml")
    b.tree("runs")


@case(mixed=True)
def caches(b):
    """Stores and a reference's answers are found by the other build."""
    b.write("sft.yaml", config())
    b.write("near.yaml", config(data={"sources": TALKS, "held_out": 3, "max_length": 384, "dedup": "near", "cache_dir": "near"}))
    b.write("dpo.yaml", preferences())
    for options in (
        ["stats", "-c", "sft.yaml", "--json"],
        ["stats", "-c", "near.yaml", "--json"],
        ["stats", "-c", "tiny", "--json"],
        ["dpo", "-c", "dpo.yaml", "train.max_steps=1"],
        ["dpo", "-c", "dpo.yaml", "train.max_steps=1", "dpo.loss_type=kto", "output.dir=runs/kto"],
    ):
        b.run(*options, quiet=True)
    found = sorted(os.listdir(b.path("runs/cache")))
    b.hand_over()
    for options in (["stats", "-c", "sft.yaml", "--json"], ["stats", "-c", "near.yaml", "--json"], ["stats", "-c", "tiny", "--json"]):
        b.see("tokenised again", '"tokenised":"' in b.run(*options)[1])
    for options in ([], ["dpo.loss_type=kto"]):
        b.see(
            "reference asked again",
            "asking" in b.run("dpo", "-c", "dpo.yaml", "train.max_steps=1", "output.dir=runs/two" + "".join(options), *options)[2],
        )
    b.see("stores", found == sorted(os.listdir(b.path("runs/cache"))))
    b.tree("runs", "near")
