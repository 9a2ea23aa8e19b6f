"""From a planned network and its result to what the tracking store keeps of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from initdist import names, tracking
from initdist.config import identity
from initdist.config.schema import Config
from initdist.events import Measurement, Result
from initdist.sweeps.planning import Network


def network(planned: Network, name: str = "") -> tracking.NetworkFacts:
    """What is known of a network before it trains; with the name that it has among those of its command."""
    data = planned.data
    datasets = [
        tracking.DatasetInfo(f"{data.name}-{split}", data.fingerprint[:36], data.source, context)
        for split, context in (("train", "training"), ("test", "test"))
    ]
    return tracking.NetworkFacts(
        identity=planned.identity,
        name=name or planned.name,
        params=identity.params(planned.config),
        tags={
            names.INPUT_SHAPE: "x".join(map(str, data.input_shape)),
            names.CLASSES: str(data.classes),
            names.TEST_SIZE: str(data.test_size),
        },
        datasets=datasets,
    )


def title(config: Config, job: int | None = None) -> str:
    """What progress is headed by: `job 2, mlp w64 n1280`."""
    shape = f"{config.model.name} w{config.model.width} n{config.dataset.train_size}"
    return shape if job is None else f"job {job}, {shape}"


def outcome(result: Result, weights: str) -> tracking.Outcome:
    """What is known of a network at its end. `weights` is their file, if any is kept."""
    return tracking.Outcome(
        metrics=result.metrics,
        history=result.history,
        step=result.step,
        tags={
            names.STOP_REASON: result.stop_reason,
            **({names.CONVERGED: result.converged} if result.converged else {}),
            names.THETA0: result.theta0,
            names.TRAINING_SECONDS: f"{result.seconds:.3f}",
            **measure_tags(result.measured),
            names.DEVICE: result.device,
            **({names.CUDA_GRAPHS: result.graphs} if result.graphs else {}),
            **({names.TEST_CORRECT: base64.b64encode(result.correct).decode()} if result.correct else {}),
            **tracking.code_tags(),
            names.CODE: result.code,
        },
        files=[Path(weights)] if weights else [],
    )


def measure_tags(measurement: Measurement) -> dict[str, str]:
    """What a run says of its measures beside their values."""
    seconds = {name: float(f"{value:.3g}") for name, value in measurement.seconds.items()}
    return {names.MEASURES: json.dumps(measurement.options), names.MEASURE_SECONDS: json.dumps(seconds)}
