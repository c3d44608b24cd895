"""Makes FOLDER/NAME/chat.json for each published tokenizer in FOLDER that has a chat template: conversations as
transformers renders and encodes them, and their targets.

    pip install tokenizers==0.23.3 transformers==5.24.0
    python published.py FOLDER

The targets of an answer are what follows the generation prompt of what comes before it, up to the token that ends the turn.
Conversations of which the template renders an answer in another way once more follows it have no targets here.
"""

import json
import pathlib
import sys

from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent.parent / "internal/jinja/testdata"))
from conversations import CONVERSATIONS, TOOLS  # noqa: E402


# What records make of reasoning has one name in them; a content of null transformers leaves out since 5.24, before it was
# passed on, as it is here: templates tell calls of tools by it.
OTHERWISE = {"thinking field", "arguments as text"}


def text_of(token):
    return token["content"] if isinstance(token, dict) else token


def targets(t, messages, text, arguments):
    """Whether each token is a target, or None."""
    spans = []
    for i, m in enumerate(messages):
        if m["role"] != "assistant":
            continue
        try:
            begin = t.apply_chat_template(messages[:i], tokenize=False, add_generation_prompt=True, **arguments)
            end = t.apply_chat_template(messages[: i + 1], tokenize=False, **arguments)
        except Exception:
            return None
        if not text.startswith(begin) or not text.startswith(end) or not end.startswith(begin) or t.eos_token not in end[len(begin):]:
            return None
        spans.append((len(begin), end.rindex(t.eos_token) + len(t.eos_token)))
    offsets = t(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [int(any(start < b and a < end for a, b in spans)) for start, end in offsets]


def cases(folder):
    config = {}
    if (folder / "tokenizer_config.json").exists():
        config = json.loads((folder / "tokenizer_config.json").read_text())
    template = config.get("chat_template")
    if (folder / "chat_template.jinja").exists():
        template = (folder / "chat_template.jinja").read_text()
    if not isinstance(template, str) or not (folder / "tokenizer.json").exists():
        return
    named = {k: text_of(config.get(k)) for k in ("bos_token", "eos_token") if config.get(k)}
    t = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), chat_template=template, **named)
    for conversation, messages in CONVERSATIONS.items():
        if conversation in OTHERWISE:
            continue
        for tools in (None, TOOLS) if "tool" in conversation else (None,):
            arguments = {"tools": tools} if tools else {}
            try:
                text = t.apply_chat_template(messages, tokenize=False, **arguments)
                prompt = t.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **arguments)
            except Exception as e:
                yield dict(conversation=conversation, messages=messages, tools=tools, error=str(e))
                continue
            ids, prompt_ids = (t(x, add_special_tokens=False)["input_ids"] for x in (text, prompt))
            yield dict(conversation=conversation, messages=messages, tools=tools, text=text, ids=ids,
                       mask=targets(t, messages, text, arguments), prompt=prompt, prompt_ids=prompt_ids)


for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    out = list(cases(folder)) if folder.is_dir() else []
    if out:
        lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in out)
        (folder / "chat.json").write_text("[\n" + lines + "\n]\n")
        print(folder.name, len(out), "cases,", sum("error" in c for c in out), "refused,",
              sum(c.get("mask") is not None for c in out), "with targets")
