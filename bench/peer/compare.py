"""Trains the same packs with lwtrain and with TRL, in turn, and prints how the
two compare: tokens a second with their spread, losses, memory.

    make bench-peer                  or, with choices:
    python3 bench/peer/compare.py --capacity 8192 --rounds 3

TRL gets a virtual environment of its own under runs/bench (about 1.5 GB). Its
settings are chosen for speed: every combination of precision, attention and
checkpointing is tried for two steps first, and the fastest is taken.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

p = argparse.ArgumentParser()
p.add_argument("--model", default="runs/models/smollm2-135m-instruct")
p.add_argument("--capacity", type=int, default=2048)
p.add_argument("--steps", type=int, default=20, help="of the comparison of losses")
p.add_argument("--rounds", type=int, default=3, help="of the comparison of speed, a few steps each")
p.add_argument(
    "--settings", nargs="+",
    help="TRL's settings to try, as bf16,sdpa,0 (precision, attention, checkpointing); without it all are tried",
)  # fmt: skip
p.add_argument("--python", help="an interpreter that has requirements.txt already")
p.add_argument("--lwtrain", default="bin/lwtrain")
p.add_argument("--engine", default="native", help="native or torch, which takes --python, and one GPU where there is one")
p.add_argument("--lora", type=int, default=0, help="rank of adapters on all linear layers, by PEFT there; 0: all weights are trained")
a = p.parse_args()
os.chdir(ROOT)
work = "runs/bench"
os.makedirs(work, exist_ok=True)


def python():
    if a.python:
        return a.python
    exe = f"{work}/venv/bin/python"
    if not os.path.exists(f"{work}/venv/ready"):
        print("installing TRL into runs/bench/venv", file=sys.stderr)
        venv.create(f"{work}/venv", with_pip=True, clear=True)
        subprocess.run([exe, "-m", "pip", "install", "--quiet", "-r", f"{HERE}/requirements.txt"], check=True)
        open(f"{work}/venv/ready", "w").close()
    return exe


def conversations(path):
    """Half of the tokens in documents of about 2,000 to 8,000 tokens, half in
    short ones: answers that ship with lwtrain, joined to the length."""
    r = random.Random(0)
    pool = []
    for name in sorted(os.listdir("examples/quickstart")):
        for line in open(f"examples/quickstart/{name}"):
            pool.append(json.loads(line)["messages"])
    long = [m for m in pool if len(m[-1]["content"]) > 2500 and m[-1]["content"].isascii()]
    short = [m for m in pool if len(m[-1]["content"]) <= 2500]
    with open(path, "w") as f:
        spent = {"long": 0, "short": 0}
        while min(spent.values()) < 4.5 * a.capacity * (a.steps + 8):
            if spent["long"] <= spent["short"]:
                want, answer = r.randint(2000, 8000) * 4, ""
                while len(answer) < want:
                    answer += r.choice(long)[-1]["content"] + "\n\n"
                messages = [r.choice(long)[0], {"role": "assistant", "content": answer[:want]}]
                spent["long"] += want
            else:
                messages = r.choice(short)
                spent["short"] += sum(len(m["content"]) for m in messages)
            f.write(json.dumps({"messages": messages}) + "\n")


def config(steps):
    return [
        "-c", "smollm2-quickstart", f"model.path={a.model}", f"data.sources=[{{name: mix, path: {work}/mix.jsonl}}]", "data.held_out=0",
        f"data.max_length={a.capacity}", "data.too_long=truncate", f"packing.capacity={a.capacity}", f"train.max_steps={steps}",
        "train.learning_rate=1e-5", "train.lr_scheduler_type=constant", "train.warmup_ratio=0", "train.weight_decay=0",
        "train.eval_steps=0", "train.save_total_limit=1", "sample.prompts=0", f"output.dir={work}/run", f"lora.rank={a.lora}",
        f"engine.kind={a.engine}", *([f"engine.python={a.python}", "engine.processes=1"] if a.engine == "torch" else []),
    ]  # fmt: skip


def ours(steps):
    subprocess.run(["rm", "-rf", f"{work}/run"], check=True)
    subprocess.run([a.lwtrain, "sft", *config(steps)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rows = [json.loads(x) for x in open(f"{work}/run/metrics.jsonl")]
    subprocess.run(["rm", "-rf", f"{work}/run"], check=True)
    rest = rows[1:] or rows
    return {
        "losses": [x["loss"] for x in rows],
        "tokens_per_second": sum(x["tokens"] for x in rest) / sum(x["tokens"] / x["tokens_per_second"] for x in rest),
        "peak_rss_bytes": rows[-1]["peak_rss_bytes"],
    }


def theirs(steps, precision, attention, checkpointing):
    pack = [a.lwtrain, "pack", *config(steps), "--write", f"{work}/packs.jsonl", "--ids"]
    subprocess.run(pack, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    out = subprocess.run(
        [python(), f"{HERE}/trl_side.py", "--model", a.model, "--packs", f"{work}/packs.jsonl", "--rate", "1e-5", "--precision", precision,
         "--attention", attention, "--checkpointing", str(checkpointing), "--scratch", f"{work}/trl", "--lora", str(a.lora)],
        capture_output=True, text=True,
    )  # fmt: skip
    if out.returncode:
        print(*out.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return None
    return json.loads(out.stdout.strip().splitlines()[-1])


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


conversations(f"{work}/mix.jsonl")
bf16 = "avx512_bf16" in open("/proc/cpuinfo").read() or "amx_bf16" in open("/proc/cpuinfo").read()
precisions = ["float32", "bf16"] if bf16 else ["float32"]  # emulated bf16 takes hours
settings = [s.split(",") for s in a.settings or []] or [[p, t, c] for p in precisions for t in ["sdpa", "eager"] for c in "01"]
best, speed = settings[0], 0
for s in settings if len(settings) > 1 else []:
    r = theirs(2, *s)
    text = f"{r['tokens_per_second']:6.1f} tokens/s, {r['peak_rss_bytes'] / 2**30:.1f} GiB" if r else "failed"
    print(f"TRL, {s[0]}, {s[1]}, checkpointing {s[2]}: {text}", flush=True)
    if r and r["tokens_per_second"] > speed:
        best, speed = s, r["tokens_per_second"]
print("TRL's settings:", *best)

mine, peer = [], []
for _ in range(a.rounds):
    mine.append(ours(4))
    peer.append(theirs(4, *best) or sys.exit("TRL does not do it with these settings"))
print(f"packs of {a.capacity} tokens, {a.rounds} rounds in turn, median (least to most)")
for name, runs in ("lwtrain", mine), ("TRL", peer):
    gib = max(x["peak_rss_bytes"] for x in runs) / 2**30
    print(f"  {name:8}", spread([x["tokens_per_second"] for x in runs]), "tokens/s,", f"{gib:.1f} GiB")
print("  ratio   ", spread([x["tokens_per_second"] / y["tokens_per_second"] for x, y in zip(mine, peer)]))
if a.steps:
    x, y = (mine[-1], peer[-1]) if a.steps <= 4 else (ours(a.steps), theirs(a.steps, *best))
    x, y = x["losses"][: a.steps], y["losses"][: a.steps]
    off = [abs(u - v) / v for u, v in zip(x, y)]
    print(
        f"  loss     {x[0]:.4f} and {y[0]:.4f} at step 1, {x[-1]:.4f} and {y[-1]:.4f} at step {a.steps};",
        f"at most {max(off):.2e} apart, relative",
    )
