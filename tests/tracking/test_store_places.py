"""Where a store and its files lie: moved, copied, read-only, locked, on a network. A real other user reads it."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from initdist import names, tracking, ui
from initdist.tracking import filesystems, places, store
from initdist.tracking.readonly import readable
from initdist.tracking.store import client
from tests.command import with_store
from tests.tracking.test_tracking import NETWORK, OUTCOME, named, write

MOUNTS = r"""
/dev/vda / ext4 rw 0 0
auto /home autofs rw 0 0
host:/export /home nfs4 rw 0 0
/dev/sdb /home/me/disk xfs rw 0 0
me@host: /mnt/my\040files fuse.sshfs rw 0 0
/dev/sdc /mnt/stick fuseblk rw 0 0
C: /mnt/c 9p rw 0 0
"""


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Says which file systems there are: nothing else is feigned."""
    table = tmp_path / "mounts"
    monkeypatch.setattr(filesystems, "_MOUNTS", table)
    return lambda text: table.write_text(text.lstrip("\n"))


def uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def mode(folder: Path) -> str:
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return database.execute("PRAGMA journal_mode").fetchone()[0]


def test_network_file_systems_are_told_from_disks(mounted):
    mounted(MOUNTS)
    for place, expected in {
        "/srv/x": "",
        "/home/me/project": "nfs4 at /home",
        "/homes": "",
        "/home/me/disk/project": "",
        "/mnt/my files/a": "fuse.sshfs at /mnt/my files",
        "/mnt/stick": "",
        "/mnt/c/Users": "9p at /mnt/c",
    }.items():
        assert filesystems.network(Path(place)) == expected
    for kind in (
        "nfs",
        "cifs",
        "smbfs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "afs",
        "fuse.s3fs",
        "macfuse",
    ):
        assert filesystems.is_network(kind), kind
    for kind in ("ext4", "tmpfs", "overlay", "apfs", "btrfs", "zfs", "nfsd", "fusectl"):
        assert filesystems.is_network(kind) == (kind == "fusectl"), kind


def test_on_a_network_file_system_a_store_leaves_wal_and_what_to_do_is_said(mounted, tmp_path, capsys):
    folder = with_store(tmp_path)
    mounted(f"/dev/vda / ext4 rw 0 0\nhost:/export {folder.parent} nfs4 rw 0 0\n")
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as another:
        another.execute("PRAGMA journal_mode=wal")  # as on the disk that it was copied from
        another.execute("SELECT 1 FROM runs").fetchone()
        with pytest.raises(tracking.TrackingError, match=r"must not be in SQLite's WAL mode on a network file system"):
            tracking.prepare(uri(folder), "mine")
    tracking.prepare(uri(folder), "mine")
    assert mode(folder) == "delete"
    said = capsys.readouterr().err
    assert f"is on a network file system (nfs4 at {folder.parent}), where SQLite is safe for one host at a time" in said
    assert "run `mlflow server --host 0.0.0.0` on one" in said
    with readable(folder / "mlflow.db") as file:
        assert file != folder / "mlflow.db"
    mounted("/dev/vda / ext4 rw 0 0\n")
    tracking.prepare(uri(folder), "mine")
    assert mode(folder) == "wal"
    assert capsys.readouterr().err == ""


def test_a_store_without_hard_links_beneath_is_made_all_the_same(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")  # as vfat and some network file systems

    monkeypatch.setattr(os, "link", refused)
    (tmp_path / "finished").write_text("whole")
    store._put(tmp_path / "finished", tmp_path / "mlflow.db")
    assert (tmp_path / "mlflow.db").read_text() == "whole"


@pytest.fixture
def project(tmp_path):
    """A folder with a store and a run with weights."""
    folder = tmp_path / "project"
    folder.mkdir()
    with_store(folder)
    (tmp_path / names.WEIGHTS_FILE).write_bytes(b"weights")
    outcome = tracking.Outcome(**{**vars(OUTCOME), "files": [tmp_path / names.WEIGHTS_FILE]})
    prepared = tracking.prepare(uri(folder), "mine")
    write(prepared, NETWORK, outcome=outcome)
    write(prepared, named("b"))  # none are kept of this one
    return folder, outcome


def found(folder: Path) -> dict[str, object]:
    """First letter of the identity -> where the weights of its run are, or why there are none."""
    there = tracking.Store(uri(folder), "mine", client(uri(folder)).get_experiment_by_name("mine").experiment_id)
    runs = tracking.finished_runs(there)
    return {
        identity[0]: tracking.artifact(there, run, names.WEIGHTS_FILE, folder) or tracking.why_no_weights(there, run)
        for identity, run in runs.items()
    }


def weights(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"mlartifacts/*/artifacts/{names.WEIGHTS_FILE}"))


def test_what_was_moved_is_found_and_goes_on_where_it_is(project, tmp_path, capsys):
    folder, outcome = project
    moved = folder.rename(tmp_path / "moved")
    assert found(moved)["a"] == weights(moved)[0]  # before a command has written to it
    write(tracking.prepare(uri(moved), "mine"), named("c"), outcome=outcome)
    said = (
        f"initdist: {moved / 'mlflow.db'} was moved or copied: files of its runs go to mlartifacts/ beside it, and no "
    )
    assert said + f"more to {folder / 'mlartifacts'}; those of 2 runs are looked for there\n" == capsys.readouterr().err
    assert found(moved)["b"] == "it was trained with tracking.save_weights=false"
    assert len(weights(moved)) == 2
    assert not folder.exists()
    there = client(uri(moved))
    for run in there.search_runs([there.get_experiment_by_name("mine").experiment_id]):
        assert run.info.artifact_uri.startswith(f"file://{moved}/mlartifacts/")  # what MLflow's UI goes by
    tracking.prepare(uri(moved), "mine")
    assert capsys.readouterr().err == ""


def test_the_ui_is_told_where_files_are_now(project, tmp_path, capsys):
    moved = project[0].rename(tmp_path / "moved")
    ui._prepare(moved / "mlflow.db", uri(moved))
    assert "was moved or copied" in capsys.readouterr().out
    for run in tracking.finished_runs(tracking.prepare(uri(moved), "mine")).values():
        assert run.info.artifact_uri.startswith(f"file://{moved}/mlartifacts/")
    with pytest.raises(SystemExit, match="the tracking store must exist, got sqlite:///"):
        ui._prepare(project[0] / "mlflow.db", uri(project[0]))


def test_what_was_copied_has_files_of_its_own(project, tmp_path):
    folder, outcome = project
    copied = Path(shutil.copytree(folder, tmp_path / "copied"))
    assert found(copied)["a"] == weights(copied)[0]
    write(tracking.prepare(uri(copied), "mine"), named("c"), outcome=outcome)
    assert (len(weights(folder)), len(weights(copied))) == (1, 2)
    shutil.rmtree(folder)
    assert found(copied).keys() == set("abc")
    assert found(copied)["a"].is_file()


def test_a_store_that_was_copied_without_its_files_reads_those_of_before(project, tmp_path):
    folder, outcome = project
    copied = tmp_path / "copied"
    copied.mkdir()
    for file in folder.glob("mlflow.db*"):
        shutil.copy(file, copied)
    write(tracking.prepare(uri(copied), "mine"), named("c"), outcome=outcome)
    assert (len(weights(folder)), len(weights(copied))) == (1, 1)
    assert found(copied)["a"] == weights(folder)[0]
    shutil.rmtree(folder)
    assert found(copied)["a"].startswith(f"there is no {folder}/mlartifacts/")
    assert "nor is it in mlartifacts/ beside the store: bring it back, unless none were kept" in found(copied)["a"]


def test_a_place_that_somebody_chose_stays(project, tmp_path):
    folder, outcome = project
    elsewhere = tmp_path / "disk" / "mlartifacts"
    elsewhere.mkdir(parents=True)
    client(uri(folder)).create_experiment("chosen", artifact_location=elsewhere.as_uri())
    moved = folder.rename(tmp_path / "moved")
    (run_id,) = write(tracking.prepare(uri(moved), "chosen"), NETWORK, outcome=outcome)
    assert (elsewhere / run_id / "artifacts" / names.WEIGHTS_FILE).is_file()


def test_files_of_a_run_are_beside_its_store_or_where_it_says(tmp_path):
    file = tmp_path / "mlflow.db"
    there = tmp_path / "mlruns" / "1" / "r" / "artifacts"
    there.mkdir(parents=True)
    for said in ("/gone/mlruns/1/r/artifacts", "file:///gone/mlruns/1/r/artifacts", there.as_uri()):
        assert places.folder(said, file) == there
    assert places.folder("file:///gone/mlruns/1/other/artifacts", file) == Path("/gone/mlruns/1/other/artifacts")
    assert places.folder("file:///a%20b/mlartifacts/r/artifacts", None) == Path("/a b/mlartifacts/r/artifacts")
    for elsewhere in ("s3://bucket/r/artifacts", "mlflow-artifacts:/1/r/artifacts", "mlruns/1/r/artifacts", ""):
        assert places.folder(elsewhere, file) is None


def as_another(file: Path, what: str, meanwhile: Callable[[], object] = lambda: None) -> str:
    """What a process prints that may not write to a file or its folder: another user's, where the tests run as root.

    `meanwhile` is done when it asks for input.
    """
    script = (
        "import os, sqlite3\nfrom pathlib import Path\nfrom initdist import tracking\n"
        "from initdist.tracking.readonly import read_only, readable\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        f"file = Path({str(file)!r})\n"
        f"try:\n{textwrap.indent(what, '    ')}\n"
        "except (tracking.TrackingError, sqlite3.Error) as error:\n    print(error)\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as child:
        if "input" in what:
            assert child.stdout.readline() == "reading\n"
            meanwhile()
        printed, _ = child.communicate("go on\n")
    assert child.returncode == 0
    return printed


READ = """
with tracking.reading(f"sqlite:///{file}") as reader:
    found = reader.experiment("mine").id
    print(*(row.run_name for row in reader.rows(found, (), print).runs))
with readable(file) as copy:
    print(copy != file, sqlite3.connect(copy).execute("SELECT count(*) FROM runs").fetchone())
"""
READ_SLOWLY = """
with read_only(file) as database:
    database.execute("SELECT 1 FROM runs").fetchone()
    input("reading\\n")
"""


@pytest.fixture
def read_only(project, tmp_path):
    """A copy of the project's store that no program has open and nobody but its owner may write to."""
    folder = tmp_path / "read only"
    folder.mkdir()
    source, copy = sqlite3.connect(project[0] / "mlflow.db"), sqlite3.connect(folder / "mlflow.db")
    with contextlib.closing(source), contextlib.closing(copy):
        source.backup(copy)
    for parent in folder.parents:
        if os.geteuid() == 0 and str(parent).startswith("/tmp/") and parent.owner() == "root":
            parent.chmod(0o755)
    (folder / "mlflow.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def test_a_store_that_one_may_only_read_is_read(read_only):
    names_of_both = f"{NETWORK.name} {NETWORK.name}\n"
    before = sorted(read_only.iterdir())
    assert as_another(read_only / "mlflow.db", READ) == names_of_both + "True (2,)\n"
    assert sorted(read_only.iterdir()) == before


def renamed(folder: Path, name: str) -> sqlite3.Connection:
    """The owner's connection, by which all runs have just been given a name."""
    owner = sqlite3.connect(folder / "mlflow.db")
    owner.execute("UPDATE runs SET name = ?", [name])
    owner.commit()
    return owner


@pytest.mark.skipif(os.geteuid() != 0, reason="the owner could not write either")
def test_a_store_that_one_may_only_read_is_read_while_its_owner_writes(read_only):
    with contextlib.closing(renamed(read_only, "new")):
        assert as_another(read_only / "mlflow.db", READ) == "new new\nTrue (2,)\n"
    said = as_another(read_only / "mlflow.db", READ_SLOWLY, lambda: renamed(read_only, "newer").close())
    assert said == "it was written to while it was read: read it again\n"  # where it could not be locked


@pytest.mark.skipif(os.geteuid() != 0, reason="the owner could not write either")
def test_what_a_killed_command_left_and_one_may_only_read_is_read_or_named(read_only):
    file = read_only / "mlflow.db"
    script = (
        "import os, sqlite3\n"
        f"owner = sqlite3.connect({str(file)!r})\n"
        "owner.execute('UPDATE runs SET name = ?', ['last'])\n"
        "owner.commit()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert as_another(file, READ) == "last last\nTrue (2,)\n"
    (read_only / "mlflow.db-shm").unlink()  # as where the folder was copied without it
    said = as_another(file, READ)
    assert said.startswith("a command that writes now, or was killed, has left mlflow.db-wal, which has to be written ")


def test_a_lock_of_another_program_is_waited_for_and_named(tmp_path, monkeypatch, capsys):
    """Each attempt is SQLite's own; only how long is waited is shorter."""
    file = with_store(tmp_path) / "mlflow.db"
    prepared = tracking.prepare(uri(tmp_path), "mine")

    def attempt():
        with contextlib.closing(sqlite3.connect(file, timeout=0)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            finally:
                attempts.append(None)
                if len(attempts) == 2:
                    other.rollback()

    attempts: list[None] = []
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        tracking.asked(prepared, attempt, 120.0, tracking.is_locked)
        assert len(attempts) == 3
        assert "cannot be written to, trying again for 120 s: database is locked" in capsys.readouterr().err
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(store, "BUSY_SECONDS", 0.0)
        with pytest.raises(
            tracking.TrackingError, match=r"mlflow\.db is locked by another program \(`fuser FILE` names"
        ):
            tracking.prepare(uri(tmp_path), "mine")
