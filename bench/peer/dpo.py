"""Preference training next to TRL's DPOTrainer on the same pairs, in turn:
tokens of both sides a second, memory, and loss.

    pip install -r bench/peer/requirements.txt
    python bench/peer/dpo.py MODEL_DIR PAIRS.json

PAIRS.json has LLaMA-Factory's ShareGPT pairs (its dpo_en_demo.json). TRL's
settings are chosen for speed: the faster precision, no checkpointing, and the
reference asked before training, as lwtrain does; that pass is not in the steps' time
of either.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

ROUNDS, STEPS, LENGTH = 2, 4, 1024
work = "runs/bench"

if sys.argv[1] == "--trl":
    import resource
    import time

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    folder, pairs, steps, precision = sys.argv[2:]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    times, losses, tokens = [], [], []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.began = time.monotonic()

        def on_step_end(self, *_, **__):
            times.append(time.monotonic() - self.began)

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "loss" in logs:
                losses.append(logs["loss"])

    class Counted(DPOTrainer):
        def training_step(self, model, inputs, *rest):
            tokens.append(int(inputs["attention_mask"].sum()))
            return super().training_step(model, inputs, *rest)

    trainer = Counted(
        model=model,
        processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=Dataset.from_list(json.load(open(pairs))),
        callbacks=[Clock()],
        args=DPOConfig(
            output_dir=tempfile.mkdtemp(), max_steps=int(steps), per_device_train_batch_size=2, gradient_accumulation_steps=1,
            learning_rate=1e-6, lr_scheduler_type="constant", weight_decay=0.0, max_length=None, beta=0.1,
            bf16=precision == "bf16", use_cpu=True, gradient_checkpointing=False,
            precompute_ref_log_probs=True, logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True, seed=0,
        ),  # fmt: skip
    )
    trainer.train()
    print(json.dumps({
        "losses": losses, "tokens_per_second": sum(tokens[1:]) / sum(times[1:]),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))  # fmt: skip
    sys.exit()

folder, source = sys.argv[1:]
os.makedirs(work, exist_ok=True)
role = {"human": "user", "gpt": "assistant", "system": "system"}


def message(m):
    return {"role": role[m["from"]], "content": m["value"]}


def in_trls_form(p):
    prompt = [message(m) for m in p["conversations"]]
    return {"prompt": prompt, "chosen": [message(p["chosen"])], "rejected": [message(p["rejected"])]}


kept = []  # the first that are not over-long, the same for both
for p in json.load(open(source)):
    text = sum(len(m["value"]) for m in p["conversations"])
    chosen, rejected = p["chosen"]["value"], p["rejected"]["value"]
    if text + max(len(chosen), len(rejected)) < 4 * LENGTH and chosen != rejected:
        kept.append(p)
kept = kept[: 2 * STEPS]
pairs, theirs_pairs = f"{work}/pairs.json", f"{work}/pairs_trl.json"
json.dump(kept, open(pairs, "w"))
json.dump([in_trls_form(p) for p in kept], open(theirs_pairs, "w"))


def ours():
    shutil.rmtree(f"{work}/dpo", ignore_errors=True)
    subprocess.run(
        ["bin/lwtrain", "dpo", "-c", "smollm2-dpo", f"model.path={folder}",
         f"data.sources=[{{name: pairs, path: {pairs}}}]", "data.held_out=0", f"data.max_length={LENGTH}",
         "packing.capacity=4096", f"train.max_steps={STEPS}", "train.per_device_train_batch_size=2",
         "train.learning_rate=1e-6", "train.lr_scheduler_type=constant", "train.warmup_ratio=0", "train.eval_steps=0",
         "train.memory_limit=3.75GiB", "sample.prompts=0", f"output.dir={work}/dpo"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    rows = [json.loads(x) for x in open(f"{work}/dpo/metrics.jsonl")]
    return {
        "losses": [x["loss"] for x in rows],
        "tokens_per_second": sum(x["tokens"] for x in rows[1:]) / sum(x["tokens"] / x["tokens_per_second"] for x in rows[1:]),
        "peak_rss_bytes": rows[-1]["peak_rss_bytes"],
    }


def theirs(steps, precision):
    out = subprocess.run([sys.executable, __file__, "--trl", folder, theirs_pairs, str(steps), precision], capture_output=True, text=True)
    return json.loads(out.stdout.strip().splitlines()[-1]) if out.returncode == 0 else None


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


flags = open("/proc/cpuinfo").read()
best, speed = None, 0
for precision in ["float32", "bf16"] if "avx512_bf16" in flags or "amx_bf16" in flags else ["float32"]:  # emulated bf16 takes hours
    r = theirs(2, precision)
    text = f"{r['tokens_per_second']:6.1f} tokens/s, {r['peak_rss_bytes'] / 2**30:.1f} GiB" if r else "failed"
    print(f"TRL, {precision}: {text}", flush=True)
    if r and r["tokens_per_second"] > speed:
        best, speed = precision, r["tokens_per_second"]
mine, peer = [], []
for _ in range(ROUNDS):
    mine.append(ours())
    peer.append(theirs(STEPS, best))
print(f"2 pairs a step, {STEPS} steps, {ROUNDS} rounds in turn, median (least to most)")
for name, runs in ("lwtrain", mine), ("TRL", peer):
    gib = max(x["peak_rss_bytes"] for x in runs) / 2**30
    print(f"  {name:8}", spread([x["tokens_per_second"] for x in runs]), "tokens/s,", f"{gib:.2f} GiB")
print("  ratio   ", spread([x["tokens_per_second"] / y["tokens_per_second"] for x, y in zip(mine, peer)]))
print("  loss at the first step", mine[0]["losses"][0], peer[0]["losses"][0])
