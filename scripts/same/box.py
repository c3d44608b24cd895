"""A case's folder, the record of what it saw there, and what may differ in it."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time

UNSTEADY = ("tokens_per_second", "peak_rss_bytes")  # keys of JSON that are no result


ADDED_FILES = ("best.json", "pace.json")  # that an older build does not write

# What an older build does not say: lines, members of JSON, a key of the YAML.
ADDED = [
    (re.compile(pattern, re.M), instead)
    for pattern, instead in (
        (r"^(time|best) {6}.*\n", ""),
        (r"^ +(a checkpoint takes .*free|\d+ checkpoints at a time take .*|the first step has a rate of 0.*)\n", ""),
        (r"^ +[\d,]+ of them in .*going on from step \d+\n", ""),
        (r"^(done +)\d+ steps? in", r"\1STEPS in"),  # of the whole run, not of its last part alone
        (r"^data  .*; (\d+) held out$", r"data  \1 held out"),
        (r',"time":"[^"]*","elapsed_seconds":[-+\d.e]+', ""),
        (r'^  "(model|steps)": .*,\n|^  "versions": \[[^]]*\],\n', ""),
        (r"^ *early_stopping_patience:.*\n", ""),
        (r'^    "config.yaml": "[0-9a-f]{64}",\n', ""),
    )
]


def masked(text, folder):
    """Text without what may differ between two runs of one build: times, speed,
    memory in use or free, the folder that the case runs in, ports."""
    text = text.replace(os.path.realpath(folder), "FOLDER").replace(folder, "FOLDER")
    for pattern, instead in ADDED:
        text = pattern.sub(instead, text)
    for pattern, instead in (
        (r"\bwanted\b", "want"),  # messages say want since then
        (r"(?m)^ +longer beside other work, which takes .*\n( +for its end, or leave it some .*\n)?", ""),  # what else is done here
        (r"\.tmp-\d+", ".tmp-N"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\b(in|within|of) (\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|s)\b", r"\1 TIME"),
        (r"(?<![\d.,])[\d.,]{1,15} (tok|tokens|answers)/s", r"SPEED \1/s"),
        (r"at most [\d.]{1,8} [KMGT]iB of memory", "at most MEMORY"),
        (r"(?<![\d.])[\d.]{1,8} [KMGT]iB(,)? (are )?free", "MEMORY free"),
        (r'"(%s)": ?[-+\d.e]+' % "|".join(UNSTEADY), r'"\1":0'),
    ):
        text = re.sub(pattern, instead, text)
    return text


def content(path, folder):
    """What of a file must be the same: a hash, or the text itself where it is short."""
    with open(path, "rb") as f:
        raw = f.read()
    name = os.path.basename(path)
    if name == "report.html":
        return "(speed and memory are drawn in it: `reports` compares pages of masked runs)"
    if name in ("answers.jsonl", "scores.jsonl"):  # written in the order in which answers come
        return masked("".join(sorted(raw.decode().splitlines(True))), folder)
    if name.endswith((".json", ".jsonl", ".yaml", ".txt")):
        return masked(raw.decode("utf-8", "replace"), folder)
    return hashlib.sha256(raw.replace(os.path.realpath(folder).encode(), b"FOLDER")).hexdigest()


def spoken(stderr, folder):
    """Standard error without its progress, whose lines come by the clock."""
    lines = [line for part in stderr.split("\n") for line in part.split("\r")[-1:]]
    return [masked(line, folder) for line in lines if line.strip() and not re.match(r"[a-z][a-z -]* +\d+%|[\d,]+ answers, ", line)]


class Box:
    """The folder that a case runs in, and the record of what it saw there."""

    def __init__(self, folder, first, then, given):
        self.folder, self.binary, self.then, self.given = folder, first, then, given
        self.exact, self.wording, self.commands, self.refusals, self.broken = [], [], 0, 0, ""
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "HF_HOME": self.path("hf"),
            "HF_ENDPOINT": "http://127.0.0.1:1",
            "TMPDIR": self.path("tmp"),
        }
        os.makedirs(self.path("tmp"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def hand_over(self):
        """From here on the other build works."""
        self.binary = self.then

    def write(self, name, value):
        """A file of text, of a list (JSONL), or of a dict (JSON, which is YAML)."""
        if isinstance(value, dict):
            value = json.dumps(value, indent=1)
        if isinstance(value, list):
            value = "".join(json.dumps(v, ensure_ascii=False) + "\n" for v in value)
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(value if isinstance(value, bytes) else value.encode())

    def see(self, what, value):
        """Records a value that must be the same."""
        self.exact.append((what, value if isinstance(value, str) else json.dumps(value)))

    def run(self, *args, stdin=b"", env=None, quiet=False):
        """Runs lwtrain to its end and records what came of it; quiet: its exit status alone."""
        args = [str(a) for a in args]
        p = subprocess.run([self.binary, *args], cwd=self.folder, env=self.env | (env or {}), input=stdin, capture_output=True)
        out, said = p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")
        label = f"{self.commands}: lwtrain " + masked(shlex.join(args), self.folder)
        label = label if len(label) < 300 else label[:300] + "..."
        self.commands += 1
        self.refusals += p.returncode not in (0, 130)
        self.see(label + ": exit status", p.returncode)
        if not quiet:
            shown = masked(out, self.folder)
            if p.returncode:  # refusals: their places are exact, their words are wording
                self.see(label + ": places", [m[0] for m in map(re.compile(r"\S+:\d+:\d+: \S+:").match, out.splitlines()) if m])
                self.wording.append((label, [*shown.splitlines(), *spoken(said, self.folder)]))
            else:
                self.see(label + ": standard output", shown)
                self.wording.append((label, spoken(said, self.folder)))
        return p.returncode, out, said

    def killed(self, *args, when):
        """Starts lwtrain and kills it once when() holds; it may end before."""
        p = subprocess.Popen(
            [self.binary, *map(str, args)], cwd=self.folder, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while p.poll() is None and not when():
            time.sleep(0.002)
        p.send_signal(signal.SIGKILL)
        p.wait()
        self.commands += 1

    def tree(self, *names):
        """Records all files below the folders, and links as such."""
        for name in names:
            for dir, dirs, files in os.walk(self.path(name)):
                dirs.sort()
                for file in sorted(set(files) - set(ADDED_FILES)):
                    path = os.path.join(dir, file)
                    self.see(
                        "file " + os.path.relpath(path, self.folder),
                        "-> " + os.readlink(path) if os.path.islink(path) else content(path, self.folder),
                    )

    def holds(self, name, text, times=1):
        try:
            with open(self.path(name)) as f:
                return f.read().count(text) >= times
        except OSError:
            return False

    def remove(self, name):
        shutil.rmtree(self.path(name), ignore_errors=True)

    def copy(self, a, b):
        self.remove(b)
        shutil.copytree(self.path(a) if not os.path.isabs(a) else a, self.path(b), symlinks=True)
