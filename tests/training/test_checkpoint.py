"""Networks written down in the middle of their training, and what becomes of them from there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from initdist import names
from initdist.events import Done, Result, Started, Task
from initdist.stacks.optimizers import OPTIMIZERS
from initdist.training import checkpoint, job, observer
from initdist.training.checkpoint import CheckpointError, State
from initdist.workers import worker
from tests.helpers import CPU, Heard, assert_same, facts, tiny, to_train, train

VARIANTS = [
    *[(name, {}) for name in OPTIMIZERS],
    ("sgd", {"optimizer.clip_norm": 0.5, "optimizer.schedule": "cosine"}),
    ("momentum", {"optimizer.nesterov": True, "optimizer.weight_decay": 1e-3}),
    ("adamw", {"optimizer.weight_decay": 0.1}),
    ("momentum", {"constraint.name": "init_ball", "constraint.radius": 0.2}),
    ("sgd", {"constraint.name": "init_shell", "constraint.radius": 0.5, "model.init_offset": 0.3}),
    ("adam", {"constraint.name": "init_decay", "constraint.decay": 0.1}),
]
EPOCHS = 9


def networks(optimizer="momentum", changes=None, count=3):
    """Networks that end at different epochs."""
    own = {"stop.max_epochs": EPOCHS, "optimizer.lr": 0.01, "history": 4}
    levels = (0.0, 0.6, 0.0)
    return [
        tiny(own | {"seed": i, "stop.train_loss": levels[i]} | (changes or {}), f"optimizer={optimizer}")
        for i in range(count)
    ]


def states(configs, epoch) -> dict[int, State]:
    """Where each network that still runs stands at the end of an epoch."""
    found = {}
    for event in job.train(configs, CPU, every=1e-9):
        if isinstance(event, observer.Kept) and event.state.epoch == epoch:
            found[event.network] = event.state
    return found


@pytest.mark.parametrize("epoch", [1, 2, 4, 7, 8])
@pytest.mark.parametrize(("optimizer", "changes"), VARIANTS)
def test_a_network_ends_as_if_nothing_had_happened(optimizer, changes, epoch, tmp_path):
    """Bit for bit, through files, in a stack of those that were left."""
    configs = networks(optimizer, changes)
    expected = train(configs)
    found = states(configs, epoch)
    assert found.keys() == {i for i, one in enumerate(expected) if one.result.metrics[names.EPOCHS] > epoch}
    restored = []
    for i, state in found.items():
        checkpoint.save(tmp_path / f"{i}", f"network {i}", state)
        restored.append(checkpoint.load(tmp_path / f"{i}", f"network {i}"))
    ended = [
        event for event in job.train([configs[i] for i in found], CPU, restored) if isinstance(event, observer.Trained)
    ]
    assert len(ended) == len(found)
    members = list(found)
    for one in ended:
        assert_same(one, expected[members[one.network]])


def test_without_an_interval_nothing_is_written_down():
    assert not [event for event in job.train(networks(), CPU) if isinstance(event, observer.Kept)]


@pytest.fixture
def written(tmp_path):
    state = states(networks("adam"), 3)[0]
    file = tmp_path / "abc" / names.CHECKPOINT_FILE
    checkpoint.save(file, "abc", state)
    return file, state


def test_a_state_is_read_as_it_was_written(written):
    file, state = written
    found = checkpoint.load(file, "abc")
    assert (found.epoch, found.waiting) == (state.epoch, state.waiting)
    assert found.record == json.loads(json.dumps(state.record))
    for part, other in ((found.parameters, state.parameters), (found.optimizer, state.optimizer)):
        assert part.keys() == other.keys()
        assert all(torch.equal(part[name], other[name]) for name in other)
    assert found.optimizer.keys() >= {"beta1^t", "beta2^t"}
    assert [one.name for one in file.parent.iterdir()] == [names.CHECKPOINT_FILE]


def test_no_file_is_no_state(tmp_path):
    assert checkpoint.load(tmp_path / "nothing", "abc") is None


def test_a_file_that_was_cut_off_is_named(written):
    file, _ = written
    whole = file.read_bytes()
    for length in (0, 7, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=str(file)):
            checkpoint.load(file, "abc")


def test_any_changed_byte_is_noticed(written):
    file, _ = written
    whole = file.read_bytes()
    for position in range(0, len(whole), 997):
        changed = bytearray(whole)
        changed[position] ^= 1
        file.write_bytes(bytes(changed))
        with pytest.raises(CheckpointError, match=str(file)):
            checkpoint.load(file, "abc")


def test_another_network_or_another_pytorch_is_named(written, monkeypatch):
    file, _ = written
    with pytest.raises(CheckpointError, match="of another identity: abc instead of def"):
        checkpoint.load(file, "def")
    monkeypatch.setattr(torch, "__version__", "9.9.9")
    with pytest.raises(CheckpointError, match=r"of another torch: .* instead of 9\.9\.9"):
        checkpoint.load(file, "abc")


def test_another_safetensors_file_is_no_checkpoint(tmp_path):
    save_file({"parameters/w": torch.ones(2)}, tmp_path / "file")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(tmp_path / "file", "abc")


def work(configs, checkpoints=(), leave_after=None) -> dict[str, Result]:
    heard = Heard(leave_after)
    networks = to_train(configs)
    if checkpoints:
        networks = [replace(one, checkpoint=str(file)) for one, file in zip(networks, checkpoints, strict=True)]
    worker._train(heard, Task(tuple(networks)), CPU)
    assert isinstance(heard[0], Started)
    assert isinstance(heard[-1], Done)
    return {event.network: event for event in heard if isinstance(event, Result)}


def test_a_training_process_goes_on_from_where_each_network_stands(tmp_path, capsys):
    """One begins, one is at epoch 2, one at epoch 4, and one has a file that is of no use."""
    configs = networks(changes={"stop.train_loss": 0.0, "checkpoint.every_minutes": 1.0})
    configs.append(tiny({"seed": 7, "stop.max_epochs": EPOCHS, "stop.train_loss": 0.0}, "optimizer=momentum"))
    files = [tmp_path / f"{i}" / names.CHECKPOINT_FILE for i in range(4)]
    expected = work(configs)
    for i, epoch in ((1, 2), (2, 4)):
        checkpoint.save(files[i], f"{i}", states(configs, epoch)[i])
    files[3].parent.mkdir()
    files[3].write_bytes(b"nothing of use")
    found = work(configs, files)
    assert {i: facts(one) for i, one in found.items()} == {i: facts(one) for i, one in expected.items()}
    assert f"checkpoint {files[3]} cannot be read" in capsys.readouterr().err
    assert not files[3].exists()


def test_a_training_process_writes_networks_down_while_they_train(tmp_path):
    configs = networks(changes={"stop.train_loss": 0.0, "checkpoint.every_minutes": 1e-9})
    files = [tmp_path / f"{i}" / names.CHECKPOINT_FILE for i in range(3)]
    work(configs, files)
    for i, file in enumerate(files):
        with safe_open(file, "pt") as opened:
            assert json.loads(opened.metadata()["initdist.state"])["epoch"] == EPOCHS - 1
        assert checkpoint.load(file, f"{i}").epoch == EPOCHS - 1
    assert len(list(Path(tmp_path).rglob("*.safetensors"))) == 3


def test_a_training_process_that_is_to_leave_writes_down_what_trains_and_does_not_begin_the_rest(tmp_path):
    """At the end of the epoch, however long the interval; from there the networks end as if nothing had happened."""
    configs = networks(changes={"checkpoint.every_minutes": 1000.0})
    configs[1].stop.train_loss = 2.0
    configs.append(networks(changes={"seed": 7}, count=1)[0])
    files = [tmp_path / f"{i}" / names.CHECKPOINT_FILE for i in range(4)]
    expected = work(configs)
    assert not work(configs, files, leave_after=1)  # at the start, before the first epoch: nothing to write down
    assert not list(tmp_path.rglob("*.safetensors"))
    checkpoint.save(files[3], "3", states(configs, 2)[3])  # of a stack that comes after the others
    epoch = int(expected["1"].metrics[names.EPOCHS])
    assert 2 < epoch < EPOCHS
    ended = work(configs, files, leave_after=1 + epoch)
    assert ended.keys() == {"1"}
    found = [checkpoint.load(file, f"{i}") for i, file in enumerate(files)]
    assert [state and state.epoch for state in found] == [epoch, None, epoch, 2]
    rest = work(configs, files)
    assert {i: facts(one) for i, one in (ended | rest).items()} == {i: facts(one) for i, one in expected.items()}
