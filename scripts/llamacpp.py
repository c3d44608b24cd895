"""Compares exported GGUF files with llama.cpp on a real model.

    pip install llama-cpp-python==0.3.36 gguf==0.19.0
    python scripts/llamacpp.py --lwtrain bin/lwtrain --model DIR

Four things must hold: llama.cpp loads what `lwtrain export` makes of DIR in every precision; its tokenizer gives lwtrain's ids;
in F32, on one thread, its greedy text of 64 tokens equals lwtrain's; and what its own quantize makes of the F32 file has the same types,
and the same bytes but, in K-quants, for a few in 10,000 that follow from another order of sums.

    python scripts/llamacpp.py --logits < REQUESTS > ANSWERS

says what llama.cpp computes: for each line {"file": PATH, "ids": [...], "greedy": N} one with the logits behind each of the ids and
of the tokens chosen, in base64 of float32, and the N tokens that it chooses. The test of package export that has small random models
of every family compared reads them.
"""
import argparse
import base64
import ctypes
import json
import os
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

PROMPTS = ["Write a short story about a lighthouse keeper.", "写一封请假邮件。", "List the first ten prime numbers.", "It's 12,345\tx  = 2"]
QUANTISED = {"q8_0": 7, "q4_k_m": 15}


def lwtrain(binary, *args, stdin=None):
    return subprocess.run([binary, *args], input=stdin, capture_output=True, text=True, check=True).stdout


def load(path, context, **more):
    return llama_cpp.Llama(path, n_ctx=context, n_batch=context, n_threads=1, n_threads_batch=1, verbose=False, flash_attn=False,
                           type_k=0, type_v=0, **more)


def logits(file, ids, greedy):
    """The logits behind all tokens, and the tokens that are chosen behind the ids."""
    llm = load(file, len(ids) + greedy, logits_all=True)
    llm.eval(ids)
    chosen = []
    for _ in range(greedy):
        chosen.append(int(np.argmax(llm.scores[llm.n_tokens - 1])))
        llm.eval(chosen[-1:])
    rows = np.ascontiguousarray(llm.scores[:llm.n_tokens], dtype="<f4")
    return {"logits": base64.b64encode(rows.tobytes()).decode(), "chosen": chosen}


def greedy(binary, model, path):
    """How many prompts have other ids, and how many other texts."""
    llm = load(path, 1024)
    other_ids = other_text = 0
    for prompt in PROMPTS:
        ids = llm.tokenize(prompt.encode(), add_bos=True, special=True)
        other_ids += ids != json.loads(lwtrain(binary, "tokenize", "-m", model, stdin=prompt + "\n"))
        want = json.loads(lwtrain(binary, "generate", "-m", model, "--raw", "--prompt", prompt, "--greedy", "--max-new-tokens", "64",
                                  "--precision", "float32", "--threads", "1", "--json"))["ids"]
        have = []
        llm.reset()
        for token in llm.generate(ids, temp=0.0, top_k=1, repeat_penalty=1.0):
            if llama_cpp.llama_vocab_is_eog(llm._model.vocab, token) or len(have) == 64:
                break
            have.append(token)
        other_text += have != want
    return other_ids, other_text


def quantised(source, ours, file_type, folder):
    """Compares a file with what llama.cpp's quantize makes of the F32 file; how many tensors are wrong."""
    theirs = os.path.join(folder, "theirs.gguf")
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    assert llama_cpp.llama_model_quantize(source.encode(), theirs.encode(), ctypes.byref(params)) == 0
    want = {t.name: t for t in gguf.GGUFReader(theirs).tensors}
    have = {t.name: t for t in gguf.GGUFReader(ours).tensors}
    wrong = len(want.keys() ^ have.keys())
    for name in want.keys() & have.keys():
        a, b = want[name], have[name]
        if a.tensor_type != b.tensor_type or a.data.shape != b.data.shape:
            wrong += 1
            continue
        differ = np.mean(np.asarray(a.data).view(np.uint8) != np.asarray(b.data).view(np.uint8))
        wrong += differ > (0.003 if a.tensor_type.name.endswith("_K") else 0)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lwtrain")
    parser.add_argument("--model")
    parser.add_argument("--logits", action="store_true")
    args = parser.parse_args()
    if args.logits:
        for line in sys.stdin:
            print(json.dumps(logits(**json.loads(line))), flush=True)
        return
    if not args.lwtrain or not args.model:
        parser.error("want --lwtrain and --model, or --logits")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        paths = {p: os.path.join(folder, p + ".gguf") for p in ("f32", "f16", "bf16", *QUANTISED)}
        for precision, path in paths.items():
            lwtrain(args.lwtrain, "export", args.model, path, "--dtype", precision, "--check")
            llama_cpp.Llama(path, n_ctx=64, n_threads=1, verbose=False)
            print(precision, "loads")
        ids, texts = greedy(args.lwtrain, args.model, paths["f32"])
        print(f"f32: of {len(PROMPTS)} prompts {ids} have other ids, {texts} other texts of 64 tokens")
        wrong += ids + texts
        for precision, file_type in QUANTISED.items():
            n = quantised(paths["f32"], paths[precision], file_type, folder)
            print(f"{precision}: {n} tensors differ from those of llama.cpp's quantize")
            wrong += n
    sys.exit(wrong > 0)


main()
