"""Makes the golden files of package checkpoints, in this folder.

    pip install gguf==0.19.0 safetensors==0.8.0 torch==2.15.0 tokenizers==0.22.2 numpy==2.4.6
    python golden.py                     # the fixtures
    python golden.py some/model.gguf     # also the sums of a real model's tensors

quants.gguf          random blocks of every quantised type; quants.safetensors: what gguf.quants.dequantize makes of them
tiny-*.gguf          small random models with small tokenizers in the form of three families; tiny-*.json: the SHA-256 of every
                     tensor that an import must give, and ids that the tokenizers library gives for hard texts
f32.safetensors      as the reference implementation writes it; bf16.safetensors: the same values rounded by torch
dtypes.safetensors   every dtype that numpy has; dtypes-f32.safetensors: its floats, converted by numpy
*-q4_1.json          the SHA-256 of every tensor of the real model, in Hugging Face's order of rows
"""
import hashlib
import json
import re
import sys
from pathlib import Path

import gguf
import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from gguf import GGMLQuantizationType as Q
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = Path(__file__).parent


# ---- quantised types

def random_blocks(kind, rows, columns, rng):
    """Random bytes, with scales that are finite: plain numbers and subnormal ones."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (rows * columns // block, size), dtype=np.uint8)
    halves = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
    for at in halves.get(kind, []):
        scale = rng.normal(0, 0.02, raw.shape[0]).astype(np.float16)
        scale[0], scale[1] = np.float16(3e-7), np.float16(-60000)
        raw[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
    return raw.reshape(rows, -1)


def quants():
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter(here / "quants.gguf", "llama")
    golden = {}
    for kind in [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q4_K, Q.Q5_K, Q.Q6_K]:
        if kind in (Q.F32, Q.F16, Q.BF16):
            values = rng.normal(0, 1, (2, 512)).astype(np.float32)
            raw = gguf.quants.quantize(values, kind)
        else:
            raw = random_blocks(kind, 2, 512, rng)
        golden[kind.name] = np.ascontiguousarray(gguf.quants.dequantize(raw, kind), dtype=np.float32)
        w.add_tensor(kind.name, raw, raw_dtype=kind)
    finish(w)
    safetensors.numpy.save_file(golden, here / "quants.safetensors")


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# ---- small models

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {"smollm": None, "llama-bpe": WORDS % "{1,3}", "qwen2": WORDS % ""}

TEXT = """The river ran past the old mill, and the miller's daughter counted 12,345 stones. It's late; they'll wait.
What is a long story? One that the reader doesn't want to end. We've written 2,500 words in 24 hours.
河水流過老磨坊，磨坊主的女兒數著石頭。故事很長，讀者不願它結束。 Die Mühle steht am Fluß, über der Brücke.
for i in range(10):\n    print(i * 3.14159)\n\n\treturn {"key": [1, 2, 3]}\n""" * 3

HARD = [
    "", "The miller's daughter", "12345 and 6", "  two  spaces   three\n\n\n\tend  ", "It'S THEY'LL we’ve", "磨坊主的女兒2500個字",
    "e\u0301 \u00e9 \u1100\u1161 \u212b", "\U0001f469\u200d\U0001f469\u200d\U0001f467 \u00a0\u3000x", "aaaaaaaaaaaaaaaa", "a\x00b\x7f\u0085",
    "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|><|im_start|> <tool_call>{}</tool_call>", "x<|im_end|", "ß ſ İ ΐ 1²½Ⅻ٣",
]


def tokenizer(pre, specials_first, added):
    tok = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    if pre == "qwen2":
        tok.normalizer = normalizers.NFC()
    if pre == "smollm":
        steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        steps = [pre_tokenizers.Split(Regex(SPLITS[pre]), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tok.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
                                  special_tokens=[a for a, _ in added] if specials_first else [])
    tok.train_from_iterator([TEXT], trainer)
    for content, special in added:
        t = AddedToken(content, special=special, normalized=False)
        tok.add_special_tokens([t]) if special else tok.add_tokens([t])
    return tok


def add_tokenizer(w, tok, pre, added, unused):
    vocab = sorted(tok.get_vocab(True).items(), key=lambda x: x[1])
    tokens = [t for t, _ in vocab]
    assert [i for _, i in vocab] == list(range(len(tokens)))
    kinds = {content: 3 if special else 4 for content, special in added}
    types = [kinds.get(t, 1) for t in tokens] + [5] * unused
    tokens += [f"[PAD{len(tokens) + i}]" for i in range(unused)]
    merges = json.loads(tok.to_str())["model"]["merges"]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges([" ".join(m) for m in merges])
    return len(tokens)


def permute(weights, heads):
    """What the converter from Hugging Face's layout to GGUF does to Llama's query and key matrices."""
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def unpermute(weights, heads):
    return weights.reshape(heads, weights.shape[0] // heads // 2, 2, *weights.shape[1:]).swapaxes(2, 1).reshape(weights.shape)


NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def hf_name(name):
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{NAMES[parts[2]]}.{parts[3]}"
    return f"{NAMES[parts[0]]}.{parts[1]}"


def rope_factors(theta, dim):
    """As the converter computes them for Llama 3.1's rope_scaling."""
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    factor, low, high, old = 8.0, 1.0, 4.0, 8192
    out = []
    for freq in freqs:
        wavelength = 2 * np.pi / freq
        if wavelength < old / high:
            out.append(1)
        elif wavelength > old / low:
            out.append(factor)
        else:
            smooth = (old / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, dtype=np.float32)


def sum_of(values):
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()


def tiny(name, arch, pre, matrix, table, tied, specials_first, added, unused=0, theta=10000.0, keys=()):
    rng = np.random.default_rng(len(name))
    hidden, ffn, layers, heads, kv_heads, dim = 32, 64, 2, 4, 2, 8
    w = gguf.GGUFWriter(here / f"{name}.gguf", arch)
    w.add_context_length(512)
    w.add_embedding_length(hidden)
    w.add_feed_forward_length(ffn)
    w.add_block_count(layers)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(theta)
    w.add_chat_template("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}")
    tok = tokenizer(pre, specials_first, added)
    vocab = add_tokenizer(w, tok, pre, added, unused)
    for key, token in keys:
        getattr(w, f"add_{key}_token_id")(tok.token_to_id(token))
    sums = {}

    def add(tensor, shape, kind, permuted=0):
        values = rng.normal(0, 0.1, shape).astype(np.float32)
        raw = gguf.quants.quantize(permute(values, permuted) if permuted else values, kind)
        w.add_tensor(tensor, raw, raw_dtype=kind)
        back = gguf.quants.dequantize(raw, kind).reshape(shape)
        back = unpermute(back, permuted) if permuted else back
        if kind == Q.F32:
            assert np.array_equal(back, values)
        sums[hf_name(tensor)] = sum_of(back)

    add("token_embd.weight", (vocab, hidden), table)
    add("output_norm.weight", (hidden,), Q.F32)
    if not tied:
        add("output.weight", (vocab, hidden), matrix)
    q, kv = heads * dim, kv_heads * dim
    for i in range(layers):
        mixed = Q.F32 if i == 1 else matrix  # one layer shows that the permutation is undone exactly
        llama = arch == "llama"
        add(f"blk.{i}.attn_norm.weight", (hidden,), Q.F32)
        add(f"blk.{i}.attn_q.weight", (q, hidden), mixed, heads if llama else 0)
        add(f"blk.{i}.attn_k.weight", (kv, hidden), mixed, kv_heads if llama else 0)
        add(f"blk.{i}.attn_v.weight", (kv, hidden), matrix)
        add(f"blk.{i}.attn_output.weight", (hidden, q), matrix)
        add(f"blk.{i}.ffn_norm.weight", (hidden,), Q.F32)
        add(f"blk.{i}.ffn_gate.weight", (ffn, hidden), matrix)
        add(f"blk.{i}.ffn_up.weight", (ffn, hidden), matrix)
        add(f"blk.{i}.ffn_down.weight", (hidden, ffn), matrix)
        if not llama:
            for b, n in (("q", q), ("k", kv), ("v", kv)):
                add(f"blk.{i}.attn_{b}.bias", (n,), Q.F32)
    if pre == "llama-bpe":
        w.add_tensor("rope_freqs.weight", rope_factors(theta, dim))
        bos = "<|begin_of_text|>"
        tok.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tok.token_to_id(bos))])
    finish(w)
    vectors = [{"text": t, "ids": tok.encode(t).ids} for t in HARD]
    (here / f"{name}.json").write_text(json.dumps({"tensors": sums, "vectors": vectors}, indent=1, sort_keys=True) + "\n")


def models_and_tokenizers():
    im = [("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True)]
    tiny("tiny-smollm", "llama", "smollm", Q.Q4_1, Q.Q8_0, True, True, im, theta=100000.0,
         keys=[("bos", "<|im_start|>"), ("eos", "<|im_end|>"), ("unk", "<|endoftext|>"), ("pad", "<|im_end|>")])
    tiny("tiny-llama31", "llama", "llama-bpe", Q.BF16, Q.F16, False, False,
         [("<|begin_of_text|>", True), ("<|end_of_text|>", True), ("<|eot_id|>", True)], theta=500000.0,
         keys=[("bos", "<|begin_of_text|>"), ("eos", "<|end_of_text|>"), ("eot", "<|eot_id|>")])
    tiny("tiny-qwen2", "qwen2", "qwen2", Q.Q5_1, Q.Q5_0, True, False,
         im + [("<tool_call>", False), ("</tool_call>", False)], unused=5, theta=1000000.0,
         keys=[("eos", "<|im_end|>"), ("pad", "<|endoftext|>")])


# ---- safetensors

def floats():
    rng = np.random.default_rng(2)
    ties = np.arange(0x3f7f0000, 0x3f830000, 0x4000, dtype=np.uint32).view(np.float32)
    edges = np.array([0, -0.0, np.inf, -np.inf, 1e-45, -1e-40, 3.4028235e38, 65504, 1 / 3], dtype=np.float32)
    t = {
        "model.layers.10.b": torch.from_numpy(rng.normal(0, 1, (3, 5)).astype(np.float32)),
        "model.layers.2.a": torch.from_numpy(ties), "edges": torch.from_numpy(edges), "empty": torch.zeros(0, 4),
        "one": torch.tensor(2.5), "\u00fcber \"quoted\" <&>": torch.ones(2, 2, 2),
    }
    safetensors.torch.save_file(t, here / "f32.safetensors", {"format": "pt"})
    safetensors.torch.save_file({k: v.bfloat16() for k, v in t.items()}, here / "bf16.safetensors", {"format": "pt"})


def dtypes():
    rng = np.random.default_rng(3)
    x = rng.normal(0, 100, (4, 3))
    t = {d.__name__: x.astype(d) for d in (np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.bool_)}
    t["float16"][0] = [6e-8, 65504, -0.0]
    safetensors.numpy.save_file(t, here / "dtypes.safetensors")
    safetensors.numpy.save_file({k: v.astype(np.float32) for k, v in t.items() if v.dtype.kind == "f"}, here / "dtypes-f32.safetensors")


# ---- a real model

def real(path):
    r = gguf.GGUFReader(path)
    heads = {k: int(r.fields[f"llama.attention.head_count{s}"].contents()) for k, s in (("q", ""), ("k", "_kv"))}
    sums = {}
    for t in r.tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type)
        if m := re.search(r"\.attn_([qk])\.weight", t.name):
            values = unpermute(values, heads[m[1]])
        sums[hf_name(t.name)] = sum_of(values)
    golden = {"file": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(), "tensors": sums}
    (here / (Path(path).stem.replace(".", "-").lower() + ".json")).write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


quants()
models_and_tokenizers()
floats()
dtypes()
for path in sys.argv[1:]:
    real(path)
