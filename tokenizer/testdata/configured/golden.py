#!/usr/bin/env python3
"""Makes cases.json: what AutoTokenizer of transformers makes of tokens that
tokenizer_config.json, special_tokens_map.json and added_tokens.json name beside
a tokenizer.json, for a small one with three added tokens.

    pip install transformers==5.24.0
    python testdata/configured/golden.py
"""
import copy
import json
import os
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = "a<|note|> b <|im_start|> c<|im_end|>\n the  <|x|> y [PAD]z <image>"


def token(content, **flags):
    return dict(content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) | flags


def tokenizer():
    byte_level = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {t: i for i, t in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + byte_level + ["th", "the"])}
    t = Tokenizer(models.BPE(vocab=vocab, merges=[("t", "h"), ("th", "e")]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    return json.loads(t.to_str())


TOKENIZER = tokenizer()
CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
    "added_tokens_decoder": {str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in TOKENIZER["added_tokens"]},
}
LEGACY = {k: v for k, v in CONFIG.items() if k != "added_tokens_decoder"}
cases = []


def case(name, config, added=(), **files):
    files = {k + ".json": v for k, v in files.items()} | {"tokenizer_config.json": config}
    tokens = copy.deepcopy(TOKENIZER)
    tokens["added_tokens"] += added
    with tempfile.TemporaryDirectory() as folder:
        for file, content in (files | {"tokenizer.json": tokens}).items():
            with open(f"{folder}/{file}", "w") as f:
                json.dump(content, f)
        t = AutoTokenizer.from_pretrained(folder)
    ids = t(TEXT, add_special_tokens=False)["input_ids"]
    case = {"name": name, "files": files, "ids": ids, "skipped": t.decode(ids, skip_special_tokens=True), "size": len(t)}
    cases.append(case | ({"added": added} if added else {}))


def decoder(**entries):
    config = copy.deepcopy(CONFIG)
    config["added_tokens_decoder"] |= {k.strip("_"): v for k, v in entries.items()}
    return config


case("nothing is missing", CONFIG)
case("a token that the decoder alone has", decoder(_261=token("<|note|>")))
case("another left side", decoder(_1=token("<|im_start|>", lstrip=True)))
case("other flags of the token that ends", decoder(_2=token("<|im_end|>", rstrip=True, special=False, normalized=True)))
case("an id that is far away", decoder(_5000=token("<|x|>")))
case("ids in another order", decoder(_5000=token("<|x|>"), _900=token("[PAD]")))
case("a token of the vocabulary", decoder(_260=token("the")))
case("a token that is not special", decoder(_261=token("<|note|>", special=False, normalized=True)))
case("a token that is a word", decoder(_261=token("<|note|>", single_word=True)))
case("an empty token", decoder(_261=token("")))
case("flags left out", decoder(_261={"content": "<|note|>"}, _262={"content": "<|x|>", "special": True}))
case("special in the decoder alone", decoder(_261=token("<|note|>")), added=[token("<|note|>", special=False, normalized=True) | {"id": 261}])
case("special in tokenizer.json alone", decoder(_0=token("<|endoftext|>", special=False)) | {"bos_token": "<|im_end|>", "pad_token": "<|im_end|>"})
case("two that are swapped", decoder(_0=token("<|im_end|>"), _2=token("<|endoftext|>")))
case("a padding token", CONFIG | {"pad_token": "[PAD]"})
case("a padding token with flags", CONFIG | {"pad_token": token("[PAD]", lstrip=True) | {"__type": "AddedToken"}})
case("a padding token of the vocabulary", CONFIG | {"pad_token": "the"})
case("extra tokens", CONFIG | {"extra_special_tokens": ["<image>", "<|x|>"]})
case("additional tokens", CONFIG | {"additional_special_tokens": ["<image>", "<|x|>"]})
case("both", CONFIG | {"extra_special_tokens": ["<image>"], "additional_special_tokens": ["<|x|>"]})
case("none and additional tokens", CONFIG | {"extra_special_tokens": [], "additional_special_tokens": ["<|x|>"]})
case("an extra token with flags", CONFIG | {"extra_special_tokens": [token("<image>", lstrip=True) | {"__type": "AddedToken"}]})
case("extra tokens with names", CONFIG | {"extra_special_tokens": {"image_token": "<image>", "x_token": "<|x|>"}})
case("a token of the model's own", CONFIG | {"image_token": "<image>"})
case("all of them", CONFIG | {"mask_token": "<|note|>", "pad_token": "[PAD]", "additional_special_tokens": ["<image>"], "x_token": "<|x|>"})
case("a map without a decoder", LEGACY, special_tokens_map={"pad_token": "[PAD]", "additional_special_tokens": ["<image>"]})
case("a map beside a decoder", CONFIG, special_tokens_map={"pad_token": "[PAD]", "additional_special_tokens": ["<image>"]})
case("a map over the config", LEGACY | {"pad_token": "<|x|>"}, special_tokens_map={"pad_token": "[PAD]"})
case("a map with flags", LEGACY, special_tokens_map={"pad_token": {k: v for k, v in token("[PAD]", lstrip=True).items() if k != "special"}})
case("added tokens without a decoder", LEGACY, added_tokens={"<|x|>": 262, "<image>": 261})
case("added tokens beside a decoder", CONFIG, added_tokens={"<|x|>": 262, "<image>": 261})
case("added tokens, one of them special", LEGACY | {"pad_token": "<|x|>"}, added_tokens={"<|x|>": 262, "<image>": 261})
case("added tokens at ids that are taken", LEGACY, added_tokens={"<|im_end|>": 7, "<|x|>": 1})
case("an empty decoder", LEGACY | {"added_tokens_decoder": {}}, added_tokens={"<|x|>": 261}, special_tokens_map={"pad_token": "[PAD]"})

with open(os.path.join(HERE, "cases.json"), "w") as f:
    lines = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
    f.write('{"text": %s, "tokenizer": %s, "cases": [\n%s\n]}\n' % (json.dumps(TEXT), json.dumps(TOKENIZER, ensure_ascii=False), lines))
