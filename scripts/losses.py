"""Sets the losses of runs side by side: a table on standard output, a picture with --svg.

    python scripts/losses.py --svg docs/optimisers.svg adamw=runs/a adamw_8bit=runs/b

A run is a folder with metrics.jsonl. Losses of steps are means of the last 20, held-out ones are as they were measured.
"""
import argparse
import json
import os

COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"]
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 320, 50, 20, 40


def read(folder):
    """The losses of a run: [(step, mean)], [(step, held out)]."""
    steps, held = [], []
    with open(os.path.join(folder, "metrics.jsonl")) as lines:
        for line in map(json.loads, lines):
            if "eval_loss" in line:
                held.append((line["step"], line["eval_loss"]))
            else:
                steps.append((line["step"], line["loss"]))
    means = [(step, sum(v for _, v in steps[max(0, i - 19):i + 1]) / min(20, i + 1)) for i, (step, _) in enumerate(steps)]
    return means, held


def table(runs):
    names = list(runs)
    print("| step | " + " | ".join(f"{n}, held out" for n in names) + " | " + " | ".join(f"{n}, mean of 20 steps" for n in names) + " |")
    print("|---" * (1 + 2 * len(names)) + "|")
    for step, _ in runs[names[0]][1]:
        held = [dict(runs[n][1]).get(step) for n in names]
        mean = [dict(runs[n][0]).get(step) for n in names]
        print("| " + " | ".join([str(step)] + ["" if v is None else f"{v:.4f}" for v in held + mean]) + " |")


def picture(runs):
    every = [p for means, held in runs.values() for p in means + held]
    last, low, high = max(s for s, _ in every), min(v for _, v in every), max(v for _, v in every)

    def at(step, value):
        return f"{LEFT + (WIDTH - LEFT - 10) * step / last:.1f},{TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low):.1f}"

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for i in range(5):
        value = low + (high - low) * i / 4
        x, y = at(0, value).split(",")
        out.append(f'<path d="M{x} {y}H{WIDTH - 10}" stroke="#ddd"/><text x="{LEFT - 6}" y="{y}" text-anchor="end" dy="4">{value:.2f}</text>')
    for i in range(5):
        x, y = at(last * i / 4, low).split(",")
        out.append(f'<text x="{x}" y="{y}" text-anchor="middle" dy="18">{last * i / 4:.0f}</text>')
    for i, (name, (means, held)) in enumerate(runs.items()):
        colour, dash = COLOURS[i % len(COLOURS)], ' stroke-dasharray="6 4"' if i else ""
        for line, width in (means, 1), (held, 2.5):
            points = " ".join(at(*p) for p in line)
            out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>')
        out.append(f'<text x="{WIDTH - 20}" y="{TOP + 16 * i + 6}" text-anchor="end" fill="{colour}">{name}</text>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">optimiser steps; thin: mean loss of 20 steps, thick: held-out loss</text></svg>')
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--svg")
    args = parser.parse_args()
    runs = {name: read(folder) for name, folder in (r.split("=", 1) for r in args.runs)}
    table(runs)
    if args.svg:
        with open(args.svg, "w") as f:
            f.write(picture(runs))


if __name__ == "__main__":
    main()
