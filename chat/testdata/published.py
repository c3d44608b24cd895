"""Makes FOLDER/NAME/chat.json for each published tokenizer in FOLDER that has a chat template: conversations as
transformers renders and encodes them, and their targets.

    pip install tokenizers==0.23.3 transformers==5.24.0
    python published.py FOLDER [NAME.jinja ... | chat-template-automap.ts]

Of each template, and of each in the map of npm's @huggingface/ollama-utils, it makes FOLDER/NAME first: the template with a
small tokenizer that has its special tokens.

The targets of an answer are what follows the generation prompt of what comes before it, up to the token that ends the turn;
of a template with {% generation %} blocks what lies in them. Conversations of which the template renders an answer in another
way once more follows it have no targets here.
"""

import datetime
import json
import pathlib
import re
import sys

import transformers.utils.chat_template_utils as utils
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
BYTES = HERE.parent.parent / "tokenizer/bytes/tokenizer.json"
sys.path.append(str(HERE.parent.parent / "internal/jinja/testdata"))
from conversations import CONVERSATIONS, TOOLS  # noqa: E402


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)  # chat.Today


utils.datetime = Fixed

# A content of null transformers leaves out since 5.24, before it was passed on, as it is here: templates tell calls of tools
# by it.
OTHERWISE = {"arguments as text"}

# What looks like a special token in a template, and those of roles, which some templates put together.
SPECIAL = re.compile(r"<\|[^|<>\s'\"]+\|>|<\|\w+>|<\w+\|>|<extra_id_\d+>|<｜[^｜<>\s]+｜>|"
                     r"\[\|\w+\|\]|\[/?[A-Z][A-Z_]+\]|\[gMASK\]|<[a-z]+_of_[a-z]+>")
ROLES = [left + role + right for left, right in (("<|", "|>"), ("[|", "|]")) for role in ("system", "user", "assistant", "tool")]
TOOL_USE = "additional_chat_templates/tool_use.jinja"
PLAIN = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
NAMED = {"bos_token": "<s>", "eos_token": "</s>"}


def small(template, folder):
    t = Tokenizer.from_file(str(BYTES))
    tokens = list(dict.fromkeys([*NAMED.values(), *ROLES, *SPECIAL.findall(template)]))
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x in tokens])
    folder.mkdir(exist_ok=True)
    t.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(NAMED))
    path = folder / "chat_template.jinja"
    if folder.name.endswith("tool_use"):  # it stands beside one for conversations without tools
        path.write_text(PLAIN)
        path = folder / TOOL_USE
        path.parent.mkdir(exist_ok=True)
    path.write_text(template)


def text_of(token):
    return token["content"] if isinstance(token, dict) else token


def ending(t, arguments):
    """The token that ends an answer that is not the last: the first special one behind it."""
    turns = [{"role": "user", "content": "Qqq"}, {"role": "assistant", "content": "Aaa"}]
    try:
        behind = t.apply_chat_template(turns * 2, tokenize=False, **arguments).split("Aaa")[1].split("Qqq")[0]
    except Exception:
        return None
    special = {str(x) for x in t.added_tokens_decoder.values() if x.special} | set(t.all_special_tokens)
    found = [x for x in special if x in behind]
    return t.eos_token if t.eos_token in found else min(found, key=behind.index, default=None)


def spans(t, messages, text, arguments, end_token):
    """Characters of the targets, or None."""
    if "{%- generation" in t.chat_template or "{% generation" in t.chat_template:
        compiled = utils._compile_jinja_template(t.chat_template)
        again, out = utils._render_with_assistant_indices(compiled, messages, arguments.get("tools"), None, False, **t.special_tokens_map)
        return out if again == text else None
    out = []
    for i, m in enumerate(messages):
        if m["role"] != "assistant":
            continue
        try:
            begin = t.apply_chat_template(messages[:i], tokenize=False, add_generation_prompt=True, **arguments)
            end = t.apply_chat_template(messages[: i + 1], tokenize=False, **arguments)
        except Exception:
            return None
        if not text.startswith(begin) or not text.startswith(end) or not end.startswith(begin) or end_token not in end[len(begin):]:
            return None
        said = str(m.get("content") or "").strip()
        if end_token not in end[max(end.rfind(said) + len(said), 0):]:  # it is the next turn's
            return None
        out.append((len(begin), end.rindex(end_token) + len(end_token)))
    return out


def targets(t, *asked):
    """Whether each token is a target, or None."""
    found = spans(t, *asked)
    if found is None:
        return None
    offsets = t(asked[1], add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [int(any(start < b and a < end for a, b in found)) for start, end in offsets]


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
    plain = with_tools = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), chat_template=template, **named)
    if (folder / TOOL_USE).exists():
        with_tools = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"),
                                             chat_template=(folder / TOOL_USE).read_text(), **named)
    for conversation, messages in CONVERSATIONS.items():
        if conversation in OTHERWISE:
            continue
        for tools in (None, TOOLS) if "tool" in conversation else (None,):
            arguments = {"tools": tools} if tools else {}
            t = with_tools if tools else plain
            end_token = ending(t, arguments)
            try:
                text = t.apply_chat_template(messages, tokenize=False, **arguments)
                prompt = t.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **arguments)
            except Exception as e:
                yield dict(conversation=conversation, messages=messages, tools=tools, error=str(e))
                continue
            ids, prompt_ids = (t(x, add_special_tokens=False)["input_ids"] for x in (text, prompt))
            yield dict(conversation=conversation, messages=messages, tools=tools, text=text, ids=ids,
                       mask=end_token and targets(t, messages, text, arguments, end_token), prompt=prompt, prompt_ids=prompt_ids)


def templates(path):
    """Names and texts of the templates in a file."""
    if path.suffix == ".jinja":
        return [(path.stem, path.read_text())]
    text = r'("(?:[^"\\]|\\.)*")'
    found = re.findall(f"model: {text},\\s*gguf: {text}", path.read_text())
    return [(json.loads(name).removeprefix("library/").replace(":", "_"), json.loads(template)) for name, template in found]


root = pathlib.Path(sys.argv[1])
for path in map(pathlib.Path, sys.argv[2:]):
    for name, template in templates(path):
        small(template, root / ("template_" + name))
for folder in sorted(root.iterdir()):
    out = list(cases(folder)) if folder.is_dir() else []
    if out:
        lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in out)
        (folder / "chat.json").write_text("[\n" + lines + "\n]\n")
        print(folder.name, len(out), "cases,", sum("error" in c for c in out), "refused,",
              sum(c.get("mask") is not None for c in out), "with targets")
