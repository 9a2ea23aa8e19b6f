"""The tracking store, for real: SQLite files, processes, signals; what is written, what is found, what is refused."""

import contextlib
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from unittest import mock

import pytest

from initdist import names, tracking
from initdist.tracking import lookup, process
from initdist.tracking.store import client

NETWORK = tracking.NetworkFacts(
    identity="a" * 64,
    name="mlp w8 n96 p0 s0",
    params={"model.width": 8, "optimizer.lr": 0.1},
    tags={names.CLASSES: "10"},
    datasets=[tracking.DatasetInfo("digits-train", "digits/1", "sklearn", "training")],
)
OUTCOME = tracking.Outcome(
    metrics={"distance_from_init": 2.0, "train_loss": 0.5},
    history=[(0, {"distance_from_init": 0.0}), (3, {"distance_from_init": 1.5})],
    step=6,
    tags={names.STOP_REASON: names.STOP_THRESHOLD},
)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(params=["directly", "by the client"])
def looked_up(request, monkeypatch):
    """Finished networks are looked up in the tables, or as in any other store: the same are found."""
    if request.param == "by the client":
        monkeypatch.setattr("initdist.tracking.lookup._in_tables", lambda store, queries: None)


def write(store, *networks, outcome=OUTCOME, parent=None, sweep=None):
    with tracking.Writer(store, parent, sweep) as writer:
        for network in networks:
            writer.start(network.identity, network)
            writer.finish(network.identity, outcome)
    return [writer.runs[network.identity].id for network in networks]


def named(letter):
    return replace(NETWORK, identity=letter * 64)


def test_a_finished_run_holds_everything(store, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    outcome = replace(OUTCOME, files=[tmp_path / "weights.safetensors"])
    (run_id,) = write(store, NETWORK, outcome=outcome, parent="p" * 32, sweep="s1")
    run = client(store.uri).get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == NETWORK.name
    assert run.data.params == {"model.width": "8", "optimizer.lr": "0.1"}
    assert run.data.metrics == OUTCOME.metrics
    assert run.data.tags[names.IDENTITY] == NETWORK.identity
    assert run.data.tags[names.PARENT_RUN] == "p" * 32
    assert run.data.tags[names.SWEEP] == "s1"
    assert run.data.tags[names.STOP_REASON] == names.STOP_THRESHOLD
    points = client(store.uri).get_metric_history(run_id, "distance_from_init")
    assert [(p.step, p.value) for p in points] == [(0, 0.0), (3, 1.5), (6, 2.0)]
    assert [d.dataset.name for d in run.inputs.dataset_inputs] == ["digits-train"]
    assert [f.path for f in client(store.uri).list_artifacts(run_id)] == ["weights.safetensors"]


def test_values_that_are_not_finite_are_left_out_and_named(store):
    metrics = {"train_loss": math.nan, "test_loss": math.inf, "epochs": 3.0}
    (run_id,) = write(store, NETWORK, outcome=replace(OUTCOME, metrics=metrics))
    run = client(store.uri).get_run(run_id)
    assert run.data.metrics == {"distance_from_init": 1.5, "epochs": 3.0}
    assert run.data.tags["initdist.nonfinite"] == "test_loss,train_loss"


def test_more_metrics_than_a_call_takes(store):
    history = [(step, {f"m{k}": float(step) for k in range(30)}) for step in range(80)]
    (run_id,) = write(store, NETWORK, outcome=replace(OUTCOME, history=history))
    assert len(client(store.uri).get_metric_history(run_id, "m29")) == 80


@pytest.mark.usefixtures("looked_up")
def test_finished_finds_the_latest_of_each_and_nothing_else(store):
    first, other = write(store, named("b"), named("c"))
    (again,) = write(store, named("b"))
    (deleted,) = write(store, named("d"))
    client(store.uri).delete_run(deleted)
    with tracking.Writer(store, None, None) as writer:
        writer.start("e", named("e"))
        writer.fail("e", "broke")
    found = tracking.finished(store)
    assert {identity: one.run_id for identity, one in found.items()} == {"b" * 64: again, "c" * 64: other}
    assert again != first
    assert tracking.finished(store, since_ms=int(time.time() * 1000) + 60_000) == {}
    assert {one.stop_reason for one in found.values()} == {names.STOP_THRESHOLD}
    assert tracking.finished(store, but={again})["b" * 64].run_id == first
    assert tracking.finished_among(store, ["b" * 64, "e" * 64]) == {"b" * 64: found["b" * 64]}


@pytest.mark.usefixtures("looked_up")
def test_finished_reads_every_page(store, monkeypatch):
    monkeypatch.setattr("initdist.tracking.runs.PAGE", 2)
    monkeypatch.setattr("initdist.tracking.lookup.IDENTITIES_A_QUERY", 2)
    write(store, *(named(letter) for letter in "fghij"))
    assert len(tracking.finished(store)) == 5
    assert len(tracking.finished_among(store, (letter * 64 for letter in "efghijk"))) == 5


def test_many_networks_are_looked_up_by_few_searches(store, monkeypatch):
    write(store, *(named(letter) for letter in "lmn"))
    monkeypatch.setattr("initdist.tracking.lookup._in_tables", lambda store, queries: None)
    monkeypatch.setattr("initdist.tracking.lookup.FEW", 2)
    searched = mock.Mock(side_effect=lookup.search)
    monkeypatch.setattr("initdist.tracking.lookup.search", searched)

    def searches(page, many):
        monkeypatch.setattr("initdist.tracking.lookup.PAGE", page)
        monkeypatch.setattr("initdist.tracking.lookup.MANY", many)
        searched.reset_mock()
        assert tracking.finished_among(store, (letter * 64 for letter in "klm")).keys() == {"l" * 64, "m" * 64}
        return searched.call_count

    assert searches(page=200, many=300) == 1
    assert searches(page=2, many=2) == 1
    assert searches(page=2, many=300) == 1 + 3  # many runs, and few are asked for


@pytest.mark.usefixtures("looked_up")
def test_finished_tells_since_when_and_other_experiments_apart(store):
    (run_id,) = write(store, NETWORK)
    ended = client(store.uri).get_run(run_id).info.end_time
    assert tracking.finished(store, since_ms=ended).keys() == {NETWORK.identity}
    assert tracking.finished(store, since_ms=ended + 1) == {}
    other = tracking.prepare(store.uri, f"{store.experiment}, another")
    assert tracking.finished(other) == tracking.finished_among(other, [NETWORK.identity]) == {}
    client(store.uri).set_tag(run_id, names.KIND, names.KIND_SWEEP)
    assert tracking.finished(store) == {}


@pytest.mark.usefixtures("looked_up")
def test_what_finished_networks_lack_is_empty(store):
    bare = client(store.uri).create_run(store.experiment_id, tags={names.KIND: names.KIND_NETWORK}).info.run_id
    client(store.uri).set_terminated(bare)
    assert tracking.finished(store) == {"": tracking.Finished(bare, "", "", "{}")}


def test_a_failure_is_kept_with_its_text(store):
    with tracking.Writer(store, None, None) as writer:
        writer.start(0, NETWORK)
        writer.fail(0, "a long\ntraceback")
        writer.fail("never started", "no run to end")
    (run_id,) = (run.id for run in writer.runs.values() if run.id)
    assert client(store.uri).get_run(run_id).info.status == "FAILED"
    assert [f.path for f in client(store.uri).list_artifacts(run_id)] == ["error.txt"]


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (ValueError, "FAILED")]
)
def test_what_ended_is_written_and_what_runs_ends_with_the_cause(store, error, status):
    writer = tracking.Writer(store, None, None)

    def interrupted():
        with writer:
            writer.start(0, named("k"))
            writer.start(1, named("l"))
            writer.finish(0, OUTCOME)
            raise error

    with pytest.raises(error):
        interrupted()
    assert client(store.uri).get_run(writer.runs[0].id).info.status == "FINISHED"
    assert client(store.uri).get_run(writer.runs[1].id).info.status == status


def test_an_error_of_the_writing_thread_is_raised(store):
    writer = tracking.Writer(store, None, None)
    with (
        pytest.raises(tracking.TrackingError, match=r"params must have at most 6000 characters, longer: model\.width"),
        writer,
    ):
        writer.start(0, replace(NETWORK, params={"model.width": "9" * 6001}))


def test_a_killed_process_leaves_a_run_that_the_next_start_closes(store):
    script = (
        "import sys, time\n"
        "from initdist import tracking\n"
        "from tests.tracking.test_tracking import NETWORK\n"
        f"store = tracking.prepare({store.uri!r}, {store.experiment!r})\n"
        "writer = tracking.Writer(store, None, None).__enter__()\n"
        "writer.start(0, NETWORK)\n"
        "while 0 not in writer.runs or not writer.runs[0].id: time.sleep(0.1)\n"
        "print(writer.runs[0].id, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    run_id = child.stdout.readline().strip()
    assert tracking.close_stale(store) == 0  # its process lives
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert client(store.uri).get_run(run_id).info.status == "RUNNING"
    assert tracking.close_stale(store) == 1
    assert client(store.uri).get_run(run_id).info.status == "KILLED"


def test_only_a_dead_process_of_this_host_is_dead():
    host, pid, start = process.this_process().rsplit(":", 2)
    assert process.lives(process.this_process()) is True
    assert process.lives(f"{host}:{pid}:{start}9") is False  # a later process with the same number
    for unseen in (f"elsewhere:{pid}:{start}", f"{host}:{pid}:another-kernel{start}", f"elsewhere:{pid}:1", ""):
        assert process.lives(unseen) is None


def test_a_process_of_before_its_machine_started_anew_is_dead(monkeypatch):
    """Where both are seen to be on one machine, outside of containers."""
    host = process.this_process().rsplit(":", 2)[0]
    for place, dead in (("4026531836.m", True), ("4026531836.", False), ("4026532000.m", False)):
        monkeypatch.setattr(process, "_kernel", lambda place=place: f"boot2.{place}")
        assert process.lives(f"{host}:1:boot1.{place}-5") is (False if dead else None)
    monkeypatch.setattr(process, "_kernel", lambda: "boot2.4026531836.m")
    for unseen in ("boot1.4026531836.another", "boot1.4026532000.m", "boot1"):
        assert process.lives(f"{host}:1:{unseen}-5") is None


@pytest.mark.skipif(not process._kernel(), reason="needs Linux")
def test_a_living_process_of_an_earlier_version_lives():
    host, pid, _ = process.this_process().rsplit(":", 2)
    boot, start = process._kernel()[:8], process._start("self")
    assert process.lives(f"{host}:{pid}:{start}-{boot}") is True
    assert process.lives(f"{host}:{pid}:{start}9-{boot}") is None


def test_a_sweep_finds_its_parent_again(store):
    networks = [{"identity": "a", "name": "one"}, {"identity": "b", "name": "two"}]
    sweep = tracking.sweep_id(["a", "b"])
    assert sweep == tracking.sweep_id(["b", "a"])
    assert sweep != tracking.sweep_id(["a", "c"])
    run_id = tracking.open_sweep(store, sweep, "a sweep", networks, command="python -m initdist.train")
    tracking.close_sweep(store, run_id, "KILLED", {"sweep/finished": 1.0})
    assert tracking.open_sweep(store, sweep, "a sweep", networks) == run_id
    assert client(store.uri).get_run(run_id).info.status == "RUNNING"
    tracking.close_sweep(store, run_id, "FINISHED", {"sweep/finished": 2.0})
    run = client(store.uri).get_run(run_id)
    assert (run.info.status, run.data.metrics["sweep/finished"]) == ("FINISHED", 2.0)
    with open(client(store.uri).download_artifacts(run_id, names.NETWORKS_FILE)) as file:
        assert json.load(file) == {"sweep": sweep, "networks": networks}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_eight_processes_on_a_fresh_store(tmp_path, kind, request):
    """Forked, for time, by one that has imported all and opened nothing."""
    script = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from multiprocessing import get_context\n"
        "import mlflow\n"
        "from initdist import tracking\n"
        "from tests.tracking.test_tracking import NETWORK, OUTCOME, write\n"
        "def one(number):\n"
        "    write(tracking.prepare(sys.argv[1], 'shared'), replace(NETWORK, identity=number))\n"
        "children = [get_context('fork').Process(target=one, args=(str(k),)) for k in range(8)]\n"
        "for child in children: child.start()\n"
        "for child in children: child.join()\n"
        "sys.exit(str(codes) if any(codes := [child.exitcode for child in children]) else 0)\n"
    )
    uri = request.getfixturevalue("fresh_postgres") if kind == "postgres" else f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = subprocess.run([sys.executable, "-c", script, uri], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tracking.finished(tracking.prepare(uri, "shared")).keys() == {str(k) for k in range(8)}


def test_a_new_store_appears_only_when_its_tables_are_complete(tmp_path):
    path = tmp_path / "mlflow.db"
    script = f"from initdist import tracking; tracking.prepare('sqlite:///{path}', 'new')"
    with subprocess.Popen([sys.executable, "-c", script]) as child:
        while not path.exists() and child.poll() is None:
            time.sleep(0.001)
        with contextlib.closing(sqlite3.connect(path)) as database:
            revisions = database.execute("SELECT version_num FROM alembic_version").fetchall()
        assert len(revisions) == 1
    assert child.returncode == 0
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == revisions
    assert {file.name for file in tmp_path.iterdir()} <= {"mlflow.db", "mlflow.db.lock"}


def test_a_store_of_another_schema_names_the_upgrade(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracking.prepare(uri, "old")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    database.close()
    script = f"from initdist import tracking; tracking.prepare({uri!r}, 'old')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"mlflow db upgrade {uri}" in done.stderr


@pytest.mark.parametrize("mode", [0o555, 0o777], ids=["and its folder", "in a folder that takes files"])
def test_a_read_only_store_is_refused(tmp_path, mode):
    """As another user where the tests run as root, whom permissions do not bind."""
    folder = tmp_path / "folder"
    folder.mkdir()
    tracking.prepare(f"sqlite:///{folder / 'mlflow.db'}", "mine")
    for file in folder.glob("mlflow.db*"):
        file.chmod(0o444)
    before = sorted(folder.iterdir())
    folder.chmod(mode)
    for parent in folder.parents:
        if parent.owner() == "root" and os.geteuid() == 0 and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    script = (
        "import os\n"
        "from initdist import tracking\n"
        "import filelock, mlflow.tracking\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try:\n"
        f"    tracking.prepare('sqlite:///{folder / 'mlflow.db'}', 'mine')\n"
        "except tracking.TrackingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    folder.chmod(0o755)
    assert "tracking.uri must be writable, got sqlite:///" in done.stdout, done.stderr
    assert f"allow it (chmod u+rw {folder / 'mlflow.db'})" in done.stdout
    assert sorted(folder.iterdir()) == before


def test_a_deleted_experiment_names_the_way_back(uri):
    store = tracking.prepare(uri, "gone")
    client(uri).delete_experiment(store.experiment_id)
    with pytest.raises(tracking.TrackingError, match=f"mlflow experiments restore -x {store.experiment_id}"):
        tracking.prepare(uri, "gone")


def test_processes_that_log_the_same_new_dataset_at_once(tmp_path):
    """Eight writers, started together, hit the gap between look-up and insertion."""
    import threading

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    store = tracking.prepare(uri, "shared")
    barrier = threading.Barrier(8)
    errors = []

    def one(key):
        try:
            with tracking.Writer(store, None, None) as writer:
                barrier.wait()
                writer.start(key, named(key))
                writer.finish(key, OUTCOME)
        except tracking.TrackingError as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(tracking.finished(store)) == 8


def test_metrics_of_runs_are_the_same_from_the_tables_and_by_the_client(store, monkeypatch):
    first, second = write(store, NETWORK, named("b"))
    asked = ("distance_from_init", "never_logged")
    expected = {first: {"distance_from_init": 2.0}, second: {"distance_from_init": 2.0}}
    assert tracking.metrics_of(store, [first, second], asked) == expected
    monkeypatch.setattr("initdist.tracking.lookup.opened", lambda uri, columns: contextlib.nullcontext())
    assert tracking.metrics_of(store, [first, second], asked) == expected
    assert tracking.metrics_of(store, [], asked) == {}


def test_connections_are_closed_when_they_are_no_longer_needed(tmp_path):
    """The last one has SQLite take in what it wrote beside the store; whoever needs one later gets another."""
    store = tracking.prepare(f"sqlite:///{tmp_path}/mlflow.db", "closing")
    for count in (1, 2):
        write(store, named("ab"[count - 1]))
        assert (tmp_path / "mlflow.db-wal").exists()
        tracking.close_connections()
        assert not list(tmp_path.glob("*.db-*"))
        assert len(tracking.finished(store)) == count
        tracking.close_connections()
