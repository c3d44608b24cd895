"""Writes tables whose values mean more than their type says, what is in them as JSONL, and tables that are not
read, with datasets (5.2.0) and pyarrow (26.0.1): python classes.py"""
import datetime
import decimal
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, List, Sequence, Value

tags = ClassLabel(names=["sea", "wind", "ice"])
features = Features({
    "prompt": Value("string"), "completion": tags, "label": ClassLabel(names=["neg", "pos"]), "messages": List(List(tags)),
    "history": {"at": tags, "text": Value("string")}, "tools": Sequence({"of": tags, "n": Value("int64")}),
})
rows = {
    "prompt": ["p1", "p2", "p3"], "completion": [0, 2, None], "label": [1, 0, -1], "messages": [[[0], [1, None]], [], None],
    "history": [{"at": 1, "text": "a"}, {"at": None, "text": "b"}, None],
    "tools": [{"of": [2, 0], "n": [2, 0]}, {"of": [], "n": []}, None],
}
table = pa.table(rows, schema=features.arrow_schema)
named = [
    {"prompt": "p1", "completion": "sea", "label": "pos", "messages": [["sea"], ["wind", None]],
     "history": {"at": "wind", "text": "a"}, "tools": {"of": ["ice", "sea"], "n": [2, 0]}},
    {"prompt": "p2", "completion": "ice", "label": "neg", "messages": [],
     "history": {"text": "b"}, "tools": {"of": [], "n": []}},
    {"prompt": "p3", "completion": None, "label": None, "messages": None, "history": None, "tools": None},
]
with open("classes.jsonl", "w") as f:
    for r in named:
        f.write(json.dumps(r) + "\n")
pq.write_table(table, "classes.parquet")
feather.write_feather(table, "classes.arrow")

half = pa.table({"prompt": pa.array([np.float16(x) for x in (1.5, -0.1, 65504, 6e-8)] + [None], pa.float16())})
with open("half.jsonl", "w") as f:
    for x in half.column("prompt").to_pylist():
        f.write(json.dumps({"prompt": None if x is None else float(x)}) + "\n")
pq.write_table(half, "half.parquet")
feather.write_feather(half, "half.arrow")

refused = {
    "duration": pa.array([datetime.timedelta(seconds=5)]), "decimal": pa.array([decimal.Decimal("1.5")]),
    "durations": pa.array([[{"a": datetime.timedelta(seconds=5)}]]),
    "fixed": pa.array([b"ab"], pa.binary(2)),
}
for name, column in refused.items():
    t = pa.table({"prompt": column})
    feather.write_feather(t, f"refused-{name}.arrow")
    if name != "fixed":
        pq.write_table(t, f"refused-{name}.parquet")
interval = pa.table({"prompt": pa.array([pa.MonthDayNano([1, 2, 3])])})
feather.write_feather(interval, "refused-interval.arrow")
pq.write_table(pa.table({"prompt": ["text " * 50] * 10}), "refused-lz4.parquet", compression="lz4", use_dictionary=False)
pq.write_table(pa.table({"prompt": pa.array([datetime.datetime(2024, 5, 1)], pa.timestamp("ns"))}), "refused-int96.parquet",
               use_deprecated_int96_timestamps=True)

pq.write_table(pa.table({"prompt": [1.5, 2.5]}), "refused-split.parquet", use_dictionary=False, use_byte_stream_split=True)

text = pa.table({"prompt": [f"the text number {i} " * 3 for i in range(40)]})
pq.write_table(text, "sums-1.parquet", write_page_checksum=True, compression="none", use_dictionary=False, write_statistics=False)
pq.write_table(text, "sums-2.parquet", write_page_checksum=True, compression="snappy", data_page_version="2.0", write_statistics=False)

for name, names in {"labels": ["neg", "pos"], "topics": ["sports", "sea"]}.items():
    features = Features({"prompt": Value("string"), "completion": Value("string"), "label": ClassLabel(names=names)})
    pq.write_table(pa.table({"prompt": ["p", "q"], "completion": ["a", "b"], "label": [0, 1]}, schema=features.arrow_schema), name + ".parquet")
