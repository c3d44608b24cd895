#!/usr/bin/env python3
"""Makes golden.json beside this file: what the Hugging Face tokenizers library (Oniguruma) cuts texts into by patterns
that published tokenizers have and by small ones, as byte offsets of the pieces, and hashes over all code points.

    pip install tokenizers==0.23.3
    python testdata/golden.py
"""
import hashlib
import json
import os
import random

from tokenizers import Regex, pre_tokenizers

PUBLISHED = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cl100k possessive": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "qwen3.5": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek digits": r"\p{N}{1,3}",
    "deepseek kanji": "[一-龥぀-ゟ゠-ヿ]+",
    "deepseek": "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    "kimi": r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "bloom": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "ascii digits": "[0-9][0-9][0-9]",
}
SMALL = [
    r"\p{N}{1,3}+", r"\p{N}{1,3}?", r"a{,2}b", r"\s++$", r"[a-c&&[^b]]+", r"(?i:[sk])+", r"(?i)ab|c", r"a(?i)b|c", r"[a-z-9]+", r"[\d-]+",
    r"a??b", r"a+?", r"a+(?=b)", r"a*+b|a", r"a?+b", r"\x41+|\u0042|\x{43}", r"\/\-\'", r"\d+", r"[\d\s]+", r".+", r"(ab|a)(c|bcd)",
    r"\p{^L}+|\P{L}", r"[^\P{L}a]+", r"\w+|\W", r"\D+", r"(?:a|ab)(?:c|bcd)d*", r"a{2,3}a", r"(?:ab?){2}", r"(a|b)*?c", r"x(?!y|z)", r"\s+\z",
    r"(?i:'(?:[sdmt]|ll|ve|re))", r"\p{Nd}|\p{Sc}|\p{Zs}\p{P}", r"[\x{4e00}-\x{9fff}]{2}", r"a+b|a", r"(?:a|b)+c|[ab]", r"ab|abc|abcd|b+", r"(?:)a|b{1}",
]
PARTS = ["'", "s", "S", "ſ", "t", "re", "VE", "lL", "d", " ", "  ", "\n", "\r", "\t", "\u00a0", "\u3000", "\u0085", "1", "23", "४", "½", "a", "Z", "é", "É",
         "中", "が", "!", "-", "。", "👍", "\u0301", "\u200d", "\x00", "/", "ǅ", "ʰ", "a", "b", "c", "ab", "abc", "aaa", "K", "k", "x", "y", "z", "A", "B", "C", "_", "$"]


def ends(pre, text):
    return [len(text[:b].encode()) for _, (_, b) in pre.pre_tokenize_str(text)]


def main():
    rng = random.Random(5)
    texts = ["".join(rng.choice(PARTS) for _ in range(rng.randint(1, 14))) for _ in range(150)]
    ascii_texts = ["".join(rng.choice("aaabbcdxyz123ABC '\n-_$") for _ in range(rng.randint(1, 16))) for _ in range(100)]
    chars = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    out = {"texts": texts + ascii_texts, "patterns": [], "hashes": []}
    for pattern in list(PUBLISHED.values()) + SMALL:
        pre = pre_tokenizers.Split(Regex(pattern), "isolated")
        out["patterns"].append({"pattern": pattern, "ends": [ends(pre, t) for t in out["texts"]]})
    for name in ("qwen3.5", "o200k", "tekken", "deepseek", "kimi"):
        pre = pre_tokenizers.Split(Regex(PUBLISHED[name]), "isolated")
        for context in ("a@b", "A@b", " @a", "!@\n", "@'s"):
            h = hashlib.sha256()
            for c in chars:
                h.update(bytes(b - a for _, (a, b) in pre.pre_tokenize_str(context.replace("@", c))) + b"\xff")
            out["hashes"].append({"pattern": PUBLISHED[name], "context": context, "hash": h.hexdigest()})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.json"), "w", encoding="utf-8") as f:
        f.write("{\n")
        f.write('"texts":' + json.dumps(out["texts"]) + ",\n")
        for key in ("patterns", "hashes"):
            rows = ",\n".join(json.dumps(r, separators=(",", ":")) for r in out[key])
            f.write(f'"{key}":[\n{rows}\n]' + (",\n" if key == "patterns" else "\n}\n"))


main()
