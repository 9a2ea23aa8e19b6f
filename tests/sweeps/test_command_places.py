"""Where the files of a command go, and what of another command's they must not be: end to end, in this process."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

import initdist
from initdist import names, tracking
from initdist.files import NAME_BYTES, fitting
from initdist.sweeps import hosts, leases, planning, session
from initdist.sweeps.workspace import Workspace
from initdist.tracking import filesystems
from tests.command import OTHER, TINY, by_identity, in_process, runs, with_store
from tests.helpers import composed, tiny

SEEDS = ",".join(str(10**9 + seed) for seed in range(15))  # of a fused job, with which its name is too long
ONE = ("model.width=4", *TINY)


def stores(folder: Path) -> list[Path]:
    return sorted(file.relative_to(folder) for file in folder.rglob("mlflow.db"))


def test_a_project_that_was_moved_or_copied_is_worked_on(tmp_path):
    """Trained, measured, loaded, analyzed: nothing is said to be missing, and nothing goes to where it was."""
    before, copied, moved = (tmp_path / name for name in ("before", "copied", "moved"))
    before.mkdir()
    in_process(with_store(before), "-m", "seed=0,1", *ONE)
    shutil.copytree(before, copied)
    before.rename(moved)
    for folder in (moved, copied):
        run_id = runs(folder)[0].info.run_id
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        initdist.load_network(run_id, uri)
        done = in_process(folder, "measures=log_prod_of_fro", "device=cpu", module="initdist.measure")
        assert "2 networks: 2 measured, 0 had everything, 0 lack weights" in done.stdout, done.stderr
        assert "1 to train, 2 finished before" in in_process(folder, "-m", "seed=0,1,2", *ONE).stdout
        assert len(list(folder.glob(f"mlartifacts/*/artifacts/{names.WEIGHTS_FILE}"))) == 3
    assert not before.exists()


def test_what_is_kept_of_networks_is_found_where_a_project_was_moved_to(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    a, b = (tracking.Store(f"sqlite:///{tmp_path / name / 'mlflow.db'}", "x", "1") for name in "ab")
    there, now = (Workspace.of(str(tmp_path / name / "checkpoints"), one) for name, one in (("a", a), ("b", b)))
    assert there.base.name == now.base.name
    shared = [Workspace.of(str(tmp_path / "shared"), one).base for one in (a, b)]
    assert len(set(shared)) == 2  # two stores, one checkpoint.dir
    earlier = hashlib.sha256(f"{a.uri}\nx".encode()).hexdigest()[:12]
    (there.base.parent / earlier).mkdir(parents=True)
    assert Workspace.of(str(tmp_path / "a" / "checkpoints"), a).base.name == earlier


@pytest.mark.parametrize("mode", [("-m", "seed=0,1"), ()], ids=["a multirun", "a single run"])
def test_relative_places_are_those_of_the_call_wherever_jobs_work(tmp_path, mode):
    with_store(tmp_path)
    done = in_process(tmp_path, *mode, *ONE, "hydra.job.chdir=true")
    assert " 0 failed" in done.stdout
    assert stores(tmp_path) == [Path("mlflow.db")]
    assert len(list(tmp_path.rglob("checkpoints"))) == 1


def test_two_sweeps_in_one_directory_know_their_own(tmp_path):
    store = tracking.Store("sqlite:////a", "x", "1")
    opened = [session.Sweep("5" * 12, store, run, frozenset({run}), 1, True, frozenset()) for run in "ab"]
    own = [one.save(tmp_path) for one in opened]
    assert [session.join(tmp_path, tiny({"tracking.sweep": one}).tracking) for one in own] == opened


def test_jobs_may_be_named_by_their_overrides_however_long(tmp_path):
    """The log that is named is there."""
    with_store(tmp_path)
    uri = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    (network,) = planning.networks(composed("model.width=4", "seed=1000000000", *TINY, uri))
    store = tracking.prepare(network.config.tracking.uri, "initdist")
    blocked = Workspace.of(str(tmp_path / "checkpoints"), store).folder(network.identity) / names.WEIGHTS_FILE
    (blocked / "in the way").mkdir(parents=True)
    named = ("hydra.sweep.dir=swept", "hydra.sweep.subdir=${hydra.job.override_dirname}")
    done = in_process(tmp_path, "-m", "model.width=4", f"seed={SEEDS}", *TINY, *named, check=False)
    closing = done.stdout.splitlines()[-1]
    (log,) = re.findall(r" [1-9]\d? failed \(job 0, mlp w4 n96: (\S+\.log)\)", closing)
    assert "IsADirectoryError" in (tmp_path / log).read_text()
    assert "tracking.sweep" not in log


def test_names_that_a_file_system_takes_stay_and_others_are_cut():
    assert fitting("a=1,b=2/c") == "a=1,b=2/c"
    long, other = f"x/{'é' * 200}1", f"x/{'é' * 200}2"
    assert fitting(long) != fitting(other)
    assert all(len(name.encode()) <= NAME_BYTES for name in fitting(long).split("/"))
    assert fitting(long).startswith("x/éééé")


def test_a_folder_that_hydra_cannot_make_is_named(tmp_path):
    done = in_process(tmp_path, *ONE, f"hydra.run.dir={'x' * 300}", check=False)
    assert done.returncode == 1
    assert re.fullmatch(
        r"initdist: hydra\.run\.dir must be a folder that can be written to, got x+: File name too long; name another "
        r"\(hydra\.run\.dir=DIR\), or start in another folder\n",
        done.stderr,
    )
    (tmp_path / "file").touch()
    done = in_process(tmp_path, "-m", *ONE, "hydra.sweep.dir=file/x", check=False)
    assert done.stderr == (
        "initdist: hydra.sweep.dir must be a folder that can be written to, got file/x: Not a directory\n"
    )
    assert stores(tmp_path) == []


def test_on_a_network_file_system_one_host_at_a_time_uses_a_store(tmp_path, monkeypatch):
    """The table of file systems is made up, and the other host's lease; nothing else."""
    table = tmp_path / "mounts"
    table.write_text(f"host:/export {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(filesystems, "_MOUNTS", table)
    with_store(tmp_path)
    before = (tmp_path / "mlflow.db").stat()
    lease = tmp_path / "mlflow.db.hosts" / "other-host-1" / leases.FILE
    lease.parent.mkdir(parents=True)
    lease.write_text(OTHER)
    for module, given in (("initdist.train", ONE), ("initdist.measure", ()), ("initdist.clean", ())):
        done = in_process(tmp_path, *given, module=module, check=False)
        assert done.returncode
        assert "tracking.uri must be used by one host at a time where it is on a network file system (nfs4 at" in (
            done.stderr
        )
        assert re.search(r"which is used by host other-host, process 1, renewed \d+ s ago; for several, ", done.stderr)
        assert (tmp_path / "mlflow.db").stat() == before
    lease.unlink()
    with hosts.alone(f"sqlite:///{tmp_path / 'mlflow.db'}"):  # another process of this host
        done = in_process(tmp_path, *ONE)
    assert "is on a network file system (nfs4 at" in done.stderr
    assert len(by_identity(tmp_path)) == 1
    assert sorted(file.name for file in lease.parents[1].iterdir()) == [".lock", "other-host-1"]
    with pytest.raises(
        tracking.TrackingError, match=r"must be a server where jobs run on several hosts, got sqlite:///"
    ):
        hosts.check_launcher(f"sqlite:///{tmp_path / 'mlflow.db'}", "hydra_plugins.x.SlurmLauncher")
