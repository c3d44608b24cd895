#!/usr/bin/env python3
"""Makes tiktoken/: a small folder in the form of GLM-4-9B (tokenizer.model is a tiktoken rank file, trained on the
conversations that ship in the binary), the ids that the tiktoken library gives for hard strings, and in
tiktoken/converted the tokenizer.json that transformers' converter makes of the same ranks.

    pip install tiktoken==0.12.0 tokenizers==0.22.2 transformers==4.57.3
    python testdata/tiktoken_golden.py                 # the folder
    python testdata/tiktoken_golden.py --real DIR [N]  # DIR/vectors.json for a folder with a real tokenizer.model:
                                                       # LWTRAIN_TEST_TOKENIZERS=(the folder that DIR lies in) go test
    python testdata/tiktoken_golden.py --saved DIR     # transformers' ids for a folder that lwtrain saved

A string that is no valid UTF-8 is given to tiktoken as Python decodes it with errors="replace".
"""
import base64
import json
import os
import sys

import tiktoken
from tiktoken.load import load_tiktoken_bpe
from tokenizers import processors
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter, bytes_to_unicode

from golden import CL100K, HERE, hard_strings, split, train, write

FOLDER = os.path.join(HERE, "tiktoken")
SPECIAL = ["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>",
           "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"]
# What GLM-4-9B-chat's own template does, in short: tools that lie in a message, metadata that most messages lack.
TEMPLATE = (
    "[gMASK]<sop>{% for item in messages %}{% if item['tools'] is defined %}<|system|>\nTools:{% set tools = item['tools'] %}"
    "{% for tool in tools %}{% if tool['type'] == 'function' %}\n\n## {{ tool['function']['name'] }}\n\n"
    "{{ tool['function'] | tojson(indent=4) }}{% elif tool['type'] == 'python' %}\n\n## python{% endif %}{% endfor %}{% endif %}"
    "{% if item['content'] %}<|{{ item['role'] }}|>{{ item['metadata'] }}\n{{ item['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def corpus():
    folder = os.path.join(HERE, "..", "..", "examples", "quickstart")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            for line in f:
                for m in json.loads(line)["messages"]:
                    yield m["content"]


def save_ranks(size):
    """Ranks that are not in the order of the file and of the bytes: nothing says they must be."""
    vocab = train(split(CL100K), size, texts=corpus())["model"]["vocab"]
    byte = {c: b for b, c in bytes_to_unicode().items()}
    lines = [base64.b64encode(bytes(byte[c] for c in token)).decode() + f" {rank}\n" for token, rank in vocab.items()]
    with open(os.path.join(FOLDER, "tokenizer.model"), "w") as f:
        f.writelines(sorted(lines))


def save_config(n):
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    config = {
        "added_tokens_decoder": {str(n + i): {"content": s, **flags} for i, s in enumerate(SPECIAL)},
        "additional_special_tokens": SPECIAL[:10],
        "auto_map": {"AutoTokenizer": ["tokenization_chatglm.ChatGLM4Tokenizer", None]},
        "chat_template": TEMPLATE, "clean_up_tokenization_spaces": False, "do_lower_case": False, "eos_token": "<|endoftext|>",
        "model_max_length": 128000, "pad_token": "<|endoftext|>", "padding_side": "left", "remove_space": False,
        "tokenizer_class": "ChatGLM4Tokenizer",
    }
    write_indented("tokenizer_config.json", config)
    eos = [n + SPECIAL.index(s) for s in ("<|endoftext|>", "<|user|>", "<|observation|>")]
    write_indented("generation_config.json", {"eos_token_id": eos, "pad_token_id": n})


def write_indented(name, value):
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, indent=2)
        f.write("\n")


def encoding(folder):
    ranks = load_tiktoken_bpe(os.path.join(folder, "tokenizer.model"))
    special = {s: len(ranks) + i for i, s in enumerate(SPECIAL)}
    return tiktoken.Encoding("glm4", pat_str=CL100K, mergeable_ranks=ranks, special_tokens=special)


def vectors(enc, strings):
    prefix = [enc.encode_single_token("[gMASK]"), enc.encode_single_token("<sop>")]
    first = enc.encode_single_token(SPECIAL[0])
    for raw in strings:
        text = raw.decode("utf-8", "replace")
        ids = enc.encode(text, allowed_special="all")
        char = [i for i, c in enumerate(text) for _ in c.encode()]  # that a byte is in
        ends, at = [], 0
        for token in enc.decode_tokens_bytes(ids):
            ends += [char[at], char[at + len(token) - 1] + 1]
            at += len(token)
        v = {"ids": ids, "ends": ends, "full": prefix + ids}
        v["raw" if text.encode() != raw else "text"] = raw.hex() if text.encode() != raw else text
        assert enc.decode(ids) == text
        skipped = enc.decode([i for i in ids if i < first])
        if skipped != text:
            v["skipped"] = skipped
        yield v


def converted(enc, folder):
    """The converter's tokenizer, with GLM-4's special tokens and prefix."""
    fast = TikTokenConverter(vocab_file=os.path.join(folder, "tokenizer.model"), additional_special_tokens=SPECIAL).converted()
    ids = [(s, enc.encode_single_token(s)) for s in ("[gMASK]", "<sop>")]
    template = processors.TemplateProcessing(single="[gMASK] <sop> $A", pair="[gMASK] <sop> $A $B:1", special_tokens=ids)
    fast.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return fast


def check_saved(folder):
    fast = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"))
    enc = encoding(folder)
    n = 0
    for v in vectors(enc, hard_strings(5000, 7)):
        text = v["text"] if "text" in v else bytes.fromhex(v["raw"]).decode("utf-8", "replace")
        assert fast(text)["input_ids"] == v["full"], text
        n += 1
    print(n, "strings: transformers gives tiktoken's ids")


def main():
    if sys.argv[1:2] == ["--saved"]:
        return check_saved(sys.argv[2])
    if sys.argv[1:2] == ["--real"]:
        n = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
        return write(os.path.join(sys.argv[2], "vectors.json"), list(vectors(encoding(sys.argv[2]), hard_strings(n, 7))))
    os.makedirs(os.path.join(FOLDER, "converted"), exist_ok=True)
    save_ranks(2500)
    save_config(2500)
    enc = encoding(FOLDER)
    out = list(vectors(enc, hard_strings(120, 1)))
    write(os.path.join(FOLDER, "vectors.json"), out)
    fast = converted(enc, FOLDER)
    for v in out:
        text = v["text"] if "text" in v else bytes.fromhex(v["raw"]).decode("utf-8", "replace")
        assert fast.encode(text).ids == v["full"], text
    fast.save(os.path.join(FOLDER, "converted", "tokenizer.json"), pretty=False)


main()
