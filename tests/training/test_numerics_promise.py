"""On the CPU a network's result is equal bit for bit alone, in a stack of 8 and in one of 33, whatever the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import promise
import pytest
import torch
from helpers import assert_same, blobs, dataset, train

from initdist import cores

THREADS = (1, 2, 4)
HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reports() -> dict[int, dict[str, Any]]:
    """What training processes make of the same networks under several thread defaults. Started at once, for time."""
    started = {}
    for threads in THREADS:
        environment = {k: v for k, v in os.environ.items() if k != "MKL_NUM_THREADS"}
        environment |= {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
        started[threads] = subprocess.Popen(
            [sys.executable, str(HERE / "promise.py")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    found = {}
    for threads, process in started.items():
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        found[threads] = json.loads(output)
    return found


@pytest.mark.parametrize("model", promise.MODELS)
@pytest.mark.parametrize("threads", THREADS)
def test_a_network_is_the_same_alone_and_in_any_stack(
    reports: dict[int, dict[str, Any]], threads: int, model: str
) -> None:
    report = reports[threads]
    alone, among_8 = report[f"{model} alone"], report[f"{model} in a stack of 8"]
    among_33, apart = report[f"{model} in a stack of 33"], report[f"{model} in two stacks"]
    assert (len(alone), len(among_8), len(among_33), len(apart)) == (8, 8, 33, 33)
    assert alone == among_8
    assert among_8 == among_33[:8]
    assert apart == among_33
    assert len({one["weights"] for one in among_33}) == 33


@pytest.mark.parametrize("threads", THREADS[1:])
def test_a_network_is_the_same_whatever_the_thread_default(reports: dict[int, dict[str, Any]], threads: int) -> None:
    assert reports[threads] == reports[THREADS[0]]


@pytest.mark.parametrize("width", [2, 7, 64, 130])
@pytest.mark.parametrize("model", promise.MODELS)
def test_widths_depths_and_batches_of_one(model: str, width: int) -> None:
    """In this process: 13 networks together and alone, at 784 inputs, with a last batch of one sample."""
    with dataset(blobs("blobs784", (1, 28, 28), 80, 30)) as name:
        chosen = [
            promise.make(
                {
                    "dataset.name": name,
                    "dataset.train_size": 46,
                    "optimizer.batch_size": 9,
                    "stop.max_epochs": 2,
                    "model.width": width,
                    "seed": seed,
                    "optimizer.lr": 0.05,
                },
                f"model={model}",
            )
            for seed in range(13)
        ]
        together = train(chosen)
        for index in (0, 6, 12):
            assert_same(train([chosen[index]])[0], together[index])


@pytest.mark.parametrize(
    ("maker", "given", "mode"),
    [
        ("GenuineIntel", None, None),
        ("AuthenticAMD", None, cores.MODE),
        ("AuthenticAMD", "COMPATIBLE", "COMPATIBLE"),
    ],
)
def test_the_mode_of_mkl_is_chosen_where_it_is_needed(monkeypatch, maker, given, mode):
    monkeypatch.delenv("MKL_CBWR", raising=False)
    if given is not None:
        monkeypatch.setenv("MKL_CBWR", given)
    monkeypatch.setattr(cores, "processor", lambda: f"vendor_id : {maker}")
    cores.settle_products()
    assert os.environ.get("MKL_CBWR") == mode


def test_a_product_does_not_depend_on_where_its_factors_lie():
    """Of shapes with which MKL's own choice of a mode fails on some processors."""
    generator = torch.Generator().manual_seed(0)
    for rows, inner, columns in ((3, 64, 10), (7, 64, 10), (9, 100, 7), (2, 10, 31), (33, 256, 33), (64, 784, 64)):
        left = torch.randn(5, rows, inner, generator=generator)
        right = torch.randn(5, inner, columns, generator=generator)
        stacked = torch.bmm(left, right)
        for i in range(5):
            assert torch.equal(stacked[i], torch.bmm(left[i : i + 1], right[i : i + 1])[0])
