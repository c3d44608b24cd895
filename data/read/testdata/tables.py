"""Writes the tables that the readers of Parquet and Arrow are tested with, and
what is in them as JSONL, with pyarrow: python tables.py"""
import json
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

message = pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string()), ("weight", pa.float64())])
schema = pa.schema([
    ("id", pa.int64()),
    ("unsigned", pa.uint32()),
    ("score", pa.float64()),
    ("good", pa.bool_()),
    ("source", pa.dictionary(pa.int8(), pa.string())),
    ("history", pa.list_(pa.list_(pa.string()))),
    ("messages", pa.list_(message)),
    ("tools", pa.large_string()),
    pa.field("prompt", pa.string(), nullable=False),
])


def row(i):
    messages = [
        {"role": "user", "content": f"question {i} \"quoted\" \\ \t\n\u0001 é 中文 😀", "name": None, "weight": None},
        {"role": "assistant", "content": "answer " * (i % 5 + 1), "name": "bot" if i % 2 else None, "weight": 1.0},
    ]
    return {
        "id": 2**53 + i, "unsigned": 2**32 - 1 - i, "score": None if i % 3 == 0 else i / 7, "good": i % 2 == 0,
        "source": None if i % 4 == 3 else f"s{i % 3}",
        "history": None if i % 5 == 0 else [[], ["a", None], ["b"]][: i % 4],
        "messages": None if i == 6 else [] if i == 4 else [None] + messages if i == 5 else messages,
        "tools": None if i % 2 else "[]", "prompt": f"p{i}",
    }


rows = [row(i) for i in range(12)]
table = pa.Table.from_pylist(rows, schema=schema)
with open("table.jsonl", "w") as f:
    for r in table.to_pylist():
        f.write(json.dumps(r, ensure_ascii=False) + "\n")
options = {
    "snappy": dict(compression="snappy", row_group_size=5),
    "zstd": dict(compression="zstd", data_page_version="2.0", row_group_size=7),
    "plain": dict(compression="none", use_dictionary=False, data_page_size=64),
    "gzip": dict(compression="gzip", use_compliant_nested_type=False),
    "brotli": dict(compression="brotli"),
}
for name, o in options.items():
    pq.write_table(table, f"table-{name}.parquet", write_statistics=False, store_schema=False, **o)
for name, compression in {"plain": "uncompressed", "lz4": "lz4", "zstd": "zstd"}.items():
    feather.write_feather(table, f"table-{name}.arrow", compression=compression, chunksize=5)
with pa.ipc.new_stream("table-stream.arrow", schema) as w:
    w.write_table(table, max_chunksize=5)
