"""Configs and files drawn at random: used, or refused in one clear line; nothing else, and nothing lost.

What is drawn is the same in every run. INITDIST_FAULTS multiplies how much (`make faults` sets it).
"""

import os
import sqlite3
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

from initdist import names, tracking
from initdist.data import datasets
from initdist.data.datasets import fashion_mnist, images, mnist
from initdist.errors import ConfigError, DatasetError, UserError
from initdist.events import Done, Failed, Result, Task, ToTrain
from initdist.stacks import weights
from initdist.sweeps import leases, outbox, planning, session
from initdist.sweeps.leases import Leases
from initdist.tracking import Outcome, TrackingError
from initdist.training import checkpoint
from initdist.workers import worker
from tests.helpers import CPU, Heard, unresolved

BUDGET = float(os.environ.get("INITDIST_FAULTS", "1"))


def drawn(examples: int):
    """Settings of a property: so many examples, times the budget, the same ones in every run."""
    return settings(
        max_examples=max(1, int(examples * BUDGET)),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 0.1, 1e-3, 1e30, 1e-30, float("nan"), float("inf"), -0.0]),
    st.floats(0, 1),
)
VALUES = {
    "model.width": st.sampled_from([0, 1, 3, 8, -2, "wide"]),
    "model.depth": st.sampled_from([0, 1, 2, 3, -1]),
    "model.activation": st.sampled_from(["relu", "tanh", "gelu", "identity", "softmax", ""]),
    "model.bias": st.booleans(),
    "model.init": st.sampled_from(["xavier", "he", "ntk", "torch", "zero"]),
    "model.init_scale": NUMBERS,
    "model.output_scale": st.none() | NUMBERS,
    "model.linearize": st.booleans(),
    "dataset.train_size": st.sampled_from([0, 1, 2, 3, 17, 40, 1281]),
    "dataset.balanced": st.booleans(),
    "dataset.image_size": st.sampled_from([0, 8]),
    "dataset.grayscale": st.booleans(),
    "noise.level": NUMBERS,
    "optimizer.lr": NUMBERS,
    "optimizer.batch_size": st.sampled_from([0, 1, 7, 64, 10**6, -1, "all"]),
    "optimizer.momentum": NUMBERS,
    "optimizer.nesterov": st.booleans(),
    "optimizer.beta1": NUMBERS,
    "optimizer.beta2": NUMBERS,
    "optimizer.eps": NUMBERS,
    "optimizer.weight_decay": NUMBERS,
    "optimizer.clip_norm": NUMBERS,
    "optimizer.schedule": st.sampled_from(["constant", "cosine", "step", "linear"]),
    "optimizer.schedule_epochs": st.sampled_from([0, 1, 2, 100, -1]),
    "optimizer.schedule_factor": NUMBERS,
    "stop.train_loss": NUMBERS,
    "stop.margin": st.none() | NUMBERS,
    "stop.fraction": NUMBERS,
    "stop.train_error": st.none() | NUMBERS,
    "stop.max_epochs": st.sampled_from([1, 2, 0]),
    "seed": st.sampled_from([0, 1, 2**31, 2**63 - 1, -1]),
    "vary.seed": st.lists(st.integers(-1, 5), max_size=3),
    "vary.noise.level": st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), max_size=2),
    "numerics.precision": st.sampled_from(["float32", "bfloat16", "float16"]),
    "history": st.sampled_from([0, 1, 5, -1]),
    "checkpoint.every_minutes": NUMBERS,
    "tracking.patience": NUMBERS,
    "device": st.sampled_from(["cpu", "tpu"]),
    "workers": st.sampled_from([0, 1, -1]),
}
GROUPS = {
    "model": ("mlp", "linear", "cnn", "resnet"),
    "optimizer": ("sgd", "momentum", "adam"),
    "noise": ("labels", "shuffled_pixels", "random_pixels", "gaussian"),
    "loss": ("cross_entropy", "squared_error"),
}
SMALL = {"model.width": 4, "model.depth": 1, "dataset.train_size": 40, "stop.max_epochs": 2, "device": "cpu"}
CHOICES = st.tuples(*(st.sampled_from([f"{group}={one}" for one in those]) for group, those in GROUPS.items()))


@st.composite
def changes(draw) -> dict[str, object]:
    """A few keys with values that need not be allowed."""
    keys = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4, unique=True))
    return {key: draw(VALUES[key]) for key in keys}


def attempt(call, refusal):
    """What a call gives, and None; or None, and the text of its refusal."""
    try:
        return call(), None
    except refusal as error:
        return None, str(error)


def outcome_of(given: dict[str, object], choices: tuple[str, ...]) -> str:
    """`refused` or `trained`; anything else is an error here."""
    try:
        cfg = unresolved(SMALL | given, *choices)
    except OmegaConfBaseException:  # Hydra says the same of a value of the wrong type
        return "refused"
    networks, refused = attempt(lambda: planning.networks(cfg), UserError)
    if refused is not None:
        assert "\n" not in refused
        assert " must " in refused
        return "refused"
    heard = Heard()
    asked = tuple(ToTrain(network.identity, network.config) for network in networks)
    worker._train(heard, Task(asked, networks[0].data.fingerprint), CPU)
    assert isinstance(heard[-1], Done)
    assert not [event.error for event in heard if isinstance(event, Failed)]
    results = [event for event in heard if isinstance(event, Result)]
    assert sorted(event.network for event in results) == sorted(network.identity for network in networks)
    for event in results:
        complete = {names.DISTANCE, names.TRAIN_LOSS, names.TEST_ERROR, names.GAP} <= event.metrics.keys()
        assert complete or event.stop_reason == names.STOP_DIVERGED
    return "trained"


def test_any_config_trains_or_is_refused_in_one_line():
    seen = []

    @drawn(120)
    @given(changes(), CHOICES)
    def every(given, choices):
        seen.append(outcome_of(given, choices))

    every()
    assert min(seen.count("trained"), seen.count("refused")) >= len(seen) // 5  # neither of them hides the other


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """A file that was cut off, changed, lengthened, or is something else."""
    content = bytearray(whole)
    how = draw(st.sampled_from(["cut", "bytes", "longer", "other", "header"]))
    if how == "cut":
        return bytes(content[: draw(st.integers(0, max(0, len(content) - 1)))])
    if how == "other":
        return draw(st.binary(max_size=200))
    if how == "longer":
        return bytes(content) + draw(st.binary(min_size=1, max_size=20))
    reach = min(len(content), 64) if how == "header" else len(content)
    for position, value in draw(st.lists(st.tuples(st.integers(0, reach - 1), st.integers(0, 255)), min_size=1)):
        content[position] = value
    return bytes(content)


@pytest.fixture(scope="module")
def state() -> checkpoint.State:
    values = {"1.weight": torch.arange(12.0).reshape(3, 4), "1.bias": torch.zeros(3)}
    return checkpoint.State(3, values, {"step": torch.tensor(7.0)}, (0.1, 0.01), {"history": [[0, {"a": 1.0}]]})


def test_any_damaged_checkpoint_is_named(tmp_path, state):
    file = tmp_path / "abc" / names.CHECKPOINT_FILE
    checkpoint.save(file, "abc", state)
    whole = file.read_bytes()

    @drawn(300)
    @given(damaged(whole))
    def every(content):
        file.write_bytes(content)
        found, refused = attempt(lambda: checkpoint.load(file, "abc"), checkpoint.CheckpointError)
        if refused is not None:
            assert str(file) in refused
            assert "\n" not in refused
        else:  # a byte that means nothing, such as a blank of the header
            assert (found.epoch, found.waiting, found.record) == (state.epoch, state.waiting, state.record)
            for name, value in state.parameters.items():
                assert torch.equal(found.parameters[name], value)

    every()


def test_any_damaged_weights_are_named(tmp_path):
    from safetensors.torch import save

    whole = save({"a": torch.ones(3, 2), "b": torch.zeros(2)}, metadata={"initdist.theta0": "x"})
    file = tmp_path / names.WEIGHTS_FILE

    @drawn(200)
    @given(damaged(whole))
    def every(content):
        file.write_bytes(content)
        found, refused = attempt(lambda: weights.load(file, {"a": (3, 2), "b": (2,)}), UserError)
        if refused is not None:
            assert refused.startswith((f"{names.WEIGHTS_FILE} is corrupt: ", "its weights do not match its config: "))
        else:  # the format has no checksum: what is read is tensors of these shapes and nothing else
            assert {name: tuple(value.shape) for name, value in found.items()} == {"a": (3, 2), "b": (2,)}

    every()


def test_any_damaged_outcome_is_named_and_not_used(tmp_path, capsys):
    outcome = Outcome({"a": 0.1}, [(0, {"a": 1.0})], 7, {"t": "x"}, [])
    outbox.keep(tmp_path, outcome)
    file = tmp_path / outbox.FILE
    whole = file.read_bytes()

    @drawn(300)
    @given(damaged(whole))
    def every(content):
        file.write_bytes(content)
        found = outbox.find(tmp_path)
        said = capsys.readouterr().err
        if found is None:
            assert said.startswith(f"initdist: {file} cannot be used: ")
            assert said.count("\n") == 1
        else:
            assert repr(found) == repr(outcome)

    every()


def test_any_claim_file_is_a_claim_or_none(tmp_path):
    file = tmp_path / "abc" / leases.FILE
    file.parent.mkdir()

    @drawn(200)
    @given(damaged(tracking.this_process().encode()) | st.binary(max_size=60))
    def every(content):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        claimed = Leases(tmp_path).elsewhere(["abc"])
        with Leases(tmp_path).held(["abc"]) as (mine, _):
            assert mine == ({"abc"} - claimed.keys())
        assert file.exists() == bool(claimed)
        if claimed:  # only one of another host or container stands
            assert tracking.is_process(content.decode(errors="replace"))
            assert tracking.lives(content.decode(errors="replace")) is None

    every()


def test_any_damaged_sweep_file_is_named(tmp_path):
    from tests.helpers import tiny

    store = tracking.Store("sqlite:////a", "x", "1")
    opened = session.Sweep("5" * 12, store, "r", frozenset({"a"}), 1, True, frozenset())
    settings = tiny({"tracking.sweep": opened.save(tmp_path)}).tracking
    file = session.file_of(tmp_path, settings.sweep)
    whole = file.read_bytes()

    @drawn(200)
    @given(damaged(whole))
    def every(content):
        file.write_bytes(content)
        found, refused = attempt(lambda: session.join(tmp_path, settings), ConfigError)
        expected = f"{file} must be as the sweeper wrote it, got a damaged one: "
        assert found == opened if refused is None else refused.startswith(expected)

    every()


def test_any_other_mnist_file_is_named(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    config = datasets.DatasetConfig(name="mnist", train_size=2, root=str(tmp_path), download=False)

    @drawn(60)
    @given(st.sampled_from(sorted(mnist.SOURCE.files)), damaged(struct.pack(">IIII", 2051, 2, 28, 28) + bytes(1568)))
    def every(name, content):
        for other in mnist.SOURCE.files:
            (folder / other).write_bytes(content)
        for use in (datasets.prepare, datasets.load):
            with pytest.raises(DatasetError, match="is corrupt: MD5 must be"):
                use(config)

    every()


def test_any_header_of_a_file_without_a_known_digest_is_named(tmp_path):
    """Fashion-MNIST's files are known by their lengths alone."""
    from tests.data.test_images import zeros

    folder = tmp_path / "FashionMNIST" / "raw"
    zeros(folder)
    config = datasets.DatasetConfig(name="fashion_mnist", train_size=2, root=str(tmp_path), download=False)
    files = [folder / name for name in fashion_mnist.SOURCE.files if name.startswith("t10k")]
    kept = {file: file.read_bytes() for file in files}

    @drawn(12)
    @given(st.sampled_from(files), st.binary(min_size=16, max_size=16))
    def every(file, header):
        with file.open("r+b") as opened:
            opened.write(header[: 8 if "labels" in file.name else 16])
        with pytest.raises(DatasetError, match=f"dataset files in {folder} are corrupt"):
            datasets.load(config)
        file.write_bytes(kept[file])

    every()
    with files[-1].open("r+b") as opened:
        opened.seek(20)
        opened.write(b"\xc8\xc8" * 10)
    with pytest.raises(DatasetError, match=r"are corrupt \((a label of 200 among ten classes|.*)\)"):
        datasets.load(config)


def test_any_damaged_image_is_read_or_named(tmp_path):
    for k in range(8):
        file = tmp_path / ("train", "test")[k // 4] / f"class{k % 2}" / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * k).save(file)
    whole = file.read_bytes()
    config = datasets.DatasetConfig(
        name="images", train_size=2, root=str(tmp_path), image_size=8, grayscale=True, cache=str(tmp_path / "cache")
    )

    @drawn(80)
    @given(damaged(whole))
    def every(content):
        file.write_bytes(content)
        images._recent.cache_clear()
        found, refused = attempt(lambda: datasets.load(config).test_inputs.shape, DatasetError)
        assert found == (4, 1, 8, 8) if refused is None else str(file) in refused

    every()


def test_any_damaged_store_is_named_or_still_whole(tmp_path):
    """Pages of the file are overwritten, or it is cut off; what cannot be used is refused with its path."""
    from tests.tracking.test_tracking import NETWORK, OUTCOME

    first = tmp_path / "mlflow.db"
    with tracking.Writer(tracking.prepare(f"sqlite:///{first}", "x"), None, None) as writer:
        writer.start("a", NETWORK)
        writer.finish("a", OUTCOME)
    with sqlite3.connect(first) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    whole, count, seen = first.read_bytes(), [0], []

    def use(uri):
        store = tracking.prepare(uri, "x")
        tracking.asked(store, partial(tracking.finished, store))
        run_id = tracking.asked(store, partial(tracking.open_sweep, store, "s", "s", []))
        tracking.asked(store, partial(tracking.close_sweep, store, run_id, "FINISHED", {"sweep/finished": 1.0}))

    @drawn(15)
    @given(st.integers(0, len(whole) // 4096 - 1), st.sampled_from(["page", "cut", "noise"]), st.randoms())
    def every(page, how, random):
        count[0] += 1
        folder = tmp_path / str(count[0])
        folder.mkdir()
        content = bytearray(whole[: page * 4096] if how == "cut" else whole)
        if how != "cut":
            content[page * 4096 : (page + 1) * 4096] = bytes(4096) if how == "page" else random.randbytes(4096)
        path = folder / "mlflow.db"
        path.write_bytes(content)
        _, refused = attempt(lambda: use(f"sqlite:///{path}"), TrackingError)
        seen.append("used" if refused is None else "refused")
        if refused is not None:
            assert str(path) in refused
            assert "\n" not in refused
        assert path.exists()

    every()
    assert "refused" in seen


def test_nothing_in_the_package_unpickles_or_executes_what_it_reads():
    import ast

    root = Path(__file__).resolve().parents[2]
    for file in [*(root / "initdist").rglob("*.py"), *(root / "multirun_analysis").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"} & set(modules), file
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "torch.load", "pd.read_pickle", "yaml.load"), (file, called)
                if called == "np.load":
                    assert "allow_pickle=False" in ast.unparse(node), file
