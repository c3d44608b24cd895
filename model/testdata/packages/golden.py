"""Makes the folders beside it: small random packages of models as transformers writes them, and the logits of a text.

    python -m venv venv && venv/bin/pip install torch==2.15.0 transformers==5.24.0 safetensors==0.8.0
    venv/bin/python golden.py
"""

import json
import os
import shutil

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForImageTextToText

TEXT = dict(model_type="llama", vocab_size=96, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=64, rms_norm_eps=1e-5, initializer_range=0.2)
VISION = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)

for name, kind, tied in ("smolvlm", "smolvlm", False), ("idefics3-tied", "idefics3", True):
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, text_config=dict(TEXT), vision_config=dict(VISION), image_token_id=95, scale_factor=2,
                                  tie_word_embeddings=tied, pad_token_id=None)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager").float().eval()
    shutil.rmtree(name, ignore_errors=True)
    model.save_pretrained(name)
    os.remove(os.path.join(name, "generation_config.json"))
    ids = torch.randint(0, 95, (24,), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
    save_file({"ids.0": ids.float(), "logits.0": logits.contiguous()}, os.path.join(name, "golden.safetensors"))
    print(name, json.dumps(logits[-1, :3].tolist()))
