"""What makes two networks the same one: every key of the config is either part of the identity or it is not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import Any

import pytest
from helpers import AROUND, OF_STOPS, axis_values, make

from initdist import models, names
from initdist.cli import compose
from initdist.config import identity, schema, stops
from initdist.data import datasets

# Every leaf of the config: another valid value, and whether it makes another network.
DECISIONS: dict[str, tuple[Any, bool]] = {
    "model.name": ("linear", True),
    "model.width": (8, True),
    "model.depth": (1, True),
    "model.activation": ("tanh", True),
    "model.bias": (False, True),
    "model.init": ("another", True),
    "model.init_scale": (2.0, True),
    "model.output_scale": (2.0, True),
    "model.linearize": (True, True),
    "model.init_offset": (2.0, True),
    "constraint.name": ("init_ball", True),
    "constraint.radius": (2.0, True),
    "constraint.of_free": (0.5, False),  # resolved to a radius
    "constraint.decay": (2.0, True),
    "dataset.name": ("mnist", True),
    "dataset.train_size": (64, True),
    "dataset.root": ("elsewhere", False),
    "dataset.balanced": (True, True),
    "dataset.image_size": (8, True),
    "dataset.grayscale": (True, True),
    "dataset.cache": ("elsewhere", False),
    "dataset.download": (False, False),
    "noise.name": ("another", True),
    "noise.level": (0.5, True),
    "loss.name": ("squared_error", True),
    "loss.threshold": (0.5, False),  # a default of stop.train_loss
    "loss.sgd_lr": (0.5, False),  # a default of optimizer.lr
    "loss.momentum_lr": (0.5, False),  # the same
    "optimizer.name": ("another", True),
    "optimizer.lr": (0.2, True),
    "optimizer.batch_size": (32, True),
    "optimizer.momentum": (0.5, True),
    "optimizer.nesterov": (True, True),
    "optimizer.beta1": (0.5, True),
    "optimizer.beta2": (0.5, True),
    "optimizer.eps": (1e-3, True),
    "optimizer.weight_decay": (0.5, True),
    "optimizer.clip_norm": (0.5, True),
    "optimizer.schedule": ("cosine", True),
    "optimizer.schedule_epochs": (5, True),
    "optimizer.schedule_factor": (0.5, True),
    "stop.train_loss": (0.5, True),
    "stop.margin": (0.0, True),
    "stop.fraction": (0.5, True),
    "stop.train_error": (0.0, True),
    "stop.max_epochs": (7, True),
    "numerics.precision": ("bfloat16", True),
    "numerics.compile": (True, True),
    "numerics.cuda_graphs": ("false", False),
    "checkpoint.every_minutes": (1.0, False),
    "checkpoint.dir": ("elsewhere", False),
    "tracking.patience": (1.0, False),
    "seed": (5, False),  # a default of seeds.*
    "seeds.init": (5, True),
    "seeds.data": (5, True),
    "seeds.noise": (5, True),
    "seeds.order": (5, True),
    "vary": ("anything", False),
    "measures.names": (["param_norm"], False),
    "measures.history": (False, False),
    "measures.margin": ("p5", False),
    "measures.draws": (16, False),
    "measures.subset": (128, False),
    "measures.search_tolerance": (0.1, False),
    "measures.ascent_steps": (8, False),
    "measures.probes": (16, False),
    "measures.lanczos_steps": (20, False),
    "measures.hessian_subset": (128, False),
    "measures.ntk_subset": (64, False),
    "measures.capacity_draws": (20, False),
    "measures.capacity_starts": (3, False),
    "measures.capacity_steps": (20, False),
    "measures.capacity_subset": (512, False),
    "measures.lazy_outputs": (64, False),
    "history": (3, False),
    "tracking.uri": ("sqlite:////elsewhere.db", False),
    "tracking.experiment": ("another", False),
    "tracking.save_weights": (False, False),
    "tracking.sweep": ("abc", False),
    "device": ("cpu", False),
    "workers": (3, False),
    "resume": (False, False),
    "dry_run": (True, False),
    "objective": ("epochs", False),
}


def _replaced(node: Any, key: str, value: Any) -> Any:
    """A copy of a resolved config with one leaf changed, so that no other leaf follows it."""
    head, _, rest = key.partition(".")
    return dataclasses.replace(node, **{head: _replaced(getattr(node, head), rest, value) if rest else value})


def _declared(cls: type, prefix: str = "") -> set[str]:
    """Dotted keys of a dataclass's leaves, from its declaration."""
    keys = set()
    for spec in dataclasses.fields(cls):
        section = getattr(schema, str(spec.type), None)
        nested = dataclasses.is_dataclass(section)
        keys |= _declared(section, f"{prefix}{spec.name}.") if nested else {prefix + spec.name}
    return keys


# What single models add: key -> (model, another value). All of it is in the identity.
OF_MODELS = {
    "model.kernel": ("cnn", 5),
    "model.downsample": ("cnn", "pool"),
    "model.head": ("cnn", "average"),
    "model.stages": ("resnet", 2),
    "model.norm": ("resnet", "none"),
    "model.groups": ("resnet", 2),
}


def test_every_leaf_of_the_config_has_a_decision() -> None:
    declared = _declared(schema.Config)
    for cls in models.schemas().values():
        declared |= {f"model.{spec.name}" for spec in dataclasses.fields(cls)}
    assert declared - _of_members() == (set(DECISIONS) | set(OF_MODELS)) - _of_members()


def _of_members() -> set[str]:
    """Keys of single models, optimizers and stopping rules: all of them are in the identity."""
    shared = {"model": schema.ModelConfig, "optimizer": schema.OptimizerConfig}
    own = {
        f"{group}.{spec.name}": spec
        for group, nodes in compose.chosen().items()
        for node in nodes.values()
        for spec in dataclasses.fields(node)
        if spec.name not in shared[group].__dataclass_fields__
    }
    own |= {f"stop.{spec.name}": spec for config in stops.configs() for spec in dataclasses.fields(config)}
    assert all(spec.metadata.get("identity", True) for spec in own.values())
    return set(own)


@pytest.mark.parametrize("key", OF_MODELS)
def test_a_leaf_of_one_model_is_in_the_identity(key: str) -> None:
    model, value = OF_MODELS[key]
    one, other = (make(changes, f"model={model}") for changes in (None, {key: value}))
    assert identity.identity(other, "digits/1") != identity.identity(one, "digits/1")
    assert key in identity.result_leaves(one)


@pytest.mark.parametrize("key", DECISIONS)
def test_a_leaf_is_in_the_identity_or_out_of_it(key: str) -> None:
    value, inside = DECISIONS[key]
    one = make()
    other = _replaced(one, key, value)
    assert other != one
    assert (identity.identity(other, "digits/1") != identity.identity(one, "digits/1")) is inside
    assert (key in identity.result_leaves(one)) is inside


def test_params_are_what_is_in_the_identity_and_what_it_comes_from() -> None:
    inside = {key for key, (_, inside) in DECISIONS.items() if inside}
    assert identity.params(make({"seed": 4})).keys() == inside | set(OF_STOPS) | {names.SEED, "constraint.of_free"}
    assert identity.params(make({"seed": 4}))[names.SEED] == 4


def test_every_stackable_axis_is_in_the_identity_itself_or_through_what_follows_it() -> None:
    for key in schema.STACKABLE.keys() - {"constraint.of_free"}:  # whose radius is looked up (test_free_distances)
        context, choices = AROUND.get(key, ({}, ()))
        identities = {identity.identity(make({**context, key: value}, *choices), "x") for value in axis_values(key)}
        assert len(identities) == 2, key


GOLDEN = [
    ({}, (), "digits/1", "a355bb62e34b8f5e7f2b07e9f5e2ca59a5bd4193ecfd51cdd3ef513a0f83b164"),
    (
        {"model.width": 64, "model.depth": 1, "noise.level": 0.5, "seed": 3, "seeds.order": 9, "optimizer.lr": 0.05},
        (),
        "digits/1",
        "74daced630f9fe5f2679bcf717f4fbedea033ca970e2aae18f6e473722c9352e",
    ),
    (
        {"model.bias": False, "stop.train_loss": 0.0},
        ("model=linear", "loss=squared_error"),
        "digits/1",
        "a75840f09e9136c5d6a68b744dcc10a41a3e66922d41f173b8bc702d2c275c0a",
    ),
    (
        {"dataset.train_size": 60000},
        ("dataset=mnist",),
        "mnist/1",
        "2eee4aa26cebde9fe5eed0aa9965899d28401d488c41bcd32467fb24ac1a8be9",
    ),
]


@pytest.mark.parametrize(("changes", "choices", "fingerprint", "digest"), GOLDEN)
def test_golden_identities(changes: dict[str, Any], choices: tuple[str, ...], fingerprint: str, digest: str) -> None:
    assert identity.identity(make(changes, *choices), fingerprint) == digest


def test_the_identity_is_the_hash_of_what_it_says() -> None:
    """Written out once more, by hand, so that nothing slips into the hash unseen."""
    document = {
        "numerics": 2,
        "data": "digits/1",
        "model.name": "mlp",
        "model.width": 256,
        "model.depth": 2,
        "model.activation": "relu",
        "model.bias": True,
        "model.init": "xavier",
        "model.init_scale": 1.0,
        "dataset.name": "digits",
        "dataset.train_size": 1280,
        "noise.name": "labels",
        "noise.level": 0.0,
        "loss.name": "cross_entropy",
        "optimizer.name": "sgd",
        "optimizer.lr": 0.1,
        "optimizer.batch_size": 64,
        "stop.train_loss": 0.01,
        "stop.max_epochs": 1000,
        "seeds.init": 0,
        "seeds.data": 0,
        "seeds.noise": 0,
        "seeds.order": 0,
    }
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert identity.identity(make(), "digits/1") == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_fingerprint_of_the_data_and_the_numerics_version_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity.identity(make(), "digits/1")
    assert identity.identity(make(), "digits/2") != before
    monkeypatch.setattr(identity, "NUMERICS_VERSION", identity.NUMERICS_VERSION + 1)
    assert identity.identity(make(), "digits/1") != before


@pytest.mark.parametrize(("name", "fingerprint"), [("digits", "digits/1")])
def test_fingerprints_of_built_in_datasets(name: str, fingerprint: str) -> None:
    assert datasets.describe(make(None, f"dataset={name}").dataset).fingerprint == fingerprint


def test_a_number_written_in_another_way_is_the_same_network() -> None:
    whole = make({"noise.level": 1, "optimizer.lr": "1e-1", "model.width": "64"})
    written = make({"noise.level": 1.0, "optimizer.lr": 0.1, "model.width": 64})
    assert identity.identity(whole, "x") == identity.identity(written, "x")


def test_a_default_may_change_freely() -> None:
    """What is hashed is the value, not whether it was the default."""
    assert identity.identity(make({"model.width": 256, "optimizer.lr": 0.1}), "x") == identity.identity(make(), "x")


def test_a_field_added_later_is_left_out_at_its_neutral_value() -> None:
    @dataclasses.dataclass
    class Later(schema.OptimizerConfig):
        dampening: float = schema.option(0.0, schema.at_least(0), neutral=0.0)

    before = make()
    values = dataclasses.asdict(before.optimizer)
    neutral = dataclasses.replace(before, optimizer=Later(**values))
    moved = dataclasses.replace(before, optimizer=Later(**values, dampening=0.9))
    assert identity.identity(neutral, "x") == identity.identity(before, "x")
    assert identity.identity(moved, "x") != identity.identity(before, "x")
    assert identity.params(neutral)["optimizer.dampening"] == 0.0  # shown all the same


def test_an_identity_is_a_sha256() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", identity.identity(make(), "x"))
