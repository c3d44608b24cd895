"""Cases: preference pairs, by a scripted server and by our own decoder."""

import hashlib
import http.server
import json
import threading

from cases import LLAMA, case, config


class Scripted(http.server.ThreadingHTTPServer):
    """An OpenAI-compatible server whose replies are a function of the request. The
    first two requests fail for a while; what was asked is kept."""

    def __init__(self):
        self.asked, self.failures, self.lock = [], 2, threading.Lock()
        super().__init__(("127.0.0.1", 0), Replies)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Replies(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.failures -= 1
            failed = self.server.failures >= 0
            if not failed:
                self.server.asked.append([self.path, self.headers["Authorization"], self.headers["Content-Type"], raw.decode()])
        n = int(hashlib.sha256(raw).hexdigest(), 16)
        judge = "Relevance" in raw.decode()
        text = (
            json.dumps(
                {
                    k: 1 + (n >> 3 * i) % 5
                    for i, k in enumerate(("Relevance", "Accuracy", "Coherence", "Clarity", "Breadth and Depth", "Reading Experience"))
                }
            )
            if judge
            else " ".join(["word"] * (1 + n % 60))
        )
        reply = {
            "choices": [
                {"message": {"role": "assistant", "content": text}, "finish_reason": "length" if n % 7 == 0 and not judge else "stop"}
            ],
            "usage": {"completion_tokens": n % 60},
        }
        body = json.dumps({"error": "busy"} if failed else reply).encode()
        self.send_response(503 if failed else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


PROMPTS = [
    {"prompt": "Write 30 words on rain."},
    {"messages": [{"role": "user", "content": "About 30 words on the sea, please."}, {"role": "assistant", "content": "The sea."}]},
    {"instruction": "Tell of the hills.", "length": 30},
    {"prompt": "Say something."},
    {"prompt": "写一篇50字的短文。"},
]


def pairs_config():
    return config(
        model={"init": {"seed": 0, "config": LLAMA | {"initializer_range": 1.0}}},
        data={"sources": [{"path": "q.jsonl"}]},
        pairs={"samples": 3, "max_new_tokens": 48, "temperature": 3, "rejected": "worst"},
        output={"dir": "runs/pairs"},
    )


COUNT = ["sed", "-E", 's/.*"words":([0-9]+).*/\\1/']


@case(mixed=True)
def pairs(b):
    """By a server with a judge, by our own decoder, killed and gone on with, and trained on."""
    b.write("q.jsonl", PROMPTS)
    b.write("c.yaml", pairs_config())
    server = Scripted()
    there = [
        f"pairs.server.url={server.url}",
        "pairs.server.model=m",
        f"pairs.judge.url={server.url}",
        "pairs.judge.model=j",
        "output.dir=runs/server",
    ]
    b.env["OPENAI_API_KEY"] = "secret"
    b.run("pairs", "-c", "c.yaml", "--dry-run")
    b.run("pairs", "-c", "c.yaml", *there, "--dry-run")
    b.killed(
        "pairs",
        "-c",
        "c.yaml",
        "pairs.batch=2",
        "pairs.max_new_tokens=400",
        "output.dir=runs/killed",
        when=lambda: b.holds("runs/killed/answers.jsonl", "\n", 2),
    )
    b.run("pairs", "-c", "c.yaml", *there)
    b.see("asked", sorted(server.asked))
    b.run("pairs", "-c", "c.yaml", "pairs.command=" + json.dumps(COUNT))
    b.run("pairs", "-c", "c.yaml", "pairs.batch=1", "pairs.rejected=random", "pairs.min_margin=5", "output.dir=runs/alone")
    b.hand_over()
    asked = len(server.asked)
    b.run("pairs", "-c", "c.yaml", *there)
    b.run("pairs", "-c", "c.yaml", "pairs.command=" + json.dumps(COUNT), "--dry-run")
    b.run("pairs", "-c", "c.yaml", "pairs.command=" + json.dumps(COUNT))
    b.run("pairs", "-c", "c.yaml", "pairs.batch=2", "pairs.max_new_tokens=400", "output.dir=runs/killed", quiet=True)
    b.run("pairs", "-c", "c.yaml")
    b.see("paid twice", len(server.asked) - asked)
    b.run(
        "dpo",
        "-c",
        "c.yaml",
        "data.sources=[{path: runs/server/pairs.jsonl}]",
        "data.held_out=0",
        "train.max_steps=2",
        "output.dir=runs/dpo",
        "data.too_long=skip",
    )
    for file in ("runs/server/run.json", "runs/server/config.yaml"):
        b.write(file, open(b.path(file)).read().replace(server.url, "URL"))
    server.shutdown()
    b.tree("runs")
