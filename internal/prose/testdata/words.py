"""Counts the words of each message of LongWriter's cases with LongWriter's own
expression: python words.py longwriter_cases.jsonl > words.json"""
import json
import re
import sys

counts = []
for line in open(sys.argv[1], encoding="utf-8"):
    for m in json.loads(line)["messages"]:
        counts.append(len(re.findall(r"[\u4e00-\u9fff]", m["content"])) + len(re.findall(r"\b[a-zA-Z]+\b", m["content"])))
print(json.dumps(counts))
