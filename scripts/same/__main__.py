"""Proves that two builds of lwtrain do the same on this machine.

    make same OLD=path/to/an/older/lwtrain [NEW=bin/lwtrain] [CASES=dpo,keys] [DATA=folder]
    python3 scripts/same OLD NEW [--cases dpo,keys] [--data folder] [--keep folder] [--list]

Each case is a list of commands in a folder of its own, run once with OLD and once
with NEW: exit status, standard output and every file that they leave must be the
same, but for what box.masked takes out (times, speed, memory, paths). Where runs and
caches pass from one build to the other, the case runs four times: what OLD began
must be ended by NEW to the same bytes, and the other way round. What commands say
on standard error, and what refusals print, is compared as well, but only listed:
wording may be bettered. Exit status 1 on a difference. All of it takes some
minutes on two cores; a case seconds. Python's standard library is enough.
"""

import argparse
import concurrent.futures
import difflib
import os
import shutil
import sys
import tempfile
import time
import traceback

import data, keys, pairs, refusals, scripts, training  # noqa: F401, E401: they fill the table
from box import Box
from cases import CASES


def play(name, first, then, given, folder):
    """Runs a case in a folder; the Box has what it saw."""
    os.makedirs(folder)
    box = Box(folder, first, then, given)
    began = time.time()
    try:
        CASES[name].run(box)
    except Exception:  # a case that breaks off saw something else than was thought of
        box.broken = traceback.format_exc()
    box.seconds = time.time() - began
    return box


def differences(want, got, label):
    """What is not the same, each as lines to print."""
    out = []
    if want.broken or got.broken:
        out.append([f"{label}: the case broke off:", *(want.broken or got.broken).splitlines()[-4:]])
    names = {n for n, _ in want.exact}
    for (name, a), (other, b) in zip(want.exact, got.exact):
        if name != other:  # files that are there on one side only
            extra = [n for n, _ in got.exact if n not in names][:5]
            missing = sorted(names - {n for n, _ in got.exact})[:5]
            out.append([f"{label}: not the same files or commands", f"  only in one: {extra}", f"  only in the other: {missing}"])
            break
        if a != b:
            out.append([f"{label}: {name}", *changed(a.splitlines(), b.splitlines())])
    if len(want.exact) != len(got.exact) and not out:
        out.append([f"{label}: {len(want.exact)} results against {len(got.exact)}"])
    return out


def changed(a, b, most=8):
    lines = [line for line in difflib.unified_diff(a, b, lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]
    return ["  " + short(line) for line in lines[:most]] + (["  ..."] if len(lines) > most else [])


def short(line, most=400):
    return line if len(line) < most else line[:most] + "..."


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("old")
    p.add_argument("new")
    p.add_argument("--cases", default="", help="names or beginnings of names, with commas; all of them otherwise")
    p.add_argument("--data", default="", help="a folder of data files for the case given_data")
    p.add_argument("--keep", default="", help="a folder, not there yet, to work in and to keep")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--list", action="store_true", help="list the cases")
    args = p.parse_args()
    wanted = [n for n in CASES if not args.cases or n.startswith(tuple(args.cases.split(",")))]
    if args.list:
        print("\n".join(f"{n:20}{CASES[n].about}" for n in wanted))
        return 0
    if not wanted:
        sys.exit(f"same: no case begins with {args.cases}; --list lists them")
    old, new, given = os.path.abspath(args.old), os.path.abspath(args.new), args.data and os.path.abspath(args.data)
    work = os.path.abspath(args.keep) if args.keep else tempfile.mkdtemp(prefix="same-")
    if args.keep:
        os.makedirs(work)
    jobs, pool = {}, concurrent.futures.ThreadPoolExecutor(args.jobs)
    for name in wanted:
        if CASES[name].skipped or CASES[name].given and not given:
            continue
        sides = {"old": (old, old), "new": (new, new)}
        if CASES[name].mixed:
            sides |= {"old, then new": (old, new), "new, then old": (new, old)}
        # Folders' names are equally long: some outputs are wrapped to a width.
        jobs[name] = {
            side: pool.submit(play, name, *binaries, given, os.path.join(work, name, str(n)))
            for n, (side, binaries) in enumerate(sides.items())
        }
    began, failed, wording = time.time(), 0, []
    print(f"{'case':16}{'commands':>9}{'refused':>9}{'results':>9}{'seconds':>9}")
    for name in wanted:
        if name not in jobs:
            print(f"{name:18}skipped: {CASES[name].skipped or 'no --data (DATA=folder)'}", flush=True)
            continue
        boxes = {side: job.result() for side, job in jobs[name].items()}
        want = boxes.pop("old")
        bad = [d for side, got in boxes.items() for d in differences(want, got, side)]
        said = [(label, a, b) for (label, a), (_, b) in zip(want.wording, boxes["new"].wording) if a != b]
        wording += [(name, *s) for s in said]
        failed += bool(bad)
        print(
            f"{name:18}{want.commands:9}{want.refusals:9}{len(want.exact):9}{want.seconds:9.1f}  "
            + (f"{len(bad)} DIFFERENCES" if bad else "same")
            + (f", {len(said)} worded otherwise" if said else ""),
            flush=True,
        )
        for lines in bad[:20]:
            print("    " + "\n    ".join(lines))
        if len(bad) > 20:
            print(f"    ... and {len(bad) - 20} more")
    if wording:
        print("\nworded otherwise (no failure; to be looked at):")
        for name, label, a, b in wording:
            print("\n".join([f"  {name} {label}", *("  " + line for line in changed(a, b))]))
    print(
        f"\n{'DIFFERENT' if failed else 'the same'}: {len(jobs)} cases, {failed} of them with differences, in {time.time() - began:.0f} s"
        + (f"; kept in {work}" if args.keep else "")
    )
    if not args.keep:
        shutil.rmtree(work)
    return 1 if failed else 0


sys.exit(main())
