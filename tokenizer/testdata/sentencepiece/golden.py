#!/usr/bin/env python3
"""Makes tokenizer.model (BPE) and unigram.model in this folder, trained by SentencePiece on ../corpus.txt, and golden.json:
the ids and texts that SentencePiece itself gives. In ../tekken it makes a tekken.json of a byte-level vocabulary of the
tests and vectors.json of what transformers' converter makes of it.

    pip install sentencepiece==0.2.3 transformers==5.24.0 mistral-common==1.13.1
    python testdata/sentencepiece/golden.py
"""
import base64
import io
import json
import os
import sys

import sentencepiece as spm

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import golden  # noqa: E402


def train(name, kind, size):
    with open(os.path.join(HERE, "..", "corpus.txt"), encoding="utf-8") as f:
        lines = f.read().split("\n\n")
    out = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type=kind, vocab_size=size, byte_fallback=kind == "bpe", normalization_rule_name="identity",
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, control_symbols=["[INST]", "[/INST]"], user_defined_symbols=["<tool>"],
        character_coverage=0.99, minloglevel=2)
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(out.getvalue())


def tekken():
    folder = os.path.join(HERE, "..", "tekken")
    with open(os.path.join(HERE, "..", "glm4", "tokenizer.json"), encoding="utf-8") as f:
        vocab = json.load(f)["model"]["vocab"]
    chars = {}
    n = 0
    for b in range(256):
        shown = b > 32 and not 0x7F <= b <= 0xA0 and b != 0xAD
        chars[chr(b) if shown else chr(0x100 + n)] = b
        n += not shown
    tokens = [bytes(chars[c] for c in t) for t in sorted(vocab, key=vocab.get)]
    pattern = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
               r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
               r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    special = [{"rank": i, "token_str": s, "is_control": True} for i, s in enumerate(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])]
    size = 600
    data = {"config": {"pattern": pattern, "num_vocab_tokens": len(tokens), "default_vocab_size": size + 10, "default_num_special_tokens": 10, "version": "v7"},
            "vocab": [{"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None} for i, t in enumerate(tokens)], "special_tokens": special}
    path = os.path.join(folder, "tekken.json")
    golden.write(path, data)
    from transformers.integrations.mistral.tokenizer import MistralConverter
    converted = os.path.join(folder, "converted.tmp")
    MistralConverter(path).converted().save(converted)
    golden.write(os.path.join(folder, "vectors.json"), golden.vectors(converted, golden.hard_strings(60, 4)))
    os.remove(converted)


def main():
    train("tokenizer.model", "bpe", 700)
    train("unigram.model", "unigram", 420)
    s = spm.SentencePieceProcessor(model_file=os.path.join(HERE, "tokenizer.model"))
    rows = []
    for raw in golden.hard_strings(60, 3):
        text = raw.decode("utf-8", "replace")
        if text and "\0" not in text and "<tool>" not in text and "INST]" not in text:
            rows.append({"text": text, "ids": s.encode(text)})
    golden.write(os.path.join(HERE, "golden.json"), rows)
    tekken()


main()
