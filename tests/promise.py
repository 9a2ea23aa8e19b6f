"""Trains networks alone and in stacks through a pool, under whatever thread default it is started with.

Run as a script by `test_numerics_promise.py`: prints a JSON object, name of the arrangement -> what came out.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from helpers import blobs, dataset, facts, make, to_train

from initdist.events import Failed, Result
from initdist.stacks import recording
from initdist.workers import launching, pool

# 784 inputs; 100 samples in odd batches of 33, the last of one; each network with its own rate, noise and seeds.
SHAPE, POOL, TEST = (1, 28, 28), 300, 130
CHANGES = {"dataset.train_size": 100, "optimizer.batch_size": 33, "stop.max_epochs": 2, "history": 2}
MODELS = {
    "mlp": {"model.width": 33, "model.depth": 2},
    "linear": {"model.width": 20, "model.depth": 1},
}


def configs(model: str, count: int, name: str) -> list:
    return [
        make(
            CHANGES
            | MODELS[model]
            | {"dataset.name": name, "seed": i, "optimizer.lr": 0.02 * (i % 5 + 1), "noise.level": 0.1 * (i % 4)},
            f"model={model}",
        )
        for i in range(count)
    ]


def outcomes(training: pool.Pool, chosen: list, folder: Path) -> list[dict[str, str]]:
    networks = to_train(chosen, [folder / f"{i}.safetensors" for i in range(len(chosen))])
    files = {network.identity: Path(network.weights) for network in networks}
    found: dict[str, dict[str, str]] = {}
    for event in training.train(networks):
        if isinstance(event, Failed):
            raise RuntimeError(event.error)
        if isinstance(event, Result):
            weights = hashlib.sha256(files[event.network].read_bytes()).hexdigest()
            found[event.network] = {"facts": repr(facts(event)), "weights": weights}
    return [found[network.identity] for network in networks]


def main() -> None:
    recording.WORTHWHILE = 3  # a stack's last networks must meet recordings of other shapes, and all of them the switch
    launching._METHOD = "fork"  # the training processes must know the dataset that is made here
    report = {}
    one, two = pool.Pool("cpu", workers=1), pool.Pool("cpu", workers=2)
    with dataset(blobs("blobs784", SHAPE, POOL, TEST)) as name, tempfile.TemporaryDirectory() as folder:
        for model in MODELS:
            chosen = configs(model, 33, name)
            report[f"{model} alone"] = [outcomes(one, [each], Path(folder))[0] for each in chosen[:8]]
            report[f"{model} in a stack of 8"] = outcomes(one, chosen[:8], Path(folder))
            report[f"{model} in a stack of 33"] = outcomes(one, chosen, Path(folder))
            report[f"{model} in two stacks"] = outcomes(two, chosen, Path(folder))
    one.close()
    two.close()
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
