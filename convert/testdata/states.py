"""Makes the golden files of families whose layers carry a state, in this folder, with llama.cpp's own converter:

    pip install torch transformers==5.24.0 safetensors
    python states.py DIR         # the sources of llama.cpp, as llama-cpp-python 0.3.36 has them in vendor/llama.cpp

tiny-lfm2.gguf, tiny-qwen35.gguf    small random models in F16
tiny-qwen35-next.gguf               with a layer behind the others that predicts further tokens
*.json                              the SHA-256 of every tensor of Hugging Face's files; of A_log, which passes through its power,
                                    to a 64th
"""
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import Lfm2Config, Lfm2ForCausalLM, Qwen3_5ForCausalLM, Qwen3_5TextConfig

sys.path.insert(0, sys.argv[1])
from conversion import get_model_class  # noqa: E402
from conversion.base import gguf  # noqa: E402

here = Path(__file__).parent
BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]


def alphabet():
    """The characters that stand for bytes."""
    other = iter(range(256, 512))
    return [chr(b) if b in BYTES else chr(next(other)) for b in range(256)]


def add_tokenizer(writer, pre):
    tokens = [*alphabet(), "ab", "<|im_end|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 257 + [3])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(False)


def tiny(name, model, pre, more=None):
    torch.manual_seed(len(name))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        path = Path(folder) / "model.safetensors"
        tensors = load_file(path)
        tensors |= {n: torch.empty(shape) for n, shape in (more or {}).items()}
        tensors = {n: torch.randint(-60, 61, t.shape) / 64 for n, t in sorted(tensors.items())}
        save_file(tensors, path, {"format": "pt"})
        converter = get_model_class(model.config.architectures[0])
        if not name.startswith("tiny-lfm2"):
            converter.no_mtp = not more
        converter = converter(Path(folder), gguf.LlamaFileType.MOSTLY_F16, here / f"{name}.gguf", model_name=name, eager=True)
        converter.set_vocab = lambda: add_tokenizer(converter.gguf_writer, pre)
        converter.write()
    sums = {n: hashlib.sha256(t.numpy().astype("<f4").tobytes()).hexdigest() for n, t in tensors.items()}
    (here / f"{name}.json").write_text(json.dumps({"tensors": sums}, indent=1, sort_keys=True) + "\n")


with torch.no_grad():
    tiny("tiny-lfm2", Lfm2ForCausalLM(Lfm2Config(
        hidden_size=16, intermediate_size=40, block_multiple_of=8, block_ffn_dim_multiplier=1.0, num_attention_heads=4, num_key_value_heads=2,
        num_hidden_layers=3, layer_types=["conv", "full_attention", "conv"], vocab_size=258, max_position_embeddings=256, bos_token_id=None,
        eos_token_id=257, pad_token_id=None)), "llama-bpe")
    qwen = Qwen3_5TextConfig(
        hidden_size=16, intermediate_size=24, num_attention_heads=4, num_key_value_heads=2, head_dim=32, num_hidden_layers=3,
        layer_types=["linear_attention", "full_attention", "linear_attention"], linear_num_key_heads=2, linear_num_value_heads=6,
        linear_key_head_dim=8, linear_value_head_dim=8, linear_conv_kernel_dim=4, vocab_size=258, max_position_embeddings=256,
        tie_word_embeddings=False, eos_token_id=257, bos_token_id=None, pad_token_id=None)
    tiny("tiny-qwen35", Qwen3_5ForCausalLM(qwen), "qwen35")
    qwen.mtp_num_hidden_layers = 1
    joint = {"mtp.fc.weight": (16, 32), "mtp.norm.weight": (16,), "mtp.pre_fc_norm_embedding.weight": (16,),
             "mtp.pre_fc_norm_hidden.weight": (16,)}
    model = Qwen3_5ForCausalLM(qwen)
    layer = {n.replace("model.layers.1.", "mtp.layers.0."): t.shape for n, t in model.state_dict().items() if ".layers.1." in n}
    tiny("tiny-qwen35-next", model, "qwen35", joint | layer)
