"""Writes calls of tools as tables, whose schema makes up a null for each argument that a call
has not, with pyarrow (26.0.1); saved/ as datasets (5.2.0) saves and maps: python calls.py"""
import os
import shutil

import datasets
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq


def tool(name, **properties):
    return {"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {k: {"type": t} for k, t in properties.items()}}}}


def talk(question, name, result, answer, **arguments):
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}}]},
        {"role": "tool", "content": result},
        {"role": "assistant", "content": answer},
    ]


rows = [
    {"tools": [tool("tide", port="string")], "messages": talk("Tide in Brest?", "tide", "4 m", "Four metres.", port="Brest")},
    {"tools": [tool("wind", lat="number", lon="number")],
     "messages": talk("Wind at 48, -4?", "wind", "12 kn", "Twelve knots.", lat=48.0, lon=-4.0)},
]
table = pa.Table.from_pylist(rows)
pq.write_table(table, "calls.parquet")
feather.write_feather(table, "calls.arrow")

shutil.rmtree("saved", ignore_errors=True)
d = datasets.Dataset.from_list([{"prompt": f"p{i}", "completion": f"c{i}"} for i in range(4)])
datasets.DatasetDict({"train": d, "test": d.select([0])}).save_to_disk("saved")
datasets.load_from_disk("saved/train").map(lambda r: {"completion": "mapped " + r["completion"]})  # leaves its cache
print([f for _, _, files in os.walk("saved") for f in files])
