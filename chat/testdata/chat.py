"""Makes chat.json: conversations as transformers renders and encodes them, and their targets.

    python chat.py            with the small tokenizers of ../../tokenizer/testdata
    python chat.py FOLDER     with real ones: writes FOLDER/chat.json, from FOLDER/{qwen3,llama3.1,smollm2}/tokenizer.json

Made with transformers 4.57.3, tokenizers 0.22.2, Jinja2 3.1.6, trl 1.16.0 (for its copy of Llama 3.1's template, which
is not committed here).

The targets come from transformers' own {% generation %} spans: each template stands here a second time, written by hand
with these blocks around what the model must produce; the script checks that both render the same text. A token is a
target if it shares a character with a span. (transformers' assistant_masks say the same but for one thing: of a span's
last character they take the first token only.)
chat_qwen2.5.jinja, chat_qwen3.jinja, chat_smollm2.jinja, chat_mistral_7b.jinja and chat_mistral_nemo.jinja are the templates
of Qwen2.5-Instruct, Qwen3, SmolLM2-Instruct, Mistral-7B-Instruct-v0.2 and Mistral-Nemo-Instruct-2407, all Apache-2.0;
chat_gemma3.jinja is ours, held against Gemma 3's. transformers 5.24.0 gives the same file. With a FOLDER, Llama 3.1's own template with
tools is among the cases, without targets.
"""

import json
import pathlib
import sys

import transformers.utils.chat_template_utils as utils
import trl
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
TOKENIZERS = HERE.parent.parent / "tokenizer"
RENAMED = {  # tokens of the small tokenizers that stand for those of the templates
    "gemma": {"<s>": "<bos>", "</s>": "<eos>", "<|im_start|>": "<start_of_turn>", "<|im_end|>": "<end_of_turn>"},
    "mistral": {"<|im_start|>": "[INST]", "<|im_end|>": "[/INST]"},
}
BOS = {"llama3": "<|begin_of_text|>", "llama3.1": "<|begin_of_text|>", "gemma": "<bos>", "mistral": "<s>"}
REAL = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
FOLDERS = {"qwen": "qwen3", "llama3": "llama3.1", "smollm2": "smollm2"}
sys.path.append(str(HERE.parent.parent / "internal/jinja/testdata"))
from conversations import CONVERSATIONS, TOOLS, call  # noqa: E402

Z = ".replace('\\u200b', '').replace('\\u200c', '').replace('\\u200d', '').replace('\\ufeff', '')"

CHATML = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}\
{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}\
{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

SMOLLM2 = """{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, \
trained by Hugging Face<|im_end|>\\n' }}{% endif %}""" + CHATML

LLAMA3 = """{{ '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\n\
Today Date: 26 Jul 2024\\n\\n' }}\
{% if messages[0].role == 'system' %}{{ messages[0].content | trim }}{% set messages = messages[1:] %}{% endif %}\
{{ '<|eot_id|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' }}\
{% if m.role == 'assistant' %}{% generation %}{{ m.content | trim + '<|eot_id|>' }}{% endgeneration %}\
{% else %}{{ m.content | trim + '<|eot_id|>' }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""


def glm(content, end):
    return """{{ '[gMASK]<sop>' }}{% set ns = namespace(learn=false) %}{% for m in messages %}\
{% if ns.learn %}{% generation %}{{ '<|' + m.role + '|>' }}{% endgeneration %}{% else %}{{ '<|' + m.role + '|>' }}\
{% endif %}{% set ns.learn = m.role == 'assistant' %}{% if ns.learn %}{% generation %}{{ '\\n' + """ + content + """ }}\
{% endgeneration %}{% else %}{{ '\\n' + m.content }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>' }}""" + end + "{% endif %}"


GLM4 = glm("m.content", "")
LONGWRITER_GLM = glm("m.content" + Z, "{% elif ns.learn %}{% generation %}{{ '<|endoftext|>' }}{% endgeneration %}")

LONGWRITER_LLAMA = """{{ '<|begin_of_text|>' }}{% for m in messages %}\
{% if m.role == 'system' %}{{ '<<SYS>>\\n' + m.content + '\\n<</SYS>>\\n\\n' }}\
{% elif m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}\
{% else %}{% generation %}{{ m.content""" + Z + """ + '<|end_of_text|>' }}{% endgeneration %}{% endif %}{% endfor %}"""

GEMMA3 = """{{ bos_token }}{% set ns = namespace(lead='') %}{% if messages[0].role == 'system' %}\
{% set ns.lead = messages[0].content + '\\n\\n' %}{% set messages = messages[1:] %}{% endif %}{% for m in messages %}\
{% if m.role == 'assistant' %}{{ '<start_of_turn>model\\n' }}{% generation %}{{ m.content | trim + '<end_of_turn>' }}{% endgeneration %}\
{% else %}{{ '<start_of_turn>user\\n' + (ns.lead if loop.first else '') + m.content | trim + '<end_of_turn>' }}{% endif %}{{ '\\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""


def marked_in(name, *pairs):
    text = (HERE / name).read_text()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def mistral_7b():
    answer = "{{ message['content'] + eos_token}}"
    return marked_in("chat_mistral_7b.jinja", (answer, "{% generation %}" + answer + "{% endgeneration %}"))


def mistral_nemo():
    answer = '{{- message["content"] + eos_token}}'
    return marked_in(
        "chat_mistral_nemo.jinja",
        (answer, "{%- generation %}" + answer + "{%- endgeneration %}"),
        ('{{- "[TOOL_CALLS][" }}', '{%- generation %}{{- "[TOOL_CALLS][" }}'),
        ('        {%- endfor %}\n    {%- elif message["role"] == "assistant" %}',
         '        {%- endfor %}{%- endgeneration %}\n    {%- elif message["role"] == "assistant" %}'))


def qwen3():
    head = "'<|im_start|>' + message.role + '\\n"
    return marked_in(
        "chat_qwen3.jinja",
        ("{{- " + head + "<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}",
         "{{- " + head + "' }}{%- generation %}{{- '<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n'"
         " + content.lstrip('\\n') }}{%- endgeneration %}"),
        ("{{- " + head + "' + content }}",
         "{{- " + head + "' }}{%- generation %}{{- content }}{%- endgeneration %}"),
        ("{%- if message.tool_calls %}", "{%- generation %}{%- if message.tool_calls %}"),
        ("        {{- '<|im_end|>\\n' }}\n    {%- elif message.role == \"tool\" %}",
         "        {{- '<|im_end|>' }}{%- endgeneration %}{{- '\\n' }}\n    {%- elif message.role == \"tool\" %}"))


def qwen25():
    return marked_in(
        "chat_qwen2.5.jinja",
        ("        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n",
         "        {{- '<|im_start|>' + message.role + '\\n' }}{%- if message.role == 'assistant' %}{%- generation %}"
         "{{- message.content + '<|im_end|>' }}{%- endgeneration %}{%- else %}{{- message.content + '<|im_end|>' }}{%- endif %}"
         "{{- '\\n' }}\n"),
        ("        {{- '<|im_start|>' + message.role }}\n", "        {{- '<|im_start|>' + message.role + '\\n' }}{%- generation %}\n"),
        ("{{- '\\n' + message.content }}", "{{- message.content }}"),
        ("{{- '\\n<tool_call>", "{{- ('' if loop.first and not message.content else '\\n') + '<tool_call>"),
        ("        {{- '<|im_end|>\\n' }}\n    {%- elif message.role == \"tool\" %}",
         "        {{- '<|im_end|>' }}{%- endgeneration %}{{- '\\n' }}\n    {%- elif message.role == \"tool\" %}"))


PLAIN = ["plain", "no system", "several turns", "ends with the user", "unicode", "white space", "markup", "role tokens",
         "thinking in the content"]
ANY = PLAIN + ["two answers in a row"]
THINK = ["reasoning field", "tool call", "two tool calls with text"]
TOOLED = ["tool call", "two tool calls with text", "arguments in a text", "a call without arguments", "role tokens in a call"]
ALONE = ["no system", "ends with the user", "unicode", "white space alone", "markup", "role tokens", "thinking in the content",
         "merges over the header", "turn tokens"]  # no system's message: of these Mistral's write none before the last question
EXTRA = {
    "zero width": [
        {"role": "user", "content": "a\u200bb"},
        {"role": "assistant", "content": "\ufeffzero\u200b wid\u200c\u200dth\ufeff"},
        {"role": "user", "content": "\ufeffagain"},
        {"role": "assistant", "content": "done\u200b"}],
    "merges over the header": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "\n\nblank lines first"},
        {"role": "user", "content": "x\n"},
        {"role": "assistant", "content": "\nI"},
        {"role": "user", "content": "y"},
        {"role": "assistant", "content": "(list"}],
    "arguments in a text": [
        {"role": "user", "content": "Call."},
        {"role": "assistant", "content": "", "tool_calls": [call('{"city": "Paris"}')]},
        {"role": "tool", "content": "1.50"},
        {"role": "assistant", "content": "Cold."}],
    "a call without arguments": [
        {"role": "user", "content": "Stop!"},
        {"role": "assistant", "content": "", "tool_calls": [call({}, name="stop")]},
        {"role": "tool", "content": "stopped"},
        {"role": "assistant", "content": "Done."}],
    "role tokens in a call": [
        {"role": "user", "content": "Call."},
        {"role": "assistant", "content": "", "tool_calls": [call({"city": "<|im_end|>\n<|im_start|>assistant\n"})]},
        {"role": "tool", "content": "<|im_start|>assistant\n"},
        {"role": "assistant", "content": "Odd."}],
    "white space alone": [
        {"role": "user", "content": "\n\n  question \t"},
        {"role": "assistant", "content": "\n \n  answer with  gaps\n\n\tand tabs \n\n"},
        {"role": "user", "content": " \u3000again\r\n"},
        {"role": "assistant", "content": "trailing \u00a0"}],
    "turn tokens": [
        {"role": "user", "content": "<end_of_turn>\n<start_of_turn>model\nx</s>[INST]y[/INST]"},
        {"role": "assistant", "content": "a<end_of_turn>\n<start_of_turn>user\nb</s>[INST]c"},
        {"role": "user", "content": "<bos>[/INST]"},
        {"role": "assistant", "content": "fine"}],
    "turn tokens in a call": [
        {"role": "user", "content": "Call."},
        {"role": "assistant", "content": "", "tool_calls": [call({"city": "</s>[INST]"}), call({}, name="stop")]},
        {"role": "tool", "tool_call_id": "call00001", "content": "</s>[/INST]"},
        {"role": "assistant", "content": "Odd."}],
    "observation": [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": "look()"},
        {"role": "observation", "content": "Nothing.<|assistant|>\nno"},
        {"role": "assistant", "content": "Nothing there."}],
}

# name, tokenizer, template file or None, template with generation blocks, eos, conversations, append eos
CASES = [
    ("chatml", "qwen", None, CHATML, "<|im_end|>", ANY + ["zero width", "merges over the header", "developer"], False),
    ("chatml", "bytes", None, CHATML, "<|im_end|>", ["several turns", "unicode"], False),
    ("chat_smollm2.jinja", "smollm2", None, SMOLLM2, "<|im_end|>", ANY + ["merges over the header"], False),
    ("chat_qwen3.jinja", "qwen", None, qwen3(), "<|im_end|>",
     ANY + THINK + ["arguments in a text", "merges over the header", "a call without arguments", "role tokens in a call"], False),
    ("chat_qwen2.5.jinja", "qwen", None, qwen25(), "<|im_end|>",
     ANY + TOOLED + ["merges over the header"], False),
    ("llama3", "llama3", "llama3_1.jinja", LLAMA3, "<|eot_id|>", ANY + ["merges over the header"], False),
    ("glm4", "glm4", None, GLM4, "<|endoftext|>", ANY + ["zero width", "merges over the header", "observation"], True),
    ("longwriter-glm", "glm4", None, LONGWRITER_GLM, "<|endoftext|>", ANY + ["zero width", "merges over the header", "observation"], False),
    ("longwriter-llama", "llama3", None, LONGWRITER_LLAMA, "<|end_of_text|>", PLAIN + ["zero width", "merges over the header"], False),
    ("chat_gemma3.jinja", "gemma", "gemma3.jinja", GEMMA3, "<eos>", PLAIN + ["merges over the header", "turn tokens"], False),
    ("chat_mistral_7b.jinja", "mistral", None, mistral_7b(), "</s>", ALONE, False),
    ("chat_mistral_nemo.jinja", "mistral", None, mistral_nemo(), "</s>", ALONE + ["tool call", "turn tokens in a call"], False),
]


if REAL:
    CASES.append(("llama3_1.jinja", "llama3", None, None, "<|eot_id|>",
                  ANY + ["tool call", "arguments in a text", "a call without arguments", "role tokens in a call", "two tools"], False))
    EXTRA["two tools"] = [m for m in CONVERSATIONS["two tool calls with text"] if m.get("name") != "stop"]
    EXTRA["two tools"][2] = {**EXTRA["two tools"][2], "tool_calls": EXTRA["two tools"][2]["tool_calls"][:1]}


def source(name):
    if name == "llama3_1.jinja":
        return (pathlib.Path(trl.__file__).parent / "chat_templates" / name).read_text()
    shipped = HERE.parent / "templates" / (name + ".jinja")
    return (shipped if shipped.exists() else HERE / name).read_text()


def cases(name, tokenizer, official, marked, eos, conversations, append):
    path = TOKENIZERS / ("bytes" if tokenizer == "bytes" else "testdata/" + tokenizer) / "tokenizer.json"
    if REAL:
        if tokenizer not in FOLDERS:
            return
        tokenizer = FOLDERS[tokenizer]
        path = REAL / tokenizer / "tokenizer.json"
    renamed = RENAMED.get(tokenizer, {})
    bos = {"bos_token": BOS[tokenizer]} if tokenizer in BOS else {}
    text = path.read_text()
    for old, new in renamed.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    t = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(text), eos_token=eos, **bos)
    template = source(name)
    if marked is None:  # not committed
        name = str(REAL / name)
        pathlib.Path(name).write_text(template)
    if official:  # what the model's makers ship renders the text that ours is held against
        template = (pathlib.Path(trl.__file__).parent / "chat_templates" / official).read_text()
    for conversation in conversations:
        messages = {**CONVERSATIONS, **EXTRA}[conversation]
        for tools in (None, TOOLS) if name.endswith(".jinja") and "tool" in conversation else (None,):
            arguments = dict(tools=tools)
            text = t.apply_chat_template(messages, chat_template=template, tokenize=False, **arguments)
            ids = t.apply_chat_template(messages, chat_template=template, return_dict=False, **arguments)
            if tools is None and marked is not None:
                again, spans = utils._render_with_assistant_indices(
                    utils._compile_jinja_template(marked), messages, None, None, False, **t.special_tokens_map)
                assert again == text, (name, conversation)
                got = t(text, add_special_tokens=False, return_offsets_mapping=True)
                assert got["input_ids"] == ids
                mask = [int(any(start < b and a < end for a, b in spans)) for start, end in got["offset_mapping"]]
            else:
                mask = None
            if append and messages[-1]["role"] == "assistant":
                ids.append(t.eos_token_id)
                mask.append(1)
            prompt = t.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=True, **arguments)
            prompt_ids = t.apply_chat_template(messages, chat_template=template, add_generation_prompt=True, return_dict=False, **arguments)
            yield dict(template=name, tokenizer=tokenizer, eos=eos, conversation=conversation, messages=messages,
                       tools=tools, text=text, ids=ids, mask=mask, prompt=prompt, prompt_ids=prompt_ids,
                       **(bos if marked is None or renamed else {}), **({"renamed": renamed} if renamed else {}))


out = [c for spec in CASES for c in cases(*spec)]
((REAL or HERE) / "chat.json").write_text("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in out) + "\n]\n")
print(len(out), "cases")
