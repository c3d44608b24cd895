#!/usr/bin/env python3
"""Makes scores.json: made answers, and what the benchmarks' released code gives them.

    python scores.py DIR [TIMES] > scores.json

DIR is that of data/make.py, with a clone of LongGenBench beside the others. TIMES as many items are taken of LongProc.
Needs pyyaml, numpy and pandas. A row is
[task, id, answer, scores] or, of LIFEBench, with the scores of the released form behind. An answer is a list: a text
stands for itself, [text, n] for it n times, and [from, to] for these lines of the item's reference, from 0. An
item of LongGenBench, whose data is not handed on, is [head of the first part, number of parts] instead of an id.
"""
import ast
import contextlib
import io
import json
import pathlib
import random
import re
import runpy
import sys
import tempfile

ROOT, TIMES = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
draw = random.Random(17)
rows = []


def built(answer, reference=""):
    lines, out = reference.split("\n"), ""
    for part in answer:
        if isinstance(part, str):
            out += part
        elif isinstance(part[0], str):
            out += part[0] * part[1]
        else:
            out += "\n".join(lines[part[0] : part[1]])
    return out


def lifebench():
    sys.path.insert(0, str(ROOT / "LIFEBench"))
    from evaluate import evaluate_all_results as code
    from evaluate.filters import illegal_filter
    from exp.cache import count_words

    score = {"equal_to": code.calculate_scores_eq, "at_most": code.calculate_scores_at_most, "at_least": code.calculate_scores_at_least}
    deviation = code.calculate_deviation
    for control, of in score.items():
        for asked in (16, 256, 8192):
            for words in sorted({0, 1, 2, asked // 2, asked - 1, asked, asked + 1, asked + asked // 50, 2 * asked, draw.randrange(3 * asked)}):
                answer = [["word ", words]]
                entry = {"word_count": count_words(built(answer)), "length_constraint": asked}
                code.calculate_deviation = lambda entry: deviation(entry) / 100  # the fraction of the paper
                fraction = of(entry)
                code.calculate_deviation = deviation
                kept = illegal_filter({"m": {"c": {"n": [entry]}}})[0]["m"]["c"]
                released = float(of(entry)) if kept else None
                rows.append(["lifebench", f"7-{control}-{asked}", answer, {"score": float(fraction)}, released])


def longen():
    items = [json.loads(line) for line in (ROOT / "Self-Lengthen/eval/LonGen.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = []
    for item in items:
        most = int(re.findall(r"\d+", item["constraint"])[-1])
        n = draw.choice([0, most // 2, most, most * 3 // 4, most * 6 // 5, most * 3 // 2, draw.randrange(2 * most), draw.randrange(2 * most)])
        answers.append([["字", n]] if item["language"] == "zh" else [["so. ", n]])
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        f.write("\n".join(json.dumps(item | {"response": built(answer)}) for item, answer in zip(items, answers)))
        f.flush()
        sys.argv = ["", f.name]
        with contextlib.redirect_stdout(io.StringIO()):
            scores = runpy.run_path(str(ROOT / "Self-Lengthen/eval/length_following_eval.py"), run_name="__main__")["scores"]
    for i, (item, answer) in enumerate(zip(items, answers)):
        score = 100 * scores[item["type"]].pop(0)
        if i % 5 == 0:
            rows.append(["longen", str(i), answer, {"score": score, item["type"]: score}])


def longproc():
    sys.path.insert(0, str(ROOT / "LongProc"))
    from longproc.longproc_data import load_longproc_data

    for task, name, count, made in [
        ("longproc-countdown", "countdown_0.5k", 3 * TIMES, countdown), ("longproc-countdown", "countdown_2k", TIMES, countdown),
        ("longproc-paths", "path_traversal_0.5k", 3 * TIMES, paths), ("longproc-tsv", "html_to_tsv_0.5k", 6 * TIMES, tsv),
    ]:
        items, code = load_longproc_data(name, str(ROOT / "LongProc/data"))
        for i in draw.sample(range(len(items)), count):
            for answer in made(items[i]["reference_output"], items[i]["item"]):
                with contextlib.redirect_stdout(io.StringIO()):
                    scores, _ = code(built(answer, items[i]["reference_output"]), items[i])
                rows.append([task, f"{name.rsplit('_', 1)[1]}-{i}", answer, {k: 100 * float(v) for k, v in scores.items()}])


def countdown(reference, item):
    n = len(reference.split("\n"))
    search = next(i for i, line in enumerate(reference.split("\n")) if line.startswith("Now we have"))
    at = draw.randrange(2, search - 1)
    line = reference.split("\n")[at]
    yield [[0, n]]
    yield ["Let me think.\n", [0, n], "\nDone."]
    yield [[0, search]]
    yield [[0, at]]
    yield [[0, 2]]
    yield [[1, n]]
    yield ["No."]
    yield [""]
    yield [[0, at], "\n" + line.replace("Pick", "Choose").replace("Try", "Test") + "\n", [at + 1, search]]
    yield [[0, at], "\n" + re.sub(r"= .*", "= 1. ", line, count=1) + ("drop this branch" if "drop" in line else "") + "\n", [at + 1, search]]
    yield [[0, at], "\n" + line + "\n", [at, search]]
    yield ["# Search Procedure\nnothing\n# Search Procedure\n", [1, search]]
    a, b, c = item["solution"]
    for solution in [
        f"{a}\n{b}\n{c}", f" {a} \n{b}\t\n {c}", f"{a}\n\n{b}\n{c}", f"{a}\n{b}", f"{b}\n{a}\n{c}", f"{c}\n{b}\n{a}", f"{a}\n{b}\n{b}",
        f"{a}\n{b}\n{c.replace('=', '==')}", f"{a}\n{b}\n{c.replace(' ', '')}", f"{a}\n{b}\n{c}0", f"{a}\n{b}\n{c.split('=')[0]}= {item['target']}.0", f"- {a}\n{b}\n{c}",
    ]:
        yield [f"<Solution>\n{solution}\n</Solution>"]
    yield [f"</Solution> and <Solution>{a}\n{b}\n{c}"]
    yield [f"<Solution>{a}\n{b}\n{c}"]


def paths(reference, item):
    n = len(reference.split("\n"))
    at = draw.randrange(1, n - 1)
    yield ["<Route>\n", [0, n], "\n</Route>"]
    yield ["The way:\n<Route>", [0, n], "   \n\n</Route> Bye </Route>"]
    yield ["<Route>\n", [0, at], "\n</Route>"]
    yield ["<Route>\n", [0, at], "\n", [at + 1, n], "\n</Route>"]
    yield ["<Route>\n", [0, n], "\nFrom here, take a bus to there.\n</Route>"]
    yield ["<Route>\nFrom here, take a bus to there.\n", [0, n], "\n</Route>"]
    yield ["<Route>", [0, at], " \n", [at, n], "</Route>"]
    yield ["<Route>\n</Route>"]
    yield ["</Route><Route>"]
    yield ["<Route>\n", [0, n]]
    yield [[0, n]]


def tsv(reference, item):
    lines = reference.strip().split("\n")
    n = len(lines)
    at = draw.randrange(1, n)
    row, width = lines[at], lines[0].count("\t") + 1
    yield ["```tsv\n", [0, n], "\n```"]
    yield ["Here it is:\n```tsv\n", [0, n], "\n```\nand\n```"]
    yield [[0, n]]
    yield ["```tsv\n", [0, n]]
    yield ["```tsv\n", [0, at], "\n```"]
    yield ["```tsv\n", [0, 1], "\n", [at, n], "\n", [1, at], "\n```"]
    yield ["```tsv\n", [0, at], "\n" + row.upper().replace(" ", "  ") + "!\n", [at + 1, n], "\n```"]
    yield ["```tsv\n", [0, at], "\nThe " + row.replace("\t", " a\tan, the\u00a0") + "\n", [at + 1, n], "\n```"]
    yield ["```tsv\n", [0, at], "\n" + "\t".join(f'"{v}"' for v in row.replace('"', '""').split("\t")) + "\n", [at + 1, n], "\n```"]
    yield ["```tsv\n", [0, at], '\n"' + row.replace("\t", '"\t', 1) + "\n", [at, n], "\n```"]
    yield ["```tsv\n", [0, at], '\nopen"\t"' + row + "\n", [at + 1, n], "\n```"]
    yield ["```tsv\n", [0, at], "\n\n\n", [at, n], "\n```"]
    yield ["```tsv\n", [0, at], "\nmore\t", [at, n], "\n```"]
    yield ["```tsv\n", [0, at], "\r\n", [at, n], "\r\n```"]
    yield ["```tsv\n", [0, at], "\nin\rside\t", [at, n], "\n```"]
    yield ["```tsv\n", [0, n], "\nThat is all.\n```"]
    yield ["```tsv\n", [0, 1], "\n```"]
    yield ["```tsv\n", [0, 1], "\nThat is all.\n```"]
    yield ["```tsv\n" + "\t".join(["x"] * width) + "\n", [1, n], "\n```"]
    yield ["```tsv\n" + "\t".join(f"c{i}" for i in range(width)) + "\n", [1, n], "\n```"]
    yield ["```tsv\n" + "\t".join(f"c{i}" for i in range(width + 1)) + "\n", [1, n], "\n```"]
    yield ["```tsv\nno\nmore\n```"]
    yield ["```tsv```"]
    yield [""]
    yield ["```tsv\n", [0, at], "\n" + "\t".join([""] * width) + "\n", [at, n], "\n```tsv\nx\n"]


def longgenbench():
    source = ast.parse((ROOT / "LongGenBench/Evalution/eval.py").read_text(encoding="utf-8"))
    source.body = [node for node in source.body if getattr(node, "name", "") in ("parse_blocks", "calculate_completion_rate")]
    code = {"re": re}
    exec(compile(source, "eval.py", "exec"), code)
    for prefix, number in [("#*# Week 1 (January 1st - January 7th):", 52), ("#*# Menu Week 1 (January 1st - January 7th):", 52),
                           ("#*# Floor 1:", 100), ("#*# Block 1 (0, 0):", 100)]:
        kind = prefix[4:].split(" 1")[0]
        part = f" text, not {kind} 1000.\n#*# {kind} "
        for text in [
            "", " Rain." + part + "2: snow", part + part.join(f"{i} (it)" for i in range(2, number + 1)), part + part.join(str(3 * i) for i in range(number)),
            part + "2: then " + kind + " 3", f"\n# {kind} 2\n# {kind} 3", part + "2" + part + "2" + part + "0" + part + "-4" + part + "05" + part + "7.5",
            f"\n#*# {kind.lower()} 2 #*# {kind}  3 #*# {kind}\t4 #*# {kind}s 5 #*# X{kind} 6 #*#{kind} 7", part + "99999999999999999999",
        ]:
            blocks = (prefix + text).split("#*#")  # inference.py
            score = code["calculate_completion_rate"](code["parse_blocks"](blocks, kind), number)
            rows.append(["longgenbench", [prefix, number], [text], {"completion": score}])


lifebench()
longen()
longproc()
longgenbench()
print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
