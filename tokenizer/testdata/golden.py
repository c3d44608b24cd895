#!/usr/bin/env python3
"""Makes the tokenizer fixtures and their golden vectors with the Hugging Face
libraries: small tokenizers trained on corpus.txt (written for this project) in
the forms of SmolLM2, Llama 3, Qwen and GLM-4, and, for a list of hard strings,
the ids, offsets and decoded text that the tokenizers library gives.

    pip install tokenizers==0.23.3
    python testdata/golden.py [NAME ...]         # the fixtures in this folder
    python testdata/golden.py --points           # points.json: hashes over all code points, three minutes
    python testdata/golden.py --real DIR [N]     # vectors.json beside each DIR/*/tokenizer.json,
                                                 # for LWTRAIN_TEST_TOKENIZERS=DIR go test

Vectors are made with truncation and padding off and, for the offsets, without
the post-processor: ByteLevel's trim_offsets would cut spaces off.
"""
import hashlib
import json
import os
import random
import sys

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")

# ---------------------------------------------------------------- the strings

SNIPPETS = [
    # contractions, straight and not, in both cases, with the long s and without a word before
    "it's", "IT'S", "it'ſ", "don't", "DON'T", "we're", "WE'RE", "they've", "I'm", "I'M", "she'll", "SHE'LL", "he'd",
    "HE'D", "'s", "'S", "''s", "'", "' s", "'re", "'rE", "'Ve", "'lL", "'l", "'r", "’s", "'st", "'Kelvin", "'ŉ", "'ﬆ", "'ß",
    # digits of several scripts, and numbers that are no digits
    "1", "12", "123", "1234", "12345", "1234567", " 123", "a1b2", "3.14159", "1,000", "2024-10-01", "٣٤٥٦", "१२३४", "１２３４",
    "Ⅷ", "½", "²³", "①②③④", "𝟙𝟚𝟛𝟜", "৳", "〇", "一二三", "௧௨௩௪", "㊿", "𐄇", "x²", "\U00010d40\U00010d41", "\U00016d80",
    # white space: all of \s, and what only looks like it
    " ", "  ", "   ", "\t", "\t\t", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", " \n", "\n ", " \n ", "\t\n", "\v", "\f", "\x85",
    "\xa0", "\xa0\xa0", " \xa0", "\xa0 ", "\u1680", "\u2000", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
    "\u3000\u3000", "\u200b", "\u2060", "\ufeff", "\u180e", "\x1c", "\x1f", "    x", "x    ", "\n\n\n  \n", " \r\n \t",
    # control characters and the noncharacters
    "\x00", "\x01", "\x04", "\x06", "\x13", "\x14", "\x16", "\x1d", "\x7f", "\x80", "\x9f", "\ufffd", "\ufffe", "\uffff", "\U0010ffff",
    # composed, decomposed, several marks, marks without a base, in and out of order
    "é", "e\u0301", "café", "cafe\u0301", "ñ", "n\u0303", "ậ", "a\u0323\u0302", "a\u0302\u0323", "Å", "\u212b", "A\u030a",
    "\u0301", "\u0301\u0323", "q\u0307\u0323", "q\u0323\u0307", "\u0344", "\u0958", "\u0915\u093c", "\u09c7\u09be", "\u0b47\u0b57",
    "한국어", "\u1112\u1161\u11ab", "\u1112\u1161", "\uac00\u11a8", "\uac01\u11a8", "\u1100\u1161\u11a8\u11a8", "\u2126", "Ω", "豈", "神",
    "\u304b\u3099", "が", "\u1e9b\u0323", "\u0f73", "\u0f71\u0f72", "\U0001d15e", "\U00011131\U00011127", "\U00011935\U00011930",
    "a" + "\u0301" * 40, "a" + "\u0323\u0301" * 20, "x\u0898\u0316", "x\u08d3\u0301", "x\U0001e4ec\u0334", "Z\u0351\u036b\u0343\u036a",
    "\u0c15\u0c3c\u0c4d", "\u1ab0\u1abf", "\u0e33\u0e38\u0e48", "\u05d0\u05b8\u05bc", "\u0623\u0654",
    # letters that are not words: scripts, cases, modifiers, new ones
    "Straße", "ǅ", "ʰ", "ªº", "中文", "中文字符", "日本語テスト", "русский", "Ελληνικά", "עברית", "العربية", "हिन्दी", "ไทย", "ქართული", "Հայերեն",
    "ᏣᎳᎩ", "ꙮ", "𐍈", "𠀀𠀁", "𒀀", "\U00011f00", "\u1c89", "\ua7cb", "\U000323b0", "\U0001e030", "ﬁ", "ſ", "K",
    # emoji: joined, coloured, flags, keycaps
    "👍", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "1️⃣", "❤️", "🧑🏿‍🚀", "☺", "🫠", "\U0001fae9",
    # punctuation, code, markup
    "!", "!!!", "...", "…", "—", "“quoted”", "'quoted'", "(a)", "a_b", "snake_case_name", "CamelCaseName", "x+=1;", "a->b", "// comment\n",
    "/* c */", "#include <stdio.h>\n", "def f(x):\n    return x\n", "\tif (a && b) {\r\n\t}\r\n", "</p>\n", "{\"a\": [1, 2]}", "\\n", "$x^2$",
    "https://example.org/a?b=c&d=1#e", "me@example.org", "C:\\dir\\f.txt", "````", "~~~", "=====\n", "--flag=value", "«»", "、。，！？", "،؟",
    # long words
    "a" * 100, "ab" * 200, "aaaaaaaaab", "中" * 70, "Donaudampfschifffahrtsgesellschaft", "0" * 100, " " * 100, "-" * 130, "é" * 90, "\n" * 70,
    "xyz" * 61, "\u0301" * 3,
    # text of added tokens, whole, broken and joined
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|><|endoftext|>", "<|endoftext", "|>",
    "< |im_end|>", "<|im_end|", "<<|im_end|>>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\n", "[gMASK]<sop>",
    "<|user|>\n", "<|assistant|>", "<think>\n\n</think>\n\n", "<tool_call>", "[gMASK", " <sop> ", "x<strip>y", "x  <strip>\t y", "<strip>",
    " \n<strip><strip>\n ", "word", "aword", "word1", " word ", "wordword", "naïve", "nai\u0308ve", "xnaïvex", "  ", "<left>", " <left> ", "a <left> b",
    "<right>", " <right>\u3000b", "<right> <left>", "<left> <right>  <left>", "ab", "abc", "abcd", "éword", "word\u0301", "word_", "word\u200d",
]
BROKEN = [b"\x80", b"a\xffb", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x98", b"\xf0\x9f\x98 ok", b"\xed\xa0\x80", b"\xc0\xaf",
          b"\xf4\x90\x80\x80", b"\xe0\x9f\xbf", b"ok \xf0\x9f <|im_end|>\xfe", b"\xf8\x88\x80\x80\x80", b"caf\xe9 e\xcc\x81\xcc"]


def hard_strings(n, seed):
    """The snippets, broken UTF-8, and n random strings of joined snippets and characters."""
    for s in SNIPPETS:
        yield s.encode()
    yield b""
    yield from BROKEN
    rng = random.Random(seed)
    with open(os.path.join(HERE, "corpus.txt"), encoding="utf-8") as f:
        corpus = f.read()
    pools = [(0x20, 0x7E), (0x00, 0x1F), (0x80, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF),
             (0xE00, 0xFFF), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF),
             (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFE00, 0xFFFF), (0x10000, 0x1FFFF), (0x1F300, 0x1FAFF), (0x20000, 0x3FFFF), (0xE0000, 0x10FFFF)]
    for _ in range(n):
        parts = []
        for _ in range(rng.randint(1, 8)):
            kind = rng.random()
            if kind < 0.45:
                parts.append(rng.choice(SNIPPETS) if rng.random() < 0.9 else rng.choice(SNIPPETS).upper())
            elif kind < 0.75:
                i = rng.randrange(len(corpus))
                parts.append(corpus[i : i + rng.randint(1, 30)])
            else:
                lo, hi = rng.choice(pools)
                parts.append("".join(chr(rng.randint(lo, hi)) for _ in range(rng.randint(1, 6))))
            if rng.random() < 0.4:
                parts.append(rng.choice([" ", " ", " ", "  ", "\n", "\t", ""]))
        yield "".join(parts).encode("utf-8", "replace")


def vectors(path, strings):
    t = Tokenizer.from_file(path)
    t.no_truncation()
    t.no_padding()
    bare = Tokenizer.from_file(path)
    bare.no_truncation()
    bare.no_padding()
    bare.post_processor = processors.Sequence([])
    out = []
    for raw in strings:
        text = raw.decode("utf-8", "replace")
        e = bare.encode(text)
        full = t.encode(text).ids
        v = {"ids": e.ids, "ends": [x for span in e.offsets for x in span]}
        v["raw" if text.encode() != raw else "text"] = raw.hex() if text.encode() != raw else text
        if full != e.ids:
            v["full"] = full
        decoded, skipped = t.decode(e.ids, skip_special_tokens=False), t.decode(e.ids, skip_special_tokens=True)
        if decoded != text:
            v["decoded"] = decoded
        if skipped != decoded:
            v["skipped"] = skipped
        out.append(v)
    return out


def write(path, value):
    with open(path, "w", encoding="utf-8") as f:
        if isinstance(value, list):  # one vector to a line
            f.write("[\n" + ",\n".join(json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in value) + "\n]\n")
        else:
            json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
            f.write("\n")


# --------------------------------------------------------------- the fixtures


def train(pre, vocab, first=(), lacking=(), normalizer=None, texts=None):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    alphabet = [c for c in pre_tokenizers.ByteLevel.alphabet() if c not in lacking]
    trainer = trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=sorted(alphabet), special_tokens=list(first), show_progress=False)
    with open(os.path.join(HERE, "corpus.txt"), encoding="utf-8") as f:
        t.train_from_iterator(texts or f.read().split("\n\n"), trainer)
    t.decoder = decoders.ByteLevel()
    return json.loads(t.to_str())


def add(d, content, special=True, **flags):
    vocab = d["model"]["vocab"]
    highest = max([max(vocab.values())] + [a["id"] for a in d["added_tokens"]])
    token = {"id": vocab.get(content, highest + 1), "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": special}
    d["added_tokens"].append({**token, **flags})


def all_pairs(d):
    """Merges as a tiktoken file turns into: each way to cut a token in two tokens."""
    vocab = d["model"]["vocab"]
    merges = []
    for token, rank in sorted(vocab.items(), key=lambda kv: kv[1]):
        cuts = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in vocab and token[i:] in vocab]
        merges += sorted(cuts, key=lambda c: (vocab[c[0]], vocab[c[1]]))
    d["model"]["merges"] = [list(m) for m in merges]


def as_strings(d):
    d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def template(d, *tokens):
    ids = {a["content"]: a["id"] for a in d["added_tokens"]}
    p = processors.TemplateProcessing(single=[*tokens, "$A"], pair=[*tokens, "$A", "$B:1"], special_tokens=[(x, ids[x]) for x in tokens])
    t = Tokenizer(models.BPE())
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), p])
    d["post_processor"] = json.loads(t.to_str())["post_processor"]


def smollm2():
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    first = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<empty_output>"]
    lacking = [chr(0x100 + b) for b in (4, 6, 19, 20, 22, 29)] + ["ñ", "ò"]  # as SmolLM2's vocabulary lacks them
    d = train(pre, 900, first, lacking)
    as_strings(d)
    return d


def unknown():
    """SmolLM2's form with an unknown token for the bytes that it lacks."""
    d = smollm2()
    keep = {t: i for t, i in d["model"]["vocab"].items() if i < 400}
    d["model"]["vocab"] = keep
    d["model"]["merges"] = [m for m in d["model"]["merges"] if m.replace(" ", "") in keep]
    d["model"]["unk_token"], d["model"]["fuse_unk"] = "<|endoftext|>", True
    return d


def llama3():
    d = train(split(CL100K), 1200)
    d["model"]["ignore_merges"] = True
    all_pairs(d)
    as_strings(d)
    for s in ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"):
        add(d, s)
    template(d, "<|begin_of_text|>")
    return d


def qwen():
    d = train(split(QWEN), 1000, normalizer=normalizers.NFC())
    for s in ("<|endoftext|>", "<|im_start|>", "<|im_end|>"):
        add(d, s)
    for s in ("<tool_call>", "</tool_call>", "<think>", "</think>"):
        add(d, s, special=False)
    d["post_processor"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return d


def glm4():
    d = train(split(CL100K), 800)
    d["model"]["ignore_merges"] = True
    all_pairs(d)
    for s in ("<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"):
        add(d, s)
    template(d, "[gMASK]", "<sop>")
    return d


def added():
    """Qwen's form with added tokens of every kind, some of them in the vocabulary."""
    d = train(split(QWEN), 400, normalizer=normalizers.NFC())
    add(d, "<strip>", lstrip=True, rstrip=True)
    add(d, "<left>", lstrip=True)
    add(d, "<right>", rstrip=True, special=False)
    add(d, "word", special=False, single_word=True)
    add(d, "nai\u0308ve", special=False, normalized=True)
    add(d, "ab", special=False, normalized=True)
    add(d, "abcd", special=False)
    add(d, "  ", special=False, normalized=True)
    add(d, "é", special=False)
    add(d, "the", special=False, normalized=True, single_word=True)
    return d


def characters(vocab, pre, normalizer, decoder, fallback, unknown="<unk>", **flags):
    """A model of characters as SentencePiece makes them."""
    t = Tokenizer(models.BPE(unk_token=unknown, fuse_unk=True, byte_fallback=fallback))
    t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] * fallback
    trainer = trainers.BpeTrainer(vocab_size=vocab, special_tokens=first, limit_alphabet=150, show_progress=False)
    with open(os.path.join(HERE, "corpus.txt"), encoding="utf-8") as f:
        t.train_from_iterator(f.read().split("\n\n"), trainer)
    t.decoder = decoder
    d = json.loads(t.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
    d["model"].update(flags)
    return d


def joined(*more):
    return decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), *more])


def gemma():
    """Gemma's form; merges reach over spaces, since nothing splits them in training."""
    d = characters(700, None, normalizers.Replace(" ", "\u2581"), joined(), True)
    d["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    add(d, "<|im_start|>")
    add(d, "<|im_end|>")
    add(d, "\u2581\u2581\u2581", special=False)
    add(d, "Stra\u00dfe", special=False, normalized=True)
    template(d, "<s>")
    return d


def llama2():
    d = characters(600, None, normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]),
                   joined(decoders.Strip(" ", 1, 0)), True)
    add(d, "<|im_start|>")
    add(d, "<|im_end|>", lstrip=True)
    template(d, "<s>")
    return d


def mistral():
    """Metaspace without bytes to fall back to: unknown characters are joined."""
    pre = pre_tokenizers.Metaspace("\u2581", "first", True)
    d = characters(400, pre, None, decoders.Metaspace("\u2581", "first", True), False)
    add(d, "<|im_start|>")
    add(d, "<|im_end|>")
    return d


def metaspace():
    """Unknown characters one by one, words that are tokens whole, and a mark before each text."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Metaspace("\u2581", "always", False), pre_tokenizers.Digits(True)])
    d = characters(400, pre, normalizers.NFC(), decoders.Sequence([decoders.Metaspace("\u2581", "always", False), decoders.Fuse()]), False,
                   fuse_unk=False, ignore_merges=True)
    add(d, "<|im_end|>", special=False)
    return d


def dropped():
    """Unknown characters are left out, where a regular expression replaces some and others are removed."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\d+"), "removed"), pre_tokenizers.Split("e", "merged_with_next"),
                                   pre_tokenizers.Split(Regex("[.,]"), "contiguous")])
    d = characters(300, pre, normalizers.Replace(Regex(" {2,}|x"), "__"), decoders.Fuse(), False)
    d["model"]["unk_token"] = None
    return d


def deepseek():
    d = json.loads(json.dumps(qwen()))
    d["normalizer"] = {"type": "Sequence", "normalizers": []}
    steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in (
        r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
        "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")]
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    d["pre_tokenizer"] = json.loads(t.to_str())["pre_tokenizer"]
    return d


def points():
    """Hashes of what the split patterns and NFC make of every code point, put
    in the place of @ in each context: piece lengths in characters, and text."""
    chars = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    splits = {"gpt2": byte_level, "cl100k": pre_tokenizers.Split(Regex(CL100K), "isolated"),
              "qwen": pre_tokenizers.Split(Regex(QWEN), "isolated"), "digits": pre_tokenizers.Digits(True), "digit runs": pre_tokenizers.Digits(False)}
    out = {"pieces": {}, "nfc": {}}
    for name, pre in splits.items():
        for context in ("a@b", "1@2", " @a", "'@e", " @!", "  @@", "!@\n", "\n@ x"):
            h = hashlib.sha256()
            for c in chars:
                h.update(bytes(b - a for _, (a, b) in pre.pre_tokenize_str(context.replace("@", c))) + b"\xff")
            out["pieces"][f"{name}: {context}"] = h.hexdigest()
    normalize = normalizers.NFC().normalize_str
    for context in ("@", "q@\u0334", "q\u0345@", "a@", "@\u0301", "\uac00@\u0316", "\u1100@\u11a8", "\u0301@\u0323"):
        h = hashlib.sha256()
        for c in chars:
            h.update(normalize(context.replace("@", c)).encode() + b"\xff")
        out["nfc"][context] = h.hexdigest()
    with open(os.path.join(HERE, "points.json"), "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1)


def main():
    if sys.argv[1:2] == ["--points"]:
        points()
        return
    if sys.argv[1:2] == ["--real"]:
        n = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
        for name in sorted(os.listdir(sys.argv[2])):
            path = os.path.join(sys.argv[2], name, "tokenizer.json")
            if os.path.exists(path) and not name.startswith("template_"):  # chat/testdata/published.py makes those, of few tokens
                write(os.path.join(sys.argv[2], name, "vectors.json"), vectors(path, hard_strings(n, 7)))
        return
    for make in (smollm2, unknown, llama3, qwen, glm4, added, gemma, llama2, mistral, metaspace, dropped, deepseek):
        if sys.argv[1:] and make.__name__ not in sys.argv[1:]:
            continue
        folder = os.path.join(HERE, make.__name__)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "tokenizer.json")
        write(path, make())
        write(os.path.join(folder, "vectors.json"), vectors(path, hard_strings(120, 1)))
    if sys.argv[1:]:
        return
    path = os.path.join(HERE, "..", "bytes", "tokenizer.json")
    os.makedirs(os.path.join(HERE, "bytes"), exist_ok=True)
    write(os.path.join(HERE, "bytes", "vectors.json"), vectors(path, hard_strings(20, 1)))


if __name__ == "__main__":
    main()
