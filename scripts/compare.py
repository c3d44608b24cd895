"""Compares lwtrain with the reference libraries on a real model.

    pip install torch transformers==4.57.3 gguf==0.19.0 safetensors
    python scripts/compare.py --lwtrain bin/lwtrain --gguf MODEL.gguf --model DIR [--checkpoint DIR]

--model is what `lwtrain import MODEL.gguf DIR` made. Three things must hold:
the imported weights are those of the file, none lost and none added, and equal
the gguf package's dequantised ones to the last bit;
greedy text of 64 tokens equals transformers'; and a checkpoint of a run loads
in transformers with nothing missing, and gives the same greedy text as lwtrain.
"""
import argparse
import json
import os
import subprocess
import sys

import numpy as np

PROMPTS = ["Write a short story about a lighthouse keeper.", "写一封请假邮件。", "List the first ten prime numbers.", "What is 17 * 23?"]


def weights(gguf_path, model):
    from gguf import MODEL_ARCH_NAMES, GGUFReader, dequantize, get_tensor_name_map
    from safetensors.numpy import load_file

    ours = load_file(os.path.join(model, "model.safetensors"))
    config = json.load(open(os.path.join(model, "config.json")))
    reader = GGUFReader(gguf_path)
    arch = reader.fields["general.architecture"].contents()
    # What tensors are called in GGUF is the package's word, not ours.
    known = get_tensor_name_map({name: arch for arch, name in MODEL_ARCH_NAMES.items()}[arch], config["num_hidden_layers"])
    theirs = {t.name: t for t in reader.tensors}
    derived = {"rope_freqs.weight"}  # what rope_scaling of config.json says
    rows = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]} if arch == "llama" else {}
    ours_seen, theirs_seen = set(), set()
    wrong = 0
    for name, have in ours.items():
        t = theirs.get(known.get_name(name, try_suffixes=(".weight", ".bias")))
        if t is None:
            continue
        want = dequantize(t.data, t.tensor_type).astype(np.float32)
        heads = rows.get(t.name.split(".")[-2])
        if heads:  # GGUF has the halves of each rotary pair side by side
            want = want.reshape(heads, want.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(want.shape)
        ours_seen.add(name)
        theirs_seen.add(t.name)
        if not np.array_equal(have.view(np.uint32), want.view(np.uint32)):
            print("differs:", t.name)
            wrong += 1
    for name in sorted(ours.keys() - ours_seen):
        print("not in the GGUF file:", name)
    for name in sorted(theirs.keys() - theirs_seen - derived):
        print("lost by the import:", name)
    print(f"weights: {len(ours_seen)} tensors of {len(ours)} compared with {len(theirs_seen)} of {len(theirs)}, {wrong} differ")
    return wrong == 0 and ours_seen == ours.keys() and theirs_seen | derived >= theirs.keys()


def greedy(lwtrain, model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tok = AutoTokenizer.from_pretrained(model)
    ref, info = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, output_loading_info=True)
    bad = {k: v for k, v in info.items() if v and k != "mismatched_keys"}
    print(f"transformers loads {model}:", bad or "nothing missing, nothing left over")
    same = 0
    for p in PROMPTS:
        ids = tok.apply_chat_template([{"role": "user", "content": p}], add_generation_prompt=True, return_tensors="pt", return_dict=False)
        want = ref.generate(ids, max_new_tokens=64, do_sample=False)[0, ids.shape[1]:].tolist()
        if want and want[-1] in (tok.eos_token_id, ref.generation_config.eos_token_id):
            want = want[:-1]
        ask = [lwtrain, "generate", "-m", model, "--prompt", p, "--greedy", "--max-new-tokens", "64", "--json"]
        out = subprocess.run(ask, capture_output=True, check=True)
        got = json.loads(out.stdout)["ids"]
        same += got == want
        if got != want:
            print("differs:", p, got[:20], want[:20])
    print(f"greedy text: {same} of {len(PROMPTS)} prompts the same")
    return same == len(PROMPTS) and not bad


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--lwtrain", default="bin/lwtrain")
    a.add_argument("--gguf")
    a.add_argument("--model")
    a.add_argument("--checkpoint")
    args = a.parse_args()
    ok = True
    if args.gguf:
        ok &= weights(args.gguf, args.model)
    for folder in (args.model, args.checkpoint):
        if folder:
            ok &= greedy(args.lwtrain, folder)
    sys.exit(0 if ok else 1)
