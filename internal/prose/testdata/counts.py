#!/usr/bin/env python3
"""Makes counts.json: varied strings and how the benchmarks' own formulas count their words.

    python counts.py [NUMBER] > counts.json

The formulas are those that package prose names its sources for, written anew. A row is a string and the
counts of LongWriter, LIFEBench, LonGen and LongGenBench.
"""
import json
import random
import re
import sys

CHINESE = r"[\u4e00-\u9fff]"
WIDE = r"[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]"


def longwriter(text):
    return len(re.findall(CHINESE, text)) + len(re.findall(r"\b[a-zA-Z]+\b", text))


def lifebench(text):
    text = re.sub(r"\s+", " ", text).strip()
    return len(re.findall(CHINESE, text)) + len(re.findall(r"\b[a-zA-Z0-9'-]+\b", text))


def longen(text):
    return len(re.findall(WIDE, text)) + len(re.sub(WIDE, " ", text).split())


def longgenbench(text):
    return len(text.split())


POOLS = [
    "abcXYZ", "0123456789", "'-_", "'-_ab1é中 ", " \t\n\r\v\f", "\u00a0\u2003\u2028\u3000\u202f\u205f\u1680\x85\x1c\x1d\x1e\x1f\u200b\ufeff",
    ".,;:!?()[]\"", "’‘“”–—…", "。，！？；：、（）《》「」", "ＡｂＣ１２！～￥｡ｱ", "中文字数要求", "㐀㐁䶵𠀀𪚥豈龦鿿鿀", "éñüßøŒİıſ", "e\u0301a\u0308\u20dd",
    "😀👍🏽👩\u200d👩\u200d👧🇨🇳", "Привет", "αβγΣς", "שלום\u05b0", "مرحبا١٢٣", "नमस्ते१२", "สวัสดี", "ひらがなカタカナー", "한국어", "²½Ⅷ①௧〇",
    "٪€$%&@#", "\u00ad\u2060\u180e", "\x00\x07\x7f", "\U0001d400\U0001d7ce", "ªºµ", "‿⁀﹍＿",
]


def strings(count, draw):
    for _ in range(count):
        pools = draw.sample(POOLS, draw.randint(1, 6)) + draw.choices(["abcXYZ", " ", "'-"], k=draw.randint(0, 3))
        text = []
        for _ in range(draw.randint(0, draw.choice([6, 12, 40]))):
            pool = draw.choice(pools)
            text += draw.choices(pool, k=draw.choice([1, 1, 1, 2, 3, 5]))
        yield "".join(text)


if __name__ == "__main__":
    rows = [[s, longwriter(s), lifebench(s), longen(s), longgenbench(s)] for s in strings(int(sys.argv[1]) if len(sys.argv) > 1 else 500, random.Random(17))]
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
