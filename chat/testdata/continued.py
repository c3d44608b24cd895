"""Makes continued.json: answers that go on, as transformers writes and encodes their begin (continue_final_message).

    python continued.py

Made with transformers 5.24.0 and the small tokenizers of ../../tokenizer/testdata. The ids of a case are those that
apply_chat_template(continue_final_message=True) gives of the messages up to the answer's begin, and behind them those of
what the template writes of the whole answer behind that text; targets are the latter, up to the token that ends the turn.
"""

import json
import pathlib

from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
TOKENIZERS = HERE.parent.parent / "tokenizer/testdata"

CASES = [  # template, tokenizer, the token that ends a turn
    ("chatml", "qwen", "<|im_end|>"), ("chat_smollm2.jinja", "smollm2", "<|im_end|>"), ("chat_qwen2.5.jinja", "qwen", "<|im_end|>"),
    ("chat_qwen3.jinja", "qwen", "<|im_end|>"), ("llama3", "llama3", "<|eot_id|>"), ("glm4", "glm4", "<|endoftext|>"),
    ("longwriter-llama", "llama3", "<|end_of_text|>"),
]
USER = {"role": "user", "content": "Write a story."}
CONVERSATIONS = {  # messages with the begin of the last answer, and what goes on
    "behind a paragraph": ([USER, {"role": "assistant", "content": "It rained.\n\n"}], "Then it stopped."),
    "behind a sentence": ([USER, {"role": "assistant", "content": "It rained."}], "\n\nThen it stopped."),
    "behind a blank": ([USER, {"role": "assistant", "content": "It "}], "rained."),
    "inside a word": ([USER, {"role": "assistant", "content": "It rai"}], "ned.\n"),
    "in Chinese": ([{"role": "user", "content": "写一个故事。"}, {"role": "assistant", "content": "下雨了。"}], "后来停了。"),
    "in a second turn": ([{"role": "system", "content": "Be brief."}, USER, {"role": "assistant", "content": "No."}, USER,
                          {"role": "assistant", "content": "It rained. It rained."}], " It rained."),
    "with markup": ([USER, {"role": "assistant", "content": "# One\n\nIt <b>rained</b>.\n\n"}], "# Two\n\n<i>It stopped.</i>"),
}
THOUGHT = {"behind reasoning": ([USER, {"role": "assistant", "reasoning_content": "Rain, then.", "content": "It rained.\n\n"}],
                                "Then it stopped.")}


def case(template, tokenizer, end, name, messages, rest):
    bos = {"bos_token": "<|begin_of_text|>"} if tokenizer == "llama3" else {}
    t = PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZERS / tokenizer / "tokenizer.json"), eos_token=end, **bos)
    shipped = HERE.parent / "templates" / (template + ".jinja")
    source = (shipped if shipped.exists() else HERE / template).read_text()
    prompt = t.apply_chat_template(messages, chat_template=source, tokenize=False, continue_final_message=True)
    prompt_ids = t.apply_chat_template(messages, chat_template=source, continue_final_message=True, return_dict=False)
    whole = [*messages[:-1], {**messages[-1], "content": messages[-1]["content"] + rest}]
    text = t.apply_chat_template(whole, chat_template=source, tokenize=False)
    assert text.startswith(prompt), (template, name)
    target = t(text[len(prompt):], add_special_tokens=False)["input_ids"]
    if template == "glm4":
        target.append(t.eos_token_id)
    ends = target.index(t.eos_token_id) + 1
    return dict(template=template, tokenizer=tokenizer, eos=end, conversation=name, messages=messages, rest=rest, text=text,
                prompt=prompt, ids=prompt_ids + target,
                mask=[0] * len(prompt_ids) + [1] * ends + [0] * (len(target) - ends))


out = []
for template, tokenizer, end in CASES:
    for name, (messages, rest) in {**CONVERSATIONS, **(THOUGHT if "qwen3" in template else {})}.items():
        out.append(case(template, tokenizer, end, name, messages, rest))
(HERE / "continued.json").write_text("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in out) + "\n]\n")
print(len(out), "cases")
