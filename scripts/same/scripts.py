"""Cases: the commands of the program's own script tests, each with all that it prints."""

import functools
import os
import shlex
import shutil
import subprocess

from cases import case, testdata


def files_of(text):
    """The commands of a txtar archive, and its files by name."""
    parts, name, files = text.split("\n-- "), None, {}
    for part in parts[1:]:
        name, _, body = part.partition(" --\n")
        files[name] = body + "\n" if not body.endswith("\n") else body
    return parts[0], files


def play(b, path):
    """Follows a script as far as its words are known here."""
    with open(path, encoding="utf-8") as f:
        commands, files = files_of(f.read())
    for name, text in files.items():
        b.write(name, text)
    env, stdin, out = {}, b"", ""
    for line in commands.splitlines():
        words = [expanded(w, env) for w in split(line)]
        words = words[1:] if words[:1] == ["!"] else words
        words = words[2:] if words[:1] == ["exits"] else words
        if not words or words[0].startswith("[!exec"):
            continue
        verb, args = words[0], words[1:]
        if verb == "lwtrain":
            steady = args[:1] not in (["doctor"], ["bench"])
            _, out, _ = b.run(*args, stdin=stdin, env=env, quiet=not steady)
            stdin = b""
        elif verb == "env":
            env |= dict(a.split("=", 1) for a in args)
        elif verb == "stdin":
            with open(b.path(args[0]), "rb") as f:
                stdin = f.read()
        elif verb == "cp" and args[0] == "stdout":
            b.write(args[1], out)
        elif verb == "cp":
            shutil.copy(b.path(args[0]), b.path(args[1]))
        elif verb == "mv":
            shutil.move(b.path(args[0]), b.path(args[1]))
        elif verb == "rm":
            for path in map(b.path, args):
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                elif os.path.lexists(path):
                    os.remove(path)
        elif verb == "mkdir":
            os.makedirs(b.path(args[0]), exist_ok=True)
        elif verb == "symlink":
            os.symlink(args[2], b.path(args[0]))
        elif verb == "exec":
            subprocess.run(args, cwd=b.folder, env=b.env | env, capture_output=True)
        elif verb not in ("stdout", "stderr", "cmp", "exists", "grep", "skip"):
            break  # what a test plays in Go: a hub, a server
    b.tree("runs")


def split(line):
    """Words of a script's line: only ' quotes, # begins a comment."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, "'", "", "#"
    return list(lexer)


def expanded(word, env):
    for name, value in env.items():
        word = word.replace("$" + name, value)
    return word


for script in testdata(r"testdata/script/[^/]+\.txt$"):
    name = os.path.basename(script).removesuffix(".txt")
    case(name="script_" + name)(functools.partial(play, path=script))
