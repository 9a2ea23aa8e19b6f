"""The steps of gpu_check.py, one a process: python benchmarks/gpu_steps.py STEP cuda|cpu FILE.

What a step finds out goes to FILE as JSON, with `summary` in words; `wrong` says what makes it fail. On the CPU
everything is small: a rehearsal, whose figures mean nothing.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

MAIN_JOB = ("model.width=64,256,1024", "seed=range(0,3)", "noise.level=0,0.25,0.5")
DISTANCES = 0.02  # by how much a network's distance on the GPU may differ from that on the CPU
GRID = ("dataset=mnist", "dataset.train_size=4096", "model.width=64,128,256,512,1024",
        "noise.level=0,0.1,0.25,0.5,1.0", "seed=range(0,20)")  # fmt: skip
SMALL_JOB = ("model.width=16,32", "seed=range(0,2)", "dataset.train_size=64", "stop.max_epochs=20")
SMALL_GRID = ("dataset.train_size=64", "model.width=8,16", "noise.level=0,0.5", "seed=range(0,2)", "stop.max_epochs=3")

# Targets of the stacks' steps: at least so many times the plain loop, at most so many times the limit.
TIMES_PLAIN = {"mlp 64": 40, "mlp 256": 40, "mlp 1024": 12, "cnn 16": 5}
TIMES_LIMIT = 3.0
GRID_SECONDS = 60.0

BAD = {"failure", "error"}  # of a test, in pytest's XML
# By how much the mean training loss may differ from that in float32.
LOSSES = {"float32": 0.0, "tf32": 0.02, "bfloat16": 0.05, "compiled": 0.02}

Found = dict[str, Any]


def target(name: str, wanted: str, measured: str, met: bool) -> dict[str, str]:
    return {"name": name, "wanted": wanted, "measured": measured, "verdict": "met" if met else "missed"}


def machine(device: str, keep: Callable[[Found], None]) -> Found:
    """Versions, memory, and the ceilings that the speed of steps is held against."""
    import steps
    import torch
    from machine import machine as described

    found: Found = {"machine": described(device)}
    if device == "cpu":
        return {**found, "summary": f"{found['machine']['device']}; PyTorch {torch.__version__}"}
    free, total = torch.cuda.mem_get_info()
    torch.backends.cuda.matmul.allow_tf32 = False
    flop, copied = steps.limits(torch.device(device))
    torch.backends.cuda.matmul.allow_tf32 = True
    rounded, _ = steps.limits(torch.device(device))
    found |= {
        "cuda": torch.version.cuda,
        "devices": torch.cuda.device_count(),
        "memory_gib": round(total / 2**30, 1),
        "free_gib": round(free / 2**30, 1),
        "copy_gb_s": round(copied / 1e9),
        "float32_tflop_s": round(flop / 1e12, 1),
        "tf32_tflop_s": round(rounded / 1e12, 1),
    }
    return found | {
        "summary": f"{found['machine']['device']}, {found['memory_gib']} GiB ({found['free_gib']} free), PyTorch "
        f"{torch.__version__}; copies {found['copy_gb_s']:,} GB/s, matrix products {found['float32_tflop_s']} TFLOP/s "
        f"(float32) and {found['tf32_tflop_s']} (tf32)"
    }


def tests(device: str, keep: Callable[[Found], None]) -> Found:
    """pytest -m cuda, of the files that have such tests: the others need packages that a bare machine lacks."""
    files = [str(file) for file in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.cuda" in file.read_text()]
    listed = Path("tests.xml").resolve()
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "-v", "-p", "no:cacheprovider", "--tb=short"]
    code = subprocess.run([*command, f"--junit-xml={listed}", *files], cwd=ROOT).returncode  # its output is the log's
    cases = list(ElementTree.parse(listed).iter("testcase"))
    failed = [f"{case.get('classname')}::{case.get('name')}" for case in cases if {one.tag for one in case} & BAD]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(failed) - skipped
    found: Found = {"summary": f"{passed} passed, {len(failed)} failed, {skipped} skipped", "failed": failed}
    return found if code == 0 else found | {"wrong": found["summary"]}


def main_job(device: str, keep: Callable[[Found], None]) -> Found:
    """The same networks on both devices at once: what must be equal is, what is rounded otherwise is near."""
    job = MAIN_JOB if device == "cuda" else SMALL_JOB
    began = time.monotonic()
    running = {name: _command(Path(name), "-m", *job, f"device={name}") for name in dict.fromkeys((device, "cpu"))}
    seconds = {}
    for name, process in running.items():
        if process.wait():
            return {"wrong": f"the command on {name} ended with {process.returncode}"}
        seconds[name] = round(time.monotonic() - began, 1)
    here, there = _runs(Path(device)), _runs(Path("cpu"))
    if here.keys() != there.keys():
        return {"wrong": f"{len(here)} and {len(there)} networks finished, not the same ones"}
    differing = [one["name"] for key, one in here.items() if one["stop_reason"] != there[key]["stop_reason"]]
    apart = {one["name"]: abs(one["distance"] / there[key]["distance"] - 1) for key, one in here.items()}
    worst = max(apart, key=apart.__getitem__)
    found = {
        "networks": len(here),
        "seconds": seconds,
        "other_stop_reasons": differing,
        "distance_apart": apart,
        "epochs_apart": max(abs(one["epochs"] - there[key]["epochs"]) for key, one in here.items()),
        "graphs": sorted({one["graphs"] for one in here.values()}),
        "summary": f"{len(here)} networks, {len(differing)} other stop reasons, distances at most "
        f"{100 * apart[worst]:.2f} % apart ({worst}); {seconds[device]:.0f} s beside {seconds['cpu']:.0f} s on the CPU",
    }
    if differing or apart[worst] > DISTANCES:
        found["wrong"] = "networks on the GPU are not those of the CPU"
    return found


def steps(device: str, keep: Callable[[Found], None]) -> Found:
    """benchmarks/steps.py, taken over row by row: its time may be over before its last row."""
    from steps import main as measure

    sizes = ["--widths", "64,256,1024", "--channels", "16", "--stacks", "1,16,64,256", "--parameters", "1e9"]
    small = ["--widths", "16", "--channels", "4", "--stacks", "1,3"]
    effort = ["--rounds", "3", "--seconds", "0.2"] if device == "cuda" else ["--rounds", "1", "--seconds", "0.02"]
    own = Path("steps.json")

    def kept() -> Found:
        found: Found = json.loads(own.read_text())
        found |= _against_targets(found["rows"]) if device == "cuda" else {"summary": f"{len(found['rows'])} rows"}
        return found

    arguments = [*(sizes if device == "cuda" else small), *effort, "--device", device, "--json", str(own)]
    measure(arguments, lambda: keep(kept()))
    return kept()


def _against_targets(rows: list[Found]) -> Found:
    """The best stack of each network against the targets."""
    import steps

    targets, words = [], []
    for name, times in TIMES_PLAIN.items():
        own = [row for row in rows if steps.name(row) == name]
        if not own:
            continue
        best = max(own, key=lambda row: row["steps_per_second"]["stacked"])
        rate, ratio = best["steps_per_second"]["stacked"], best["ratio"]
        words.append(f"{name}: {rate:,.0f}/s, {ratio['plain']:.0f}x plain")
        targets.append(
            target(f"{name}, times the plain loop", f">= {times}", f"{ratio['plain']:.0f} (stack of {best['stack']})",
                   ratio["plain"] >= times)
        )  # fmt: skip
        if "limit" in ratio:
            over = 1 / ratio["limit"]
            targets.append(
                target(f"{name}, times the limit", f"<= {TIMES_LIMIT:g}", f"{over:.1f}", over <= TIMES_LIMIT)
            )
    return {"targets": targets, "summary": "; ".join(words)}


def grid(device: str, keep: Callable[[Found], None]) -> Found:
    """The reference grid as a user would run it, and a part of it in this process under a profiler."""
    began = time.time()
    process = _command(Path("grid"), "-m", *(GRID if device == "cuda" else SMALL_GRID), f"device={device}")
    if process.wait():
        return {"wrong": f"the command ended with {process.returncode}"}
    seconds = time.time() - began
    runs = list(_runs(Path("grid")).values())
    jobs = []
    for shape in sorted({one["name"].split(" p")[0] for one in runs}, key=lambda s: min(_starts(runs, s))):
        own = [one for one in runs if one["name"].split(" p")[0] == shape]
        jobs.append(
            {
                "networks": shape,
                "from": round(min(one["start"] for one in own) - began, 1),
                "to": round(max(one["end"] for one in own) - began, 1),
                "training": round(sum(one["training"] for one in own), 1),
                "measures": round(sum(one["measures"] for one in own), 1),
            }
        )
    found: Found = {
        "seconds": round(seconds, 1),
        "networks": len(runs),
        "converged": sum(one["stop_reason"] == "threshold" for one in runs),
        "graphs": sorted({one["graphs"] for one in runs}),
        "jobs": jobs,
        "summary": f"{len(runs)} networks in {seconds:.1f} s, the first job after {jobs[0]['from']} s; " + ", ".join(
            f"{one['networks']} {one['from']:.0f}-{one['to']:.0f} s (training {one['training']}, measures "
            f"{one['measures']})" for one in jobs),
    }  # fmt: skip
    if device == "cuda":
        met = seconds <= GRID_SECONDS
        found["targets"] = [target("500 networks, with tracking", f"<= {GRID_SECONDS:g} s", f"{seconds:.1f} s", met)]
    keep(found)
    return found | {"profile": _profile(device)}


def _starts(runs: list[Found], shape: str) -> list[float]:
    return [one["start"] for one in runs if one["name"].split(" p")[0] == shape]


def _profile(device: str) -> list[Found]:
    """Seconds of one job's functions, with all that they call, in a process that does nothing else."""
    import torch

    from initdist import network_configs
    from initdist.training import job

    one_job = ("dataset=mnist", "dataset.train_size=4096", "model.width=256", "vary.noise.level=[0,0.1,0.25,0.5,1.0]")
    small = ("dataset.train_size=64", "model.width=8", "stop.max_epochs=3")
    configs = network_configs(*(one_job if device == "cuda" else small), f"vary.seed={list(range(20))}")
    profile = cProfile.Profile()
    began = time.monotonic()
    profile.enable()
    for _ in job.train(configs, torch.device(device)):
        pass
    profile.disable()
    whole = time.monotonic() - began
    print(f"profile of {len(configs)} networks, {whole:.1f} s")
    stats = pstats.Stats(profile)
    stats.sort_stats("tottime").print_stats(30)
    stats.sort_stats("cumulative").print_stats(60)
    found = []
    for (file, _, name), (_, calls, own, cumulative, _) in stats.stats.items():  # type: ignore[attr-defined]
        if cumulative >= 0.02 * whole and ("initdist" in file or own >= 0.02 * whole):
            found.append({"function": f"{Path(file).stem}.{name}", "calls": calls, "seconds": round(cumulative, 2)})
    return [{"function": "all", "calls": 1, "seconds": round(whole, 2)},
            *sorted(found, key=lambda row: -float(row["seconds"]))]  # fmt: skip


def numerics(device: str, keep: Callable[[Found], None]) -> Found:
    """The same stack under each arithmetic: how fast, how far from float32, and whether its steps are captured."""
    import setting
    import torch

    from initdist.config import schema
    from initdist.training import job

    width, networks, epochs = (256, 64, 30) if device == "cuda" else (8, 4, 5)
    kinds = {
        "float32": schema.NumericsConfig(),
        "tf32": schema.NumericsConfig(precision="tf32"),
        "bfloat16": schema.NumericsConfig(precision="bfloat16"),
        "compiled": schema.NumericsConfig(compile=True),
    }
    rows: list[Found] = []
    found: Found = {"rows": rows, "summary": "", "wrong": ""}
    for name, chosen in kinds.items():
        base = setting.config("mlp", width, 0)
        given = replace(base, numerics=chosen, optimizer=replace(base.optimizer, lr=0.05),
                        stop=replace(base.stop, max_epochs=epochs))  # fmt: skip
        configs = [replace(given, seed=s, seeds=schema.SeedsConfig(s, s, s, s)) for s in range(networks)]
        try:
            began = time.monotonic()
            marks, ended = [], []
            for event in job.train(configs, torch.device(device)):
                if isinstance(event, job.Epoch):
                    marks.append(time.monotonic())
                else:
                    ended.append(event.result)
            # The first three epochs hold what is done once: recording, compiling, capturing.
            rate = networks * ended[0].step / epochs * (len(marks) - 4) / (marks[-2] - marks[2])
            loss = sum(one.metrics["train_loss"] for one in ended) / networks
            rows.append({"numerics": name, "steps_per_second": rate, "seconds": marks[-1] - began, "train_loss": loss,
                         "graphs": ended[0].graphs})  # fmt: skip
        except Exception as error:
            rows.append({"numerics": name, "error": f"{type(error).__name__}: {error}"})
            found["wrong"] = f"{name}: {type(error).__name__}"
        found["summary"] = "; ".join(
            f"{row['numerics']} " + (f"{row['steps_per_second']:,.0f}/s, loss {row['train_loss']:.4g}"
                                     if "error" not in row else "failed") for row in rows)  # fmt: skip
        keep(found)
    if not found["wrong"]:
        plain = rows[0]["train_loss"]
        far = [r["numerics"] for r in rows if abs(r["train_loss"] / plain - 1) > LOSSES[r["numerics"]]]
        launched = [r["numerics"] for r in rows if device == "cuda" and r["graphs"] != "used"]
        found["wrong"] = "; ".join(
            f"{', '.join(names)} {what}" for names, what in ((far, "too far from float32"), (launched, "not captured"))
            if names)  # fmt: skip
    return found


def _command(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`python -m initdist.train` into a store of its own."""
    folder.mkdir()
    line = [sys.executable, "-m", "initdist.train", *arguments, f"tracking.uri=sqlite:///{folder.resolve()}/mlflow.db"]
    given = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(line, cwd=folder, env=given)


def _runs(folder: Path) -> dict[str, Found]:
    """Identity -> what is in the store of each finished network."""
    from mlflow import MlflowClient

    from initdist import names

    client = MlflowClient(f"sqlite:///{folder.resolve()}/mlflow.db")
    experiment = client.get_experiment_by_name("initdist")
    kept = f"tags.`{names.KIND}` = '{names.KIND_NETWORK}' and attributes.status = 'FINISHED'"
    found, token = {}, None
    while True:
        page = client.search_runs([experiment.experiment_id], kept, max_results=1000, page_token=token)
        for run in page:
            tags, metrics = run.data.tags, run.data.metrics
            found[tags[names.IDENTITY]] = {
                "name": run.info.run_name,
                "stop_reason": tags[names.STOP_REASON],
                "graphs": tags.get(names.CUDA_GRAPHS, ""),
                "distance": metrics[names.DISTANCE],
                "epochs": metrics[names.EPOCHS],
                "start": run.info.start_time / 1e3,
                "end": run.info.end_time / 1e3,
                "training": float(tags[names.TRAINING_SECONDS]),
                "measures": sum(json.loads(tags[names.MEASURE_SECONDS]).values()),
            }
        token = page.token
        if not token:
            return found


def main(arguments: Iterable[str]) -> None:
    name, device, file = arguments
    sys.path.insert(0, str(HERE))
    from initdist import provenance

    def keep(found: Found) -> None:
        """Written beside and moved: whoever ends this process finds the one or the other."""
        beside = Path(f"{file}.part")
        beside.write_text(json.dumps(found | {"code": provenance.code()}))
        beside.replace(file)

    keep(globals()[name](device, keep))


if __name__ == "__main__":
    main(sys.argv[1:])
