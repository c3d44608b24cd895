"""Writes the tables that the readers of Parquet and Arrow are tested with, and
what is in them as JSONL, with pyarrow (26.0.1): python tables.py"""
import datetime
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


# Tables of nested objects: what their schema invents, and types that JSON has not.
function = pa.struct([
    ("name", pa.string()),
    ("arguments", pa.struct([("port", pa.string()), ("lat", pa.float64()), ("n", pa.int64()), ("deep", pa.struct([("a", pa.string())]))])),
])
turn = pa.struct([
    ("role", pa.string()), ("content", pa.string()),
    ("tool_calls", pa.list_(pa.struct([("id", pa.string()), ("function", function)]))),
])
nested = pa.schema([
    ("messages", pa.list_(turn)),
    ("tools", pa.list_(pa.string())),  # becomes one of JSON
    ("mapped", pa.map_(pa.string(), pa.list_(pa.string()))),
    ("numbers", pa.list_(pa.float64())),
    ("singles", pa.list_(pa.float32())),
    ("times", pa.struct([
        ("day", pa.date32()), ("at", pa.timestamp("us")), ("utc", pa.timestamp("ms", tz="UTC")), ("clock", pa.time64("us")),
    ])),
])


def call(**arguments):
    return {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}


noon = datetime.datetime(2024, 5, 1, 12, 0, 0)
nested_rows = [
    {
        "messages": [{"role": "user", "content": "Tide?"}, call(port="Brest"), {"role": "tool", "content": "4 m"}],
        "tools": ['{"name":"tide","strict":null,"lat":48.0}', '"text"', "null"],
        "mapped": [("a", ["x", None]), ("b", None), ("c", [])],
        "numbers": [48.0, 0.1, 1e15, 1e16, 1.5e300, 1e-4, 1e-5, -0.0, 123456789.125, 2.0**53, None],
        "singles": [48.0, 0.1, 1e10],
        "times": {"day": noon.date(), "at": noon, "utc": noon, "clock": datetime.time(1, 2, 3)},
    },
    {
        "messages": [{"role": "user", "content": "Temp?"}, call(lat=48.0, n=48, deep={}), None],
        "tools": [], "mapped": [], "numbers": [], "singles": None,
        "times": {"at": noon.replace(microsecond=500000), "utc": noon.replace(microsecond=250000)},
    },
    {"messages": None, "tools": None, "mapped": None, "numbers": None, "singles": [None], "times": None},
]


def plain(v, t, keep):
    """The value as JSON has it: maps are objects, JSON is decoded, and keys of structs that are
    None are dropped as trl.trainer.utils.remove_none_values does (keep: they stay)."""
    if v is None:
        return None
    if isinstance(t, pa.JsonType):
        return json.loads(v)
    if pa.types.is_struct(t):
        d = {f.name: plain(v[f.name], f.type, keep) for f in t}
        return {k: x for k, x in d.items() if keep or x is not None}
    if pa.types.is_map(t):
        return {k: plain(x, t.item_type, keep) for k, x in v}
    if pa.types.is_list(t):
        return [plain(x, t.value_type, keep) for x in v]
    return str(v) if isinstance(v, (datetime.date, datetime.time)) else v


table = pa.Table.from_pylist(nested_rows, schema=nested)
tools = table["tools"].combine_chunks()
tools = pa.ListArray.from_arrays(tools.offsets, pa.ExtensionArray.from_storage(pa.json_(pa.string()), tools.values), mask=tools.is_null())
table = table.set_column(1, "tools", tools)
nested = table.schema
for name, keep in {"nested": False, "nested-keep": True}.items():
    with open(name + ".jsonl", "w") as f:
        for r in table.to_pylist():
            f.write(json.dumps({c.name: plain(r[c.name], c.type, keep) for c in nested}, ensure_ascii=False) + "\n")
pq.write_table(table, "nested.parquet", store_schema=False)
feather.write_feather(table, "nested.arrow")
