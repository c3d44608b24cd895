"""Tokenising next to Hugging Face, in turn: the tokenizer on one core, and a
store of conversations next to datasets.map on all cores.

    pip install tokenizers==0.23.3 transformers==5.24.0 datasets==5.2.0 jinja2
    python bench/peer/data.py MODEL_DIR [FILE.jsonl]

FILE.jsonl has records with messages; without it, sentences of the answers that
ship with lwtrain are shuffled into 64 MB of new ones. Everything is timed from
start to end but for what an empty or, of the store, a small input takes, so loading
is not counted.
"""
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROUNDS = 3
folder = sys.argv[1]
work = "runs/bench"
source = f"{work}/chats.jsonl"
os.makedirs(work, exist_ok=True)


def conversations(path, size=64 << 20):
    r = random.Random(0)
    sentences = []
    for name in sorted(os.listdir("examples/quickstart")):
        for line in open(f"examples/quickstart/{name}"):
            for m in json.loads(line)["messages"]:
                sentences += [s for s in m["content"].replace("。", "。\0").replace(". ", ". \0").split("\0") if s]
    with open(path, "w") as f:
        while f.tell() < size:
            n = r.choice([4, 8, 16, 200, 400])
            prompt, answer = r.choice(sentences), "".join(r.choices(sentences, k=n))
            messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            f.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")


def lines(path, out):
    """The text of all messages, a paragraph a line."""
    n = 0
    with open(out, "w") as f:
        for line in open(path):
            for m in json.loads(line)["messages"]:
                for p in m["content"].split("\n"):
                    if p:
                        n += len(p.encode())
                        f.write(p + "\n")
    return n


peak = 0  # MiB, of lwtrain's runs


def run(command, **kw):
    global peak
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, command
    peak = max(peak, usage.ru_maxrss >> 10)
    return time.monotonic() - began


def ours_text(path):
    env = dict(os.environ, GOMAXPROCS="1")
    command = ["bin/lwtrain", "tokenize", "-m", folder]
    took = run(command, stdin=open(path), env=env)  # with what printing the ids takes
    return took - run(command, stdin=subprocess.DEVNULL, env=env)


def theirs_text(path):
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(f"{folder}/tokenizer.json")
    texts = open(path).read().split("\n")
    began = time.monotonic()
    for t in texts:
        tok.encode(t).ids
    return time.monotonic() - began


def ours_store(path):
    def pack(path):
        return run([
            "bin/lwtrain", "pack", "-c", "smollm2-quickstart", f"model.path={folder}", f"data.sources=[{{name: mix, path: {path}}}]",
            "data.held_out=0", "data.too_long=skip", f"data.cache_dir={work}/store", "--json",
        ])  # fmt: skip

    shutil.rmtree(f"{work}/store", ignore_errors=True)
    start = pack(f"{work}/few.jsonl")  # the program and its tokenizer
    first = pack(path)
    return first - start, pack(path)


THEIRS = """
import sys, time
from datasets import load_dataset
from transformers import AutoTokenizer
tok = AutoTokenizer.from_pretrained(sys.argv[1])
began = time.monotonic()
d = load_dataset("json", data_files=sys.argv[2], split="train", cache_dir=sys.argv[3])
def f(batch):
    return tok(tok.apply_chat_template(batch["messages"], tokenize=False), add_special_tokens=False)
d.map(f, batched=True, num_proc=int(sys.argv[4]), remove_columns=d.column_names)
print(time.monotonic() - began)
"""


def theirs_store(path):
    shutil.rmtree(f"{work}/datasets", ignore_errors=True)
    call = [sys.executable, "-c", THEIRS, folder, path, f"{work}/datasets", str(os.cpu_count())]
    out = subprocess.run(call, capture_output=True, text=True, check=True)
    return float(out.stdout.split()[-1])


def show(values):
    return f"{statistics.median(values):7.1f} ({min(values):.1f} to {max(values):.1f})"


if len(sys.argv) > 2:
    source = sys.argv[2]
else:
    conversations(source)
with open(source) as f, open(f"{work}/few.jsonl", "w") as few:
    few.writelines(line for line, _ in zip(f, range(50)))
text_bytes, file_bytes = lines(source, f"{work}/lines.txt"), os.path.getsize(source)
mine, peer, store, maps, again = [], [], [], [], []
for _ in range(ROUNDS):
    mine.append(text_bytes / 1e6 / ours_text(f"{work}/lines.txt"))
    peer.append(text_bytes / 1e6 / theirs_text(f"{work}/lines.txt"))
    first, second = ours_store(source)
    store.append(file_bytes / 1e6 / first)
    again.append(second)
    maps.append(file_bytes / 1e6 / theirs_store(source))
print("tokenizer, one core, MB/s: lwtrain", show(mine), " tokenizers ", show(peer))
print("  ratio                           ", show([a / b for a, b in zip(mine, peer)]))
print("store, all cores, MB/s:    lwtrain", show(store), " datasets.map", show(maps))
print("  ratio                           ", show([a / b for a, b in zip(store, maps)]))
print("  lwtrain again, seconds          ", show(again), f" its peak RSS {peak} MiB")
