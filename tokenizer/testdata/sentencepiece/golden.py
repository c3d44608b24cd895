#!/usr/bin/env python3
"""Makes tokenizer.model (BPE) and unigram.model in this folder, trained by SentencePiece on ../corpus.txt, and golden.json:
the ids and texts that SentencePiece itself gives. In ../tekken it makes a tekken.json of a byte-level vocabulary of the
tests and vectors.json of what transformers' converter makes of it.

    pip install sentencepiece==0.2.3 transformers==5.24.0 mistral-common==1.13.1
    python testdata/sentencepiece/golden.py
    python testdata/sentencepiece/golden.py --real DIR [N]   # golden.json beside each DIR/*/tokenizer.model and vectors.json
                                                             # beside each DIR/*/tekken.json, for LWTRAIN_TEST_TOKENIZERS=DIR
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


def ids(model, n, seed, path):
    s = spm.SentencePieceProcessor(model_file=model)
    own = [s.id_to_piece(i) for i in range(s.get_piece_size()) if s.is_control(i) or s.is_unknown(i)] + ["<tool>"]
    rows = []
    for raw in golden.hard_strings(n, seed):
        text = raw.decode("utf-8", "replace")
        if text and "\0" not in text and not any(o in text for o in own):
            rows.append({"text": text, "ids": s.encode(text)})
    golden.write(path, rows)


def converted(path, n, seed):
    from transformers.integrations.mistral.tokenizer import MistralConverter
    folder = os.path.dirname(path)
    made = os.path.join(folder, "converted.tmp")
    MistralConverter(path).converted().save(made)
    golden.write(os.path.join(folder, "vectors.json"), golden.vectors(made, golden.hard_strings(n, seed)))
    os.remove(made)


def real(folder, n):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name, "tokenizer.model")
        if os.path.exists(path):
            ids(path, n, 9, os.path.join(folder, name, "golden.json"))
        path = os.path.join(folder, name, "tekken.json")
        if os.path.exists(path):
            converted(path, n, 7)


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
    converted(path, 60, 4)


def main():
    if sys.argv[1:2] == ["--real"]:
        real(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5000)
        return
    train("tokenizer.model", "bpe", 700)
    train("unigram.model", "unigram", 420)
    ids(os.path.join(HERE, "tokenizer.model"), 60, 3, os.path.join(HERE, "golden.json"))
    tekken()


main()
