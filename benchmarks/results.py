"""Write RESULTS.md and its figure from the JSON files in benchmarks/results/: python benchmarks/results.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import analysis
import end_to_end
import gpu_check
import matplotlib.pyplot as plt
import pandas as pd
import peers
import seaborn as sns
import steps
import whole
from machine import described

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "results"
FIGURE = FOLDER / "throughput_{device}.png"

INTRODUCTION = """# Benchmark results

Written by `make bench`; the part of a GPU by `make gpu-check` there and `python benchmarks/results.py` after it. Speeds
vary with the machine and its load: the ratios are of contestants that took turns in one run. Why the figures are what
they are, and what has been measured of the code since the date of a table: [profile](PROFILE.md).
"""

PROFILED = 16  # functions of a profile

PROCESSOR = """Time is the processor's, spent in each process, since other work kept the machine busy: a second of it is
longer than when the machine is free, which the caches and clock rates tell, and the ratios are what remains comparable.
"""


def main() -> None:
    parts = [INTRODUCTION]
    if (file := FOLDER / "steps_cpu.json").exists():
        parts.append(throughput(json.loads(file.read_text()), "cpu"))
    if (file := FOLDER / gpu_check.FILE).exists():
        parts.append(on_gpu(json.loads(file.read_text())["steps"]))
    if (file := FOLDER / "end_to_end.json").exists():
        parts.append(whole_commands(json.loads(file.read_text())))
    if (file := FOLDER / "peers.json").exists():
        parts.append(against_peers(json.loads(file.read_text())))
    if (file := FOLDER / "whole.json").exists():
        parts.append(spent(json.loads(file.read_text())))
    if (file := FOLDER / "analysis.json").exists():
        parts.append(analyses(json.loads(file.read_text())))
    (HERE / "RESULTS.md").write_text("\n".join(parts))
    print(f"Results: {HERE / 'RESULTS.md'}")


def measured_on(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return f"{described(machine)}; mean load at the end {machine.get('load', 'not recorded')}.\n"


def on_gpu(checked: dict[str, Any]) -> str:
    """What `make gpu-check` found."""
    found = {name: one["found"] for name, one in checked.items()}
    of_code = ", ".join(f"{name} {one.get('code', 'not recorded')}" for name, one in found.items())
    parts = ["## On a GPU: `make gpu-check`\n"]
    if "machine" in found.get("machine", {}):
        parts.append(measured_on(found["machine"]))
    parts += [gpu_check.table(checked), f"\nCode that each step ran, as in a run's tag `initdist.code`: {of_code}.\n"]
    if failed := found.get("tests", {}).get("failed"):
        parts += ["Tests that failed:\n", *[f"- `{name}`" for name in failed], ""]
    if rows := found.get("grid", {}).get("profile"):
        parts += [
            "One job of the grid, 100 networks of width 256, by function: seconds with all that it calls.\n",
            "| function | calls | seconds |\n|---|---|---|",
            *[f"| `{row['function']}` | {row['calls']:,} | {row['seconds']:.2f} |" for row in rows[:PROFILED]],
            "",
        ]
    if "rows" in found.get("steps", {}):
        parts.append(throughput(found["steps"], "cuda"))
    return "\n".join(parts)


def throughput(found: dict[str, Any], device: str) -> str:
    draw(found["rows"], device)
    about = (steps.__doc__ or "").partition("\n\n    All")[0].split("\n\n")
    return "\n".join(
        [
            f"## Training steps, {device.upper() if device == 'cpu' else 'CUDA'}\n",
            measured_on(found),
            f"{about[2]}\n",
            *([PROCESSOR] if found.get("clock") == "processor" else []),
            f"![Throughput against stack size]({FIGURE.relative_to(HERE)})\n".format(device=device),
            steps.HEAD,
            *[steps.line(row) for row in found["rows"]],
            "",
        ]
    )


def draw(rows: list[dict[str, Any]], device: str) -> None:
    """Networks x steps per second against the stack's size, times the plain loop's in the same run."""
    frame = pd.DataFrame(
        {
            "network": steps.name(row),
            "networks in a stack": row["stack"],
            "times the plain loop": row["ratio"]["plain"],
        }
        for row in rows
    )
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        sns.lineplot(
            frame, x="networks in a stack", y="times the plain loop", hue="network", style="network", markers=True,
            dashes=False, ax=axes,
        )  # fmt: skip
        axes.axhline(1, color="black", linestyle=":", linewidth=1)
        axes.set_xscale("log", base=4)
        sizes = sorted(frame["networks in a stack"].unique())
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.set_ylim(bottom=0)
        sns.move_legend(axes, "upper left", bbox_to_anchor=(1, 1), frameon=False)
        figure.savefig(str(FIGURE).format(device=device), dpi=150)
    plt.close(figure)


def whole_commands(found: dict[str, Any]) -> str:
    rows = [line for part in end_to_end.PARTS if part in found for line in end_to_end.lines(part, found[part])]
    about = (end_to_end.__doc__ or "").split("\n\n")
    return "\n".join(["## Whole commands\n", measured_on(found), f"{about[2]}\n", end_to_end.HEAD, *rows, ""])


def against_peers(found: dict[str, Any]) -> str:
    about = (peers.__doc__ or "").split("\n\n")
    rows = [peers.line(part, turns) for part, turns in found["parts"].items()]
    return "\n".join(["## Whole commands against peers\n", measured_on(found), f"{about[2]}\n", peers.HEAD, *rows, ""])


def spent(found: dict[str, Any]) -> str:
    about = (whole.__doc__ or "").split("\n\n")
    return "\n".join(
        ["## What a whole command spends its time on\n", measured_on(found), f"{about[2]}\n", whole.table(found), ""]
    )


def analyses(found: dict[str, Any]) -> str:
    about = (analysis.__doc__ or "").split("\n\n")[1]
    rows = [analysis.line(row) for row in found["rows"]]
    start = f"`start` took {found['start']:.2f} s.\n"
    return "\n".join(["## Analyses\n", measured_on(found), f"{about}\n", start, analysis.HEAD, *rows, ""])


if __name__ == "__main__":
    main()
