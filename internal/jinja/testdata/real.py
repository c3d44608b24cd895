"""Renders every template of some folders with transformers, for TestRealTemplates.

    python real.py OUT.json FOLDER...

Templates of other people are not committed: the test reads OUT.json from where
the environment variable LWTRAIN_TEST_TEMPLATES says, and skips without it.
Made with transformers 4.57.3, Jinja2 3.1.6.
"""

import datetime
import json
import pathlib
import sys

import transformers.utils.chat_template_utils as utils
from conversations import CONVERSATIONS, TOOLS


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 3, 7, 9, 5, 1)


utils.datetime = Fixed
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def cases(template):
    compiled = utils._compile_jinja_template(template)
    for name, messages in CONVERSATIONS.items():
        for tools in (None, TOOLS):
            for prompt in (False, True):
                for extra in ({}, {"enable_thinking": False}, {"enable_thinking": True}):
                    if extra and "enable_thinking" not in template:
                        continue
                    variables = dict(messages=messages, tools=tools, documents=None,
                                     add_generation_prompt=prompt, **extra, **TOKENS)
                    blocks, spans = "", []
                    try:
                        text, spans = utils._render_with_assistant_indices(
                            compiled, messages=messages, tools=tools, documents=None, add_generation_prompt=prompt,
                            **extra, **TOKENS)
                        assert text == compiled.render(**variables)
                    except Exception as error:
                        yield dict(conversation=name, vars=variables, error=type(error).__name__ + ": " + str(error))
                        continue
                    yield dict(conversation=name, vars=variables, want=text,
                               generation=[[len(text[:a].encode()), len(text[:b].encode())] for a, b in spans])


out = []
for folder in sys.argv[2:]:
    for path in sorted(pathlib.Path(folder).rglob("*.jinja")):
        out.append(dict(name=path.name, template=path.read_text(), cases=list(cases(path.read_text()))))
json.dump(out, open(sys.argv[1], "w"))
print(len(out), "templates,", sum(len(t["cases"]) for t in out), "renderings")
