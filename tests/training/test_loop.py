"""The training loop against a plain one, its stop rule, its records, and that networks end independently."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plain
import pytest
import torch
from helpers import CPU, assert_same, facts, make, tiny, train

from initdist import names
from initdist.config.schema import Config
from initdist.data import stack_data
from initdist.data.noise import labels
from initdist.stacks import evaluation, optim, stack, weights
from initdist.stacks.losses import LOSSES
from initdist.training import epochs, job, loop, observer

SETTINGS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "to the threshold": ({"optimizer.lr": 0.5, "stop.max_epochs": 100, "stop.train_loss": 0.02}, ()),
    "three layers, the whole pool": (
        {"model.depth": 2, "dataset.train_size": 1280, "stop.max_epochs": 100, "stop.train_loss": 0.1, "seed": 1},
        (),
    ),
    "label noise": ({"noise.level": 0.5, "stop.max_epochs": 30, "seed": 2}, ()),
    "squared error": ({"stop.max_epochs": 120, "stop.train_loss": 0.7}, ("loss=squared_error",)),
    "no hidden layer": ({"model.depth": 0, "stop.max_epochs": 90, "stop.train_loss": 0.2}, ()),
    "linear": ({"stop.max_epochs": 30}, ("model=linear",)),
    "seeds of their own": (
        {
            "seeds.init": 1,
            "seeds.data": 2,
            "seeds.noise": 3,
            "seeds.order": 4,
            "noise.level": 0.2,
            "stop.max_epochs": 9,
        },
        (),
    ),
    "an odd batch": ({"optimizer.batch_size": 33, "stop.max_epochs": 20}, ()),
    "one batch": ({"optimizer.batch_size": 1000, "stop.max_epochs": 20}, ()),
    "full batch": ({"optimizer.batch_size": 0, "stop.max_epochs": 20}, ()),
    "sgd, cosine": ({"optimizer.schedule": "cosine", "optimizer.weight_decay": 0.01, "stop.max_epochs": 20}, ()),
    "momentum": ({"stop.train_loss": 0.05, "stop.max_epochs": 100}, ("optimizer=momentum",)),
    "nesterov, step": (
        {
            "optimizer.nesterov": True,
            "optimizer.momentum": 0.8,
            "optimizer.schedule": "step",
            "optimizer.schedule_epochs": 5,
            "optimizer.schedule_factor": 0.5,
            "optimizer.clip_norm": 0.5,
            "stop.max_epochs": 20,
        },
        ("optimizer=momentum",),
    ),
    "adam": ({"optimizer.lr": 0.01, "stop.train_loss": 0.05, "stop.max_epochs": 100}, ("optimizer=adam",)),
    "adam, clipped and decayed": (
        {"optimizer.lr": 0.01, "optimizer.clip_norm": 0.5, "optimizer.weight_decay": 0.1, "stop.max_epochs": 20},
        ("optimizer=adam",),
    ),
    "adamw, cosine": (
        {
            "optimizer.lr": 0.01,
            "optimizer.weight_decay": 0.1,
            "optimizer.schedule": "cosine",
            "optimizer.schedule_epochs": 40,
            "stop.max_epochs": 20,
        },
        ("optimizer=adamw",),
    ),
    "to a margin": (
        {"stop.train_loss": 0.0, "stop.margin": 1.0, "stop.fraction": 0.9, "stop.max_epochs": 100},
        (),
    ),
    "to an error": ({"stop.train_loss": 0.0, "stop.train_error": 0.05, "stop.max_epochs": 100}, ()),
    "in a ball": ({"constraint.radius": 1.0, "stop.max_epochs": 20}, ("constraint=init_ball",)),
    "in a ball, adam": (
        {"constraint.radius": 1.0, "optimizer.lr": 0.01, "optimizer.clip_norm": 0.5, "stop.max_epochs": 20},
        ("constraint=init_ball", "optimizer=adam"),
    ),
    "in a shell": ({"constraint.radius": 2.0, "stop.max_epochs": 20}, ("constraint=init_shell",)),
    "in a shell, from a start on it": (
        {"constraint.radius": 2.0, "model.init_offset": 2.0, "stop.max_epochs": 20},
        ("constraint=init_shell", "optimizer=momentum"),
    ),
    "in a ball around the origin": ({"constraint.radius": 4.0, "stop.max_epochs": 20}, ("constraint=origin_ball",)),
    "pulled to the start": (
        {"constraint.decay": 0.02, "optimizer.clip_norm": 0.5, "stop.max_epochs": 20},
        ("constraint=init_decay",),
    ),
    "pulled to the start, momentum and decay": (
        {"constraint.decay": 0.02, "optimizer.weight_decay": 0.01, "optimizer.lr": 0.05, "stop.max_epochs": 20},
        ("constraint=init_decay", "optimizer=momentum"),
    ),
    "pulled to the origin": ({"constraint.decay": 0.02, "stop.max_epochs": 20}, ("constraint=origin_decay",)),
}
REASONS = {
    "to the threshold": "threshold",
    "three layers, the whole pool": "threshold",
    "squared error": "threshold",
    "no hidden layer": "threshold",
    "momentum": "threshold",
    "adam": "threshold",
    "to a margin": "margin",
    "to an error": "error",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_whole_training_is_that_of_a_plain_loop(setting: str) -> None:
    changes, choices = SETTINGS[setting]
    config = tiny(changes, *choices)
    expected = plain.train(config)
    (ours,) = train([config])
    metrics = ours.result.metrics
    assert ours.result.stop_reason == expected.stop_reason
    assert expected.stop_reason == REASONS.get(setting, "max_epochs")
    assert metrics[names.EPOCHS] == expected.epochs
    assert metrics[names.STEPS] == ours.result.step == expected.steps
    assert metrics[names.TRAIN_LOSS] == pytest.approx(expected.train_losses[-1], rel=1e-3)
    assert metrics[names.TEST_LOSS] == pytest.approx(expected.test_loss, rel=1e-3)
    assert metrics[names.DISTANCE] == pytest.approx(expected.distances[-1], rel=1e-4)
    assert metrics[names.TRAIN_ERROR] == pytest.approx(expected.train_error, abs=1e-9)
    assert metrics[names.TEST_ERROR] == pytest.approx(expected.test_error, abs=1e-9)
    assert metrics[names.GAP] == metrics[names.TEST_ERROR] - metrics[names.TRAIN_ERROR]
    noisy = labels.error(expected.test_error, config.noise.level, 10) - expected.train_error
    assert metrics[names.GAP_NOISY] == pytest.approx(noisy, abs=1e-9)
    _assert_crossings(metrics, expected)
    assert expected.module is not None
    for name, values in zip(ours.parameters, expected.module.parameters(), strict=True):
        assert ours.parameters[name].numpy() == pytest.approx(values.detach().numpy(), abs=1e-4), name


def _assert_crossings(metrics: dict[str, float], expected: plain.Run) -> None:
    """The distance at the first crossing of each level that was crossed, and of no other."""
    epochs = {level: expected.first_epoch(level) for level in names.CROSSINGS}
    crossed = {names.distance_at_loss(level): epoch for level, epoch in epochs.items() if epoch is not None}
    found = {key for key in metrics if key.startswith(names.DISTANCE_AT_LOSS)}
    assert found == set(crossed)
    for key, epoch in crossed.items():
        assert metrics[key] == pytest.approx(expected.distances[epoch - 1], rel=1e-4)


def test_crossings_are_of_different_epochs_and_end_at_the_threshold() -> None:
    """So that the comparison with the plain loop above has something to compare."""
    config = tiny(*SETTINGS["to the threshold"][:1])
    (one,) = train([config])
    distances = [one.result.metrics[names.distance_at_loss(level)] for level in (0.3, 0.1, 0.03)]
    assert distances == sorted(distances)
    assert len(set(distances)) == 3
    assert one.result.metrics[names.DISTANCE] > distances[-1]
    assert names.distance_at_loss(0.01) not in one.result.metrics


# The loop itself


def snapshots(configs: list[Config], record: range | tuple[int, ...] = ()) -> list[loop.Snapshot]:
    """All snapshots of a stack. Their `stack` and `data` are live views, so only their plain values may be read."""
    samples = stack_data.build(configs, CPU)
    about = samples.shared.description
    built = stack.build(configs, about.input_shape, about.classes, CPU)
    plan = loop.Plan(
        configs[0].optimizer.batch_size,
        configs[0].stop.max_epochs,
        tuple(one.stop for one in configs),
        tuple(one.seeds.order for one in configs),
    )
    found = []
    loss = LOSSES[configs[0].loss.name].loss
    for snapshot in loop.fit(built, samples, optim.build(configs, CPU), loss, plan, record):
        assert len(snapshot.stack) == len(snapshot.members) == len(snapshot.data.rows) == len(snapshot.batch_loss)
        found.append(snapshot)
    return found


def test_a_snapshot_of_every_epoch() -> None:
    found = snapshots([tiny({"stop.max_epochs": 4, "stop.train_loss": 0.0})], record=(0, 2))
    assert [one.epoch for one in found] == [0, 1, 2, 3, 4]
    assert [one.step for one in found] == [0, 2, 4, 6, 8]  # 100 samples in batches of 64 and 36
    assert math.isnan(found[0].batch_loss)
    assert [one.ended for one in found] == [{}, {}, {}, {}, {0: names.STOP_MAX_EPOCHS}]


def test_an_awaited_loss_is_that_of_the_whole_training_set_or_certainly_not_there_yet() -> None:
    configs = [tiny({"seed": seed, "dataset.train_size": 1000}) for seed in range(4)]
    samples, built = stack_data.build(configs, CPU), stack.build(configs, (1, 8, 8), 10, CPU)
    loss = LOSSES["cross_entropy"].loss
    full_loss, full_error = evaluation.train_metrics(built, samples, loss)
    awaited = full_loss * torch.tensor([1.01, 0.5, -1.0, torch.inf])
    some_loss, some_error = evaluation.train_metrics(built, samples, loss, awaited)
    for some, full in ((some_loss, full_loss), (some_error, full_error)):
        assert torch.equal(some[[0, 3]], full[[0, 3]])
        assert some[[1, 2]].isnan().all()
    nothing = evaluation.train_metrics(built, samples, loss, torch.full((4,), -1.0))
    assert all(values.isnan().all() for values in nothing)


def test_training_losses_are_known_where_they_are_recorded_or_low_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the others are given up after a few samples makes no difference to any other value."""
    monkeypatch.setattr(evaluation, "ROWS", 16)
    configs = [tiny({"stop.max_epochs": 40, "stop.train_loss": 0.02, "optimizer.lr": lr}) for lr in (0.5, 0.3)]
    known = snapshots(configs, record=range(41))
    given_up = 0
    for one, full in zip(snapshots(configs, record=(0, 2)), known, strict=True):
        known_here = ~one.train_loss.isnan()
        needed = [
            one.epoch in (0, 2, 40) or bool(full.crossed.get(k)) or k in full.ended for k in range(len(known_here))
        ]
        assert known_here[needed].all()
        assert torch.equal(one.train_loss[known_here], full.train_loss[known_here])
        assert torch.equal(one.train_error[known_here], full.train_error[known_here])
        assert torch.equal(one.train_error.isnan(), ~known_here)
        given_up += int((~known_here).sum())
        assert (one.crossed, one.ended) == (full.crossed, full.ended)
    assert given_up > 2
    assert sum(bool(full.crossed) for full in known) > 2


@pytest.mark.parametrize("threshold", [0.5, 0.02])
def test_a_network_stops_at_the_first_epochs_end_that_meets_its_rule(threshold: float) -> None:
    config = tiny({"optimizer.lr": 0.5, "stop.train_loss": threshold, "stop.max_epochs": 80})
    free = tiny({"optimizer.lr": 0.5, "stop.train_loss": 0.0, "stop.max_epochs": 80})
    everything = snapshots([free], range(81))[1:]
    met = [one.epoch for one in everything if float(one.train_loss) <= threshold]
    (ours,) = train([config])
    assert ours.result.stop_reason == names.STOP_THRESHOLD
    assert ours.result.metrics[names.EPOCHS] == met[0]
    assert ours.result.metrics[names.TRAIN_LOSS] <= threshold


@pytest.mark.parametrize(("threshold", "below", "stopped"), [(1.2, 1, 2), (0.02, 3, 3)])
def test_the_check_is_skipped_while_the_mean_batch_loss_is_far_above_the_threshold(
    threshold: float, below: int, stopped: int
) -> None:
    """A steep first epoch ends at a loss of 1.01, with a mean batch loss of 15.5: more than ten times 1.2."""
    steep = {"optimizer.batch_size": 5, "model.init_scale": 4.0, "dataset.train_size": 60, "model.width": 64}
    everything = snapshots([tiny(steep | {"stop.train_loss": 0.0})], range(4))[1:]
    assert next(one.epoch for one in everything if float(one.train_loss) <= threshold) == below
    assert (float(everything[below - 1].batch_loss) > 10 * threshold) is (below != stopped)
    (ours,) = train([tiny(steep | {"stop.train_loss": threshold})])
    assert (ours.result.metrics[names.EPOCHS], ours.result.stop_reason) == (stopped, names.STOP_THRESHOLD)


def test_the_last_partial_batch_is_kept_with_its_own_mean() -> None:
    """One epoch of 5 samples in batches of 3 and 2, written out."""
    config = tiny({"dataset.train_size": 5, "optimizer.batch_size": 3, "stop.max_epochs": 1, "model.depth": 0})
    (ours,) = train([config])
    samples = stack_data.build([config], CPU)
    start = stack.build([config], (1, 8, 8), 10, CPU).network(0)
    weight, bias = (values.double() for values in start.values())
    order = np.random.Generator(np.random.Philox(key=_key(b"order:0:1"))).permutation(5)
    inputs, labels = samples.train_slice(0, 5)
    for batch in (order[:3], order[3:]):
        x, y = inputs[0, batch].flatten(1).double(), labels[0, batch]
        residual = (x @ weight.T + bias).softmax(1) - torch.nn.functional.one_hot(y, 10)
        weight -= 0.1 * residual.T @ x / len(batch)
        bias -= 0.1 * residual.sum(0) / len(batch)
    first, second = ours.parameters.values()
    assert first.numpy() == pytest.approx(weight.numpy(), abs=1e-6)
    assert second.numpy() == pytest.approx(bias.numpy(), abs=1e-6)
    assert ours.result.step == 2


def _key(text: bytes) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(text).digest()[:16], "little")


@pytest.mark.parametrize("rows", [1, 30, 64, 99])
def test_a_large_batch_taken_in_parts_is_the_whole_batch(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny({"optimizer.batch_size": 0, "stop.max_epochs": 20})
    (whole,) = train([config])
    monkeypatch.setattr(epochs, "ROWS", rows)
    (parts,) = train([config])
    assert whole.result.step == parts.result.step == 20
    for name, values in whole.parameters.items():
        assert parts.parameters[name].numpy() == pytest.approx(values.numpy(), abs=1e-5)
    assert parts.result.metrics[names.TRAIN_LOSS] == pytest.approx(whole.result.metrics[names.TRAIN_LOSS], rel=1e-4)
    (beside, _) = train([config, tiny({"optimizer.batch_size": 0, "stop.max_epochs": 20, "seed": 1})])
    assert_same(beside, parts)


# Independent ends


def test_networks_end_by_their_own_criteria_and_leave_the_stack() -> None:
    criteria: list[dict[str, Any]] = [
        {"stop.margin": 0.5, "stop.fraction": 0.8},
        {"stop.margin": 2.0, "stop.fraction": 0.8},
        {"stop.train_error": 0.1},
        {"stop.train_error": 0.02},
        {"stop.train_loss": 0.3},
        {},
    ]
    common = {"optimizer.lr": 0.3, "stop.train_loss": 0.0, "stop.max_epochs": 40}
    configs = [tiny(common | {"seed": seed} | one) for seed, one in enumerate(criteria)]
    together = train(configs)
    assert [one.result.stop_reason for one in together] == [
        "margin", "margin", "error", "error", "threshold", "max_epochs"
    ]  # fmt: skip
    epochs = [one.result.metrics[names.EPOCHS] for one in together]
    assert epochs[0] < epochs[1] < 40
    assert epochs[2] < epochs[3] < 40
    for config, one in zip(configs, together, strict=True):
        assert_same(one, train([config])[0])


def test_a_network_stops_at_the_first_epochs_end_that_meets_its_margin() -> None:
    """Against the margins that the measures are computed from; the batch loss far above does not delay it."""
    common = {"stop.train_loss": 0.0, "optimizer.lr": 0.3}
    (ours,) = train([tiny(common | {"stop.margin": 1.0, "stop.fraction": 0.5, "stop.max_epochs": 60})])
    epochs = int(ours.result.metrics[names.EPOCHS])
    medians = [
        train([tiny(common | {"stop.max_epochs": epoch})])[0].result.metrics[names.measure("margin_median")]
        for epoch in (epochs - 1, epochs)
    ]
    assert ours.result.stop_reason == "margin"
    assert medians[0] < 1.0 <= ours.result.metrics[names.measure("margin_median")]
    assert medians[1] == ours.result.metrics[names.measure("margin_median")]


def test_the_first_criterion_that_is_met_ends_a_network() -> None:
    common = {"stop.margin": 1.0, "stop.fraction": 0.9, "stop.train_error": 0.05, "stop.max_epochs": 100}
    found = {}
    for loss in (0.0, 1.0):
        (one,) = train([tiny(common | {"stop.train_loss": loss})])
        found[loss] = (one.result.stop_reason, one.result.metrics[names.EPOCHS])
    assert found[0.0][0] == "error"
    assert found[1.0][0] == "threshold"
    assert found[1.0][1] < found[0.0][1]


def test_a_diverging_network_meets_no_criterion() -> None:
    """Its logits overflow in the last step of an epoch, and some label is then the largest by convention."""
    changes = {"optimizer.lr": 1e30, "optimizer.batch_size": 0, "stop.train_loss": 0.0, "stop.max_epochs": 5}
    criteria = {"stop.train_error": 0.99, "stop.margin": -1e30, "stop.fraction": 0.01}
    (one,) = train([tiny(changes | criteria)])
    assert one.result.stop_reason == names.STOP_DIVERGED


def test_networks_end_by_their_own_thresholds_and_leave_the_stack() -> None:
    thresholds = (0.3, 0.05, 0.0, 0.8)
    configs = [
        tiny({"optimizer.lr": 0.5, "stop.train_loss": value, "stop.max_epochs": 40, "seed": seed})
        for seed, value in enumerate(thresholds)
    ]
    ends: dict[int, tuple[int, str]] = {}
    live = [0, 1, 2, 3]
    for one in snapshots(configs):
        assert sorted(one.members) == live
        assert one.running == list(range(len(live)))
        for position, reason in one.ended.items():
            ends[one.members[position]] = (one.epoch, reason)
        live = [member for member in live if member not in ends]
    assert [reason for _, reason in (ends[i] for i in range(4))] == [
        "threshold",
        "threshold",
        "max_epochs",
        "threshold",
    ]
    assert ends[3][0] < ends[0][0] < ends[1][0] < ends[2][0] == 40
    for config, together in zip(configs, train(configs), strict=True):
        assert_same(together, train([config])[0])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_networks_that_have_ended_may_stay_for_a_while(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA, where every new shape costs; no result depends on when the stack shrinks."""
    levels = (7, 2, 9, 2, 4)
    configs = [
        tiny({"optimizer.lr": 0.1, "stop.train_loss": 0.05 * level, "stop.max_epochs": 60, "seed": seed})
        for seed, level in enumerate(levels)
    ]
    expected = train(configs)
    assert len({one.result.step for one in expected}) > 2
    monkeypatch.setitem(loop.SHRINK, "cpu", share)
    found = snapshots(configs)
    for one in found:
        assert len(one.resting) <= share * len(configs)
        assert not one.resting & one.ended.keys()
        assert not set(one.running) & one.resting
    for one, other in zip(train(configs), expected, strict=True):
        assert_same(one, other)


def test_a_finished_network_costs_nothing() -> None:
    """What is trained shrinks: after the first end the loop works on one network alone."""
    configs = [tiny({"stop.train_loss": value, "stop.max_epochs": 40}) for value in (100.0, 0.0)]
    found = snapshots(configs)
    assert [len(one.train_loss) for one in found] == [2] + [1] * 39
    ended = train(configs)
    assert ended[0].result.metrics[names.EPOCHS] == 1
    assert ended[0].result.seconds < ended[1].result.seconds


@pytest.mark.parametrize("loss", LOSSES)
def test_a_diverging_network_changes_nothing_for_its_neighbours(loss: str) -> None:
    rates = (0.01, 1e30, 0.02)
    configs = [tiny({"optimizer.lr": rate, "stop.max_epochs": 5}, f"loss={loss}") for rate in rates]
    together = train(configs)
    assert together[1].result.stop_reason == names.STOP_DIVERGED
    assert together[1].result.metrics[names.EPOCHS] < 5
    assert not math.isfinite(together[1].result.metrics[names.TRAIN_LOSS])
    without = train([configs[0], configs[2]])
    assert_same(together[0], without[0])
    assert_same(together[2], without[1])
    assert_same(together[1], train([configs[1]])[0])


def test_when_a_network_diverges_does_not_depend_on_its_neighbours_nor_on_what_is_recorded() -> None:
    """With one batch an epoch a loss can be finite in its epoch and overflow at the epoch's end."""
    changes = {"model.depth": 0, "optimizer.batch_size": 1000, "stop.max_epochs": 60, "history": 0}
    diverging = tiny(changes | {"optimizer.lr": 10.0, "stop.train_loss": 0.0}, "loss=squared_error")
    checked = tiny(changes | {"optimizer.lr": 0.01, "stop.train_loss": 100.0}, "loss=squared_error")
    waiting = tiny(changes | {"optimizer.lr": 0.001, "model.init_scale": 0.1}, "loss=squared_error")  # always due
    (alone,) = train([diverging])
    assert alone.result.stop_reason == names.STOP_DIVERGED
    assert 2 < alone.result.metrics[names.EPOCHS] < 60
    assert_same(train([diverging, waiting, checked])[0], alone)
    (recorded,) = train(
        [tiny(changes | {"optimizer.lr": 10.0, "stop.train_loss": 0.0, "history": 500}, "loss=squared_error")]
    )
    assert recorded.result.metrics[names.EPOCHS] == alone.result.metrics[names.EPOCHS]


# What is recorded


@pytest.mark.parametrize(("points", "epochs"), [(25, 1000), (25, 10), (3, 7), (1, 5), (25, 1)])
def test_recorded_epochs_are_log_spaced_from_the_first_to_the_last(points: int, epochs: int) -> None:
    recorded = sorted(observer.recorded_epochs(points, epochs))
    assert recorded[:2] == [0, 1]
    assert len(recorded) <= points + 1
    if points > 1:
        assert recorded[-1] == epochs
    if epochs > points > 1:
        ratios = np.diff(np.log(recorded[len(recorded) // 2 :]))
        assert ratios.max() < 2 * ratios.min()


def test_no_history_where_none_is_wanted() -> None:
    assert observer.recorded_epochs(0, 100) == frozenset()
    (one,) = train([tiny({"history": 0})])
    assert one.result.history == []


def test_history_holds_the_values_of_its_epochs_and_the_end_stands_apart() -> None:
    config = tiny({"stop.max_epochs": 6, "stop.train_loss": 0.0, "history": 100})
    (one,) = train([config])
    assert [step for step, _ in one.result.history] == [0, 2, 4, 6, 8, 10]
    expected = plain.train(config)
    for epoch, (_, values) in enumerate(one.result.history):
        assert values.keys() == one.result.history[0][1].keys() <= one.result.metrics.keys()
        assert values[names.GAP] == values[names.TEST_ERROR] - values[names.TRAIN_ERROR]
        if epoch == 0:
            assert values[names.DISTANCE] == 0
            assert values[names.TRAIN_ERROR] > 0.5
        else:
            assert values[names.TRAIN_LOSS] == pytest.approx(expected.train_losses[epoch - 1], rel=1e-4)
            assert values[names.DISTANCE] == pytest.approx(expected.distances[epoch - 1], rel=1e-4)


def test_history_changes_nothing_about_the_result() -> None:
    bare, full = (train([tiny({"history": points, "stop.max_epochs": 12})])[0] for points in (0, 100))
    assert bare.result.metrics == full.result.metrics


def test_the_hash_of_the_initial_parameters_is_theirs() -> None:
    configs = [tiny({"seed": seed}) for seed in (0, 1)]
    hashes = [one.result.theta0 for one in train(configs)]
    assert len(set(hashes)) == 2
    built = stack.build(configs, (1, 8, 8), 10, CPU)
    assert hashes == [weights.theta_hash(built.network(i)) for i in (0, 1)]
    same_start = train([tiny({"seeds.order": 5, "optimizer.lr": 0.3})])[0]
    assert same_start.result.theta0 == hashes[0]


def test_progress_tells_of_the_live_networks() -> None:
    configs = [tiny({"stop.train_loss": value, "stop.max_epochs": 3}) for value in (100.0, 0.0)]
    events = [event for event in job.train(configs, CPU) if not isinstance(event, observer.Trained)]
    assert [(event.epoch, [*event.batch_loss]) for event in events if event.epoch] == [(1, [0, 1]), (2, [1]), (3, [1])]


# Golden results: a change of numerics shows here


GOLDEN = {
    "cross_entropy": ({"stop.max_epochs": 10}, 4.370743, 0.109785),
    "squared_error": ({"stop.max_epochs": 10, "noise.level": 0.5}, 1.257172, 0.875131),
}


@pytest.mark.parametrize("loss", GOLDEN)
def test_golden_results(loss: str) -> None:
    changes, distance, train_loss = GOLDEN[loss]
    (one,) = train([make({"model.width": 32, "device": "cpu"} | changes, f"loss={loss}")])
    assert one.result.metrics[names.DISTANCE] == pytest.approx(distance, rel=1e-4)
    assert one.result.metrics[names.TRAIN_LOSS] == pytest.approx(train_loss, rel=1e-3)


def test_training_twice_gives_the_same() -> None:
    first, second = (train([tiny()])[0] for _ in range(2))
    assert_same(first, second)
    assert facts(first.result)["metrics"][names.DISTANCE] > 0
