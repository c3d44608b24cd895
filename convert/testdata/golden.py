"""Makes the golden files of package convert, in this folder.

    pip install gguf==0.19.0 tokenizers==0.22.2 numpy==2.4.6
    python golden.py                     # the fixtures
    python golden.py some/model.gguf     # also the sums of a real model's tensors

tiny-*.gguf          small random models with small tokenizers in the form of three families; tiny-*.json: the SHA-256 of every
                     tensor that an import must give, and ids that the tokenizers library gives for hard texts
smallest.gguf        as small as a model gets
*-q4_1.json          the SHA-256 of every tensor of the real model, in Hugging Face's order of rows
"""
import hashlib
import json
import re
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = Path(__file__).parent


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


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


HF_NAMES = ["model.embed_tokens", "model.norm", "lm_head"]
HF_LAYER = ["input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
            "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def hf_names(arch, layers):
    """The names of Hugging Face's files by those of GGUF, which the package gguf knows; both without .weight or .bias."""
    arch = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}[arch]
    known = gguf.get_tensor_name_map(arch, layers)
    return {known.get_name(n): n for n in HF_NAMES + [f"model.layers.{i}.{n}" for i in range(layers) for n in HF_LAYER]}


def renamed(names, tensor):
    name, ending = tensor.rsplit(".", 1)
    return f"{names[name]}.{ending}"


def rope_factors(theta, dim):
    """As the converter computes them for Llama 3.1's rope_scaling."""
    freqs = 1.0 / (theta ** (np.arange(0, dim, 2, dtype=np.float32) / dim))
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
    sums, names = {}, hf_names(arch, layers)

    def add(tensor, shape, kind, permuted=0):
        values = rng.normal(0, 0.1, shape).astype(np.float32)
        raw = gguf.quants.quantize(permute(values, permuted) if permuted else values, kind)
        w.add_tensor(tensor, raw, raw_dtype=kind)
        back = gguf.quants.dequantize(raw, kind).reshape(shape)
        back = unpermute(back, permuted) if permuted else back
        if kind == Q.F32:
            assert np.array_equal(back, values)
        sums[renamed(names, tensor)] = sum_of(back)

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


def smallest():
    """As small as a model gets that can be imported: a seed for fuzzing."""
    w = gguf.GGUFWriter(here / "smallest.gguf", "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_embedding_length(2)
    w.add_feed_forward_length(1)
    w.add_block_count(1)
    w.add_head_count(1)
    w.add_head_count_kv(1)
    w.add_context_length(8)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_token_list(["a", "b", "ab", "<e>"])
    w.add_token_types([1, 1, 1, 3])
    w.add_token_merges(["a b"])
    w.add_eos_token_id(3)
    for name, shape in (("token_embd", (4, 2)), ("output_norm", 2), ("blk.0.attn_norm", 2), ("blk.0.ffn_norm", 2), ("blk.0.attn_q", (2, 2)),
                        ("blk.0.attn_k", (2, 2)), ("blk.0.attn_v", (2, 2)), ("blk.0.attn_output", (2, 2)), ("blk.0.ffn_gate", (1, 2)),
                        ("blk.0.ffn_up", (1, 2)), ("blk.0.ffn_down", (2, 1))):
        w.add_tensor(name + ".weight", np.zeros(shape, dtype=np.float32))
    finish(w)


# ---- a real model

def real(path):
    r = gguf.GGUFReader(path)
    heads = {k: int(r.fields[f"llama.attention.head_count{s}"].contents()) for k, s in (("q", ""), ("k", "_kv"))}
    sums, names = {}, hf_names("llama", int(r.fields["llama.block_count"].contents()))
    for t in r.tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type)
        if m := re.search(r"\.attn_([qk])\.weight", t.name):
            values = unpermute(values, heads[m[1]])
        sums[renamed(names, t.name)] = sum_of(values)
    golden = {"file": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(), "tensors": sums}
    (here / (Path(path).stem.replace(".", "-").lower() + ".json")).write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


models_and_tokenizers()
smallest()
for path in sys.argv[1:]:
    real(path)
