#!/usr/bin/env python3
"""Makes the compressed files of this folder from the repositories that README.md names.

    python make.py DIR

DIR holds a clone of each, as LIFEBench, Self-Lengthen, HelloBench and LongProc, at the commits that
README.md names. Needs pyyaml and pandas, which LongProc's loader asks for, and the zstd program.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def lifebench(root):
    for row in lines(root / "data/data_lite.jsonl"):
        yield {key: row[key] for key in ("id", "category", "type", "lang", "task")}


def longen(root):
    yield from lines(root / "eval/LonGen.jsonl")


def hellobench(root):
    """The sets differ in the number of words alone."""
    sets = [lines(root / f"data/length_constrained_data/heuristic_text_generation_{k}k.jsonl") for k in (2, 4, 8, 16)]
    for rows in zip(*sets):
        prompts = {row["instruction"].replace(f"{k}000 words", "{words} words") for row, k in zip(rows, (2, 4, 8, 16))}
        assert len(prompts) == 1 and prompts.copy().pop().count("{words}") == 1, rows[0]["id"]
        row = rows[0]
        yield {"id": row["id"], "category": row["category"], "prompt": prompts.pop(), "checklist": row["checklists"]}


def longproc(name):
    def rows(root):
        sys.path.insert(0, str(root))
        from longproc.longproc_data import load_longproc_data

        loaded, _ = load_longproc_data(name, str(root / "data"))
        for i, row in enumerate(loaded):
            out = {"id": f"{name.rsplit('_', 1)[1]}-{i}", "prompt": row["input_prompt"], "reference": row["reference_output"]}
            if "nums" in row["item"]:
                out |= {"nums": row["item"]["nums"], "target": row["item"]["target"]}
            yield out

    return rows


FILES = [
    ("lifebench-lite", "LIFEBench", lifebench),
    ("longen", "Self-Lengthen", longen),
    ("hellobench-length", "HelloBench", hellobench),
    ("countdown_0.5k", "LongProc", longproc("countdown_0.5k")),
    ("countdown_2k", "LongProc", longproc("countdown_2k")),
    ("path_traversal_0.5k", "LongProc", longproc("path_traversal_0.5k")),
    ("html_to_tsv_0.5k", "LongProc", longproc("html_to_tsv_0.5k")),
]

for name, repository, rows in FILES:
    made = list(rows(pathlib.Path(sys.argv[1]) / repository))
    raw = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made).encode()
    to = HERE / f"{name}.jsonl.zst"
    with tempfile.NamedTemporaryFile() as plain:  # of a known size, which the frame then says
        plain.write(raw)
        plain.flush()
        to.write_bytes(subprocess.run(["zstd", "--ultra", "-22", "-c", plain.name], capture_output=True, check=True).stdout)
    sha = hashlib.sha256(to.read_bytes()).hexdigest()
    print(f"{to.name}\t{len(made)} rows\t{len(raw)} bytes\t{to.stat().st_size} compressed\t{sha}")
