"""The stopping criteria on plain numbers, and the shares of margins that they are held against."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from helpers import CPU, assert_same, tiny, train

from initdist import names, tracking
from initdist.config import families
from initdist.config.schema import StopConfig
from initdist.config.stops import STOPS, in_order
from initdist.data import stack_data
from initdist.stacks import evaluation, stack
from initdist.sweeps import planning, run_records
from initdist.training import stopping
from multirun_analysis import load_runs

NAN = math.nan
MARGIN = {"margin": 1.0, "fraction": 0.9}


@pytest.mark.parametrize(
    ("stop", "state", "reason"),
    [
        ({}, (0.5, 0.5, 0.5, NAN), None),
        ({"train_loss": 0.1}, (0.5, 0.1, 0.5, NAN), "threshold"),
        ({"train_loss": 0.1}, (0.5, 0.11, 0.5, NAN), None),
        ({"train_loss": 0.1}, (1.01, 0.1, 0.5, NAN), None),  # the batch loss is more than ten times the threshold
        ({"train_loss": 0.1}, (0.5, NAN, NAN, NAN), None),
        (MARGIN, (0.5, NAN, NAN, 0.9), "margin"),
        (MARGIN, (50.0, 40.0, 0.1, 1.0), "margin"),  # whatever the batch loss
        (MARGIN, (0.5, NAN, NAN, 0.89), None),
        ({"train_error": 0.1}, (50.0, 40.0, 0.1, NAN), "error"),
        ({"train_error": 0.0}, (0.5, 0.5, 0.0, NAN), "error"),
        ({"train_error": 0.1}, (0.5, 0.5, 0.11, NAN), None),
        ({"train_error": 0.9}, (0.5, math.inf, 0.5, NAN), None),
        ({"train_loss": 0.1, "train_error": 0.1, **MARGIN}, (0.5, 0.1, 0.1, 0.9), "threshold"),
        ({"train_loss": 0.1, "train_error": 0.1, **MARGIN}, (0.5, 0.2, 0.1, 0.9), "margin"),
        ({"train_loss": 0.1, "train_error": 0.1, **MARGIN}, (0.5, 0.2, 0.1, 0.8), "error"),
        ({"train_loss": 0.1, "train_error": 0.9, **MARGIN}, (NAN, 0.1, 0.1, 0.9), "diverged"),
        ({"train_error": 0.9}, (math.inf, 0.1, 0.1, NAN), "diverged"),
    ],
)
def test_why_a_network_ends(stop: dict[str, Any], state: tuple[float, ...], reason: str | None) -> None:
    config = StopConfig(**{"train_loss": 0.0, **stop})
    assert stopping.reason(config, stopping.EpochFacts(*state), last=False) == reason
    if not math.isnan(state[1]):
        expected = reason or ("diverged" if math.isinf(state[1]) else "max_epochs")
        assert stopping.reason(config, stopping.EpochFacts(*state), last=True) == expected


@pytest.mark.parametrize(
    ("stop", "reason", "expected"),
    [
        ({}, "max_epochs", "fixed"),
        ({"train_loss": 0.1}, "max_epochs", "false"),
        (MARGIN, "max_epochs", "false"),
        ({"train_error": 0.0}, "max_epochs", "false"),
        ({"train_loss": 0.1}, "threshold", "true"),
        ({"train_loss": 0.1, **MARGIN}, "margin", "true"),  # one of those asked for is enough
        ({"train_error": 0.1}, "error", "true"),
        ({}, "diverged", "false"),
        ({"train_loss": 0.1}, "diverged", "false"),
    ],
)
def test_whether_a_network_has_converged(stop: dict[str, Any], reason: str, expected: str) -> None:
    assert stopping.converged(StopConfig(**{"train_loss": 0.0, **stop}), reason) == expected


def test_the_first_of_ours_that_are_met_is_the_reason() -> None:
    assert [name for name, _ in in_order()][:3] == ["threshold", "margin", "error"]
    assert stopping.asked(StopConfig(train_loss=0.0)) == []


@pytest.mark.parametrize("name", STOPS)
def test_a_rule_is_asked_for_by_its_own_fields_and_ends_a_network_alone_as_in_a_stack(name: str) -> None:
    example = {f"stop.{key}": value for key, value in STOPS[name].example.items()}
    common = {"stop.train_loss": 0.0, "stop.max_epochs": 30, "history": 0} | example
    configs = [tiny(common | {"seed": seed, "optimizer.lr": (0.1, 0.2, 0.4, 1e-9)[seed]}) for seed in range(4)]
    assert stopping.asked(configs[0].stop) == [name]
    together = train(configs)
    ended = [one.result for one in together if one.result.stop_reason == name]
    assert min(one.metrics[names.EPOCHS] for one in ended) < 30  # the loop looks for it before the last epoch
    for config, one in zip(configs, together, strict=True):
        assert_same(one, train([config])[0])


@pytest.mark.parametrize(
    ("stop", "batch_loss", "expected"),
    [
        ({}, 0.5, -1.0),
        ({"train_loss": 0.1}, 1.0, 0.1),
        ({"train_loss": 0.1}, 1.01, -1.0),
        ({"train_loss": 0.1}, NAN, -1.0),
        (MARGIN, 0.5, -1.0),
        ({"train_error": 0.1}, 50.0, math.inf),
        ({"train_error": 0.1, "train_loss": 0.1}, 0.5, math.inf),
    ],
)
def test_the_training_loss_that_a_network_waits_for(stop: dict[str, Any], batch_loss: float, expected: float) -> None:
    assert stopping.awaited(StopConfig(**{"train_loss": 0.0, **stop}), batch_loss) == expected


@dataclasses.dataclass
class NoFields:
    pass


@pytest.fixture
def plateau() -> Iterator[None]:
    """A rule, in a module as another package would bring it, that every config asks for."""
    module = ModuleType("plateau")
    module.Config, module.EXAMPLE, module.asked = NoFields, {}, lambda stop: True
    module.met, module.awaits = lambda stop, facts: facts.train_loss < 2.0, lambda stop, batch_loss: 2.0
    families.found("stops")["plateau"] = module
    in_order.cache_clear()
    yield
    del families.found("stops")["plateau"]
    in_order.cache_clear()


@pytest.mark.usefixtures("plateau")
def test_a_rule_that_is_added_is_known_to_the_loop_the_store_and_the_analysis(tmp_path: Path) -> None:
    """One member and nothing else. Networks with a low learning rate miss it, without any rule of ours asked for:
    by those that old runs are held to, these would count as converged."""
    changes = {"stop.train_loss": 0.0, "stop.max_epochs": 40, "history": 0}
    configs = [tiny(changes | {"optimizer.lr": lr, "seed": seed}) for lr in (0.1, 1e-6) for seed in range(2)]
    results = [one.result for one in train(configs)]
    assert [one.stop_reason for one in results] == ["plateau", "plateau", "max_epochs", "max_epochs"]
    assert all(one.metrics[names.TRAIN_LOSS] < 2.0 < one.metrics[names.TRAIN_LOSS] + 1 for one in results[:2])
    assert all(one.metrics[names.EPOCHS] < 40 for one in results[:2])
    store = tracking.prepare(f"sqlite:///{tmp_path / 'mlflow.db'}", "initdist")
    with tracking.Writer(store, None, None) as writer:
        for network, result in zip(map(planning.network, configs), results, strict=True):
            writer.start(network.identity, run_records.network(network))
            writer.finish(network.identity, run_records.outcome(result, []))
    frame = load_runs(store.uri, excluded=True).set_index(["optimizer.lr", "seed"]).sort_index()
    assert frame["stop_reason"].tolist() == ["max_epochs"] * 2 + ["plateau"] * 2
    assert frame["converged"].tolist() == ["false"] * 2 + ["true"] * 2
    assert frame["excluded"].tolist() == ["not converged"] * 2 + [""] * 2


def test_margins_by_hand() -> None:
    logits = torch.tensor([[[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.5, 0.5, 0.0], [torch.nan, 0.0, 0.0]]])
    labels = torch.tensor([[1, 0, 0, 1]])
    found = evaluation.margins(logits, labels)[0]
    assert found[:3].tolist() == [1.0, -2.0, 0.0]
    assert found[3].isnan()


def test_the_share_of_a_margin_is_counted_over_the_whole_training_set_with_each_networks_own_margin() -> None:
    configs = [tiny({"dataset.train_size": 700, "seed": seed}) for seed in range(4)]
    samples, built = stack_data.build(configs, CPU), stack.build(configs, (1, 8, 8), 10, CPU)
    slices = evaluation.slices(built, samples.train_slice, samples.train_size)
    logits = torch.cat([built.forward(inputs) for inputs, _ in slices], dim=1)
    every = evaluation.margins(logits, samples.labels)
    wanted = torch.tensor([float(every[0].median()), -1e9, 1e9, torch.nan], dtype=torch.float64)
    share = evaluation.share_with_margin(built, samples, wanted)
    assert share.tolist() == [int((every[0] >= every[0].median()).sum()) / 700, 1.0, 0.0, 0.0]
    assert share[0] == pytest.approx(0.5, abs=0.01)
