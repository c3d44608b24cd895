"""Makes named.json: which template transformers takes of a model folder that has several, with tools and without.

Made with transformers 5.24.0, tokenizers 0.23.3, Jinja2 3.1.6. null stands for an error.
"""

import json
import pathlib
import shutil
import tempfile

from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
TOKENIZER = HERE.parent.parent / "tokenizer/bytes/tokenizer.json"
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


def template(mark):
    return ("{{ '<|im_start|>" + mark + "\\n' }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def listed(*names):
    return [{"name": name, "template": template("config " + name)} for name in names]


NAMED = "additional_chat_templates/"
CASES = [
    ("one file", None, ["chat_template.jinja"]),
    ("a file with another for tools", None, ["chat_template.jinja", NAMED + "tool_use.jinja"]),
    ("a file with another for something else", None, ["chat_template.jinja", NAMED + "rag.jinja"]),
    ("a list", listed("default", "tool_use"), []),
    ("a list without one for tools", listed("default", "rag"), []),
    ("a file before a list", listed("default", "tool_use"), ["chat_template.jinja"]),
    ("files before a list", listed("default", "tool_use"), ["chat_template.jinja", NAMED + "tool_use.jinja"]),
    ("a named default before the file", None, ["chat_template.jinja", NAMED + "default.jinja"]),
    ("a named default alone", template("config"), [NAMED + "default.jinja"]),
    ("named ones without a default before the config's", template("config"), [NAMED + "rag.jinja"]),
    ("other files of the folder", template("config"), [NAMED + "tool_use.txt"]),
]

out = []
for name, configured, files in CASES:
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copy(TOKENIZER, folder / "tokenizer.json")
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}
        texts = {file: template("file " + file) for file in files}
        if configured is not None:
            config["chat_template"] = configured
        texts["tokenizer_config.json"] = json.dumps(config)
        for file, text in texts.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        t = AutoTokenizer.from_pretrained(folder)
        case = dict(name=name, files=texts)
        for key, tools in ("plain", None), ("tools", TOOLS):
            try:
                case[key] = t.apply_chat_template([{"role": "user", "content": "q"}], tools=tools, tokenize=False, add_generation_prompt=True)
            except ValueError:
                case[key] = None
        out.append(case)
(HERE / "named.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")
print(len(out), "cases")
