"""Passwords and tokens of a store: no file, tag, message or list of processes has one."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow.tracking import MlflowClient

from initdist import load_network, names
from initdist.cli import arguments, compose
from initdist.config import identity
from initdist.errors import ConfigError, UserError
from initdist.paths import store_uri
from initdist.secrets import cause, masked, passed_on, secrets_in, unmasked
from initdist.tracking import TrackingError, prepare
from multirun_analysis import load_runs
from tests.command import TINY, environment, in_process, runs, start, wait_for, with_store
from tests.helpers import tiny

SECRET = "s3cr3t-Wort"
# URI -> how it is shown.
FORMS = {
    f"http://alice:{SECRET}@host:5000/at": "http://***@host:5000/at",
    f"https://{SECRET}@host": "https://***@host",
    f"https://:{SECRET}@host": "https://***@host",
    f"https://{SECRET}:x-oauth-basic@host": "https://***@host",
    f"http://host:5000/?api_key={SECRET}&page=2": "http://host:5000/?api_key=***&page=2",
    f"postgresql://me:{SECRET}@host/db": "postgresql://me:***@host/db",
    f"postgresql://me:a/{SECRET}@host/db": "postgresql://me:***@host/db",
    f"mysql+pymysql://me:a@b:{SECRET}@host/db": "mysql+pymysql://me:***@host/db",
    f"postgresql://me:{SECRET}%2F%40@host/db?sslmode=require": "postgresql://me:***@host/db?sslmode=require",
    f"postgresql:///db?host=/tmp/x&user=me&password={SECRET}": "postgresql:///db?host=/tmp/x&user=me&password=***",
    f"mssql+pyodbc:///?odbc_connect={quote(f'SERVER=h;UID=me;PWD={SECRET}')}": "mssql+pyodbc:///?odbc_connect=***",
    f"mssql://host;user=sa;password={SECRET};database=db": "mssql://host;user=sa;password=***;database=db",
    f"sqlite:////a@b/mlflow.db?timeout=60&password={SECRET}": "sqlite:////a@b/mlflow.db?timeout=60&password=***",
    f"postgresql://me:a b'c {SECRET}#?@host/db": "postgresql://me:***@host/db",
}
PLAIN = ("sqlite:////home/a@b/mlflow.db", "http://host:5000", "postgresql://me@host/db?host=/tmp/x", "databricks://me")


@pytest.mark.parametrize("uri", FORMS)
def test_a_uri_is_shown_without_its_secret(uri, monkeypatch):
    shown = FORMS[uri]
    assert (masked(uri), masked(shown), secrets_in(shown)) == (shown, shown, set())
    said = (
        f"Invalid URL {uri!r}: no such host",
        f"GET {uri}/api/2.0/mlflow failed; called as {quote(uri, safe='')}",
        *(f'password "{secret}" is wrong' for secret in secrets_in(uri)),
        *(f"got {secret!r}, and {secret}:" for secret in secrets_in(uri)),
    )
    for message in said:
        assert SECRET not in masked(message, uri)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert SECRET not in masked(message)
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert passed_on(uri) == shown
    assert unmasked(shown) == os.environ["MLFLOW_TRACKING_URI"] == uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://another:one@host")
    with pytest.raises(ConfigError) as refused:
        unmasked(shown)
    assert str(refused.value) == (
        f"tracking.uri={shown} stands for a URI with secrets, which must be in MLFLOW_TRACKING_URI, got "
        "http://***@host there; set it, also where jobs run"
    )


@pytest.mark.parametrize("uri", PLAIN)
def test_a_uri_without_secrets_is_shown_as_it_is(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://other")
    assert masked(f"got {uri}: it") == f"got {uri}: it"
    assert passed_on(uri) == unmasked(uri) == uri
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://other"


def test_a_password_that_is_a_common_word_hides_no_other():
    uri = "postgresql://postgres:postgres@localhost/mlflow"
    assert masked(f"no postgresql at {uri}, postgres", uri) == (
        "no postgresql at postgresql://***:***@localhost/mlflow, ***"
    )


def test_an_error_that_shows_a_secret_is_no_cause():
    uri = f"postgresql://me:{SECRET}@host/db"
    plain, telling = ValueError("away"), ValueError("away")
    telling.__cause__ = OSError(f"password {SECRET} is wrong")
    assert cause(plain, uri) is plain
    assert cause(telling, uri) is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"tracking.uri=http://me:{SECRET}@h:9", 'tracking.uri="http://***@h:9"'),
        (f"++tracking.uri='sqlite:///a.db?password={SECRET}'", '++tracking.uri="sqlite:///a.db?password=***"'),
        (f'tracking.uri="http://me:it\'s {SECRET}@h"', 'tracking.uri="http://***@h"'),
        (f"tracking.ui_url=https://{SECRET}@h", 'tracking.ui_url="https://***@h"'),
        ("tracking.uri=http://me:${oc.env:PASSWORD}@h", "tracking.uri=http://me:${oc.env:PASSWORD}@h"),
        ("tracking.uri=sqlite:////a@b/c.db", "tracking.uri=sqlite:////a@b/c.db"),
        (
            f"hydra.launcher.setup=[export P=http://me:{SECRET}@h]",
            f"hydra.launcher.setup=[export P=http://me:{SECRET}@h]",
        ),
    ],
)
def test_arguments_of_a_store_are_hidden_and_no_others(given, shown, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://before")
    assert arguments.override(given) == shown
    hidden = shown != given and "uri=" in given
    assert (os.environ["MLFLOW_TRACKING_URI"] == "http://before") is not hidden


@pytest.mark.parametrize(
    "given",
    [
        f"tracking={{uri:http://me:{SECRET}@h,experiment:e}}",
        f"tracking.uri=sqlite:///a.db,http://me:{SECRET}@h",
        f"tracking.uri=http://me:{SECRET}@${{oc.env:HOST}}",
        f"+hydra.sweeper.params.tracking.uri=http://me:{SECRET}@h",
        f"tracking.uri=http://me:(]{SECRET}@h",
    ],
)
def test_what_cannot_be_hidden_is_refused(given):
    with pytest.raises(ConfigError, match="must be given in MLFLOW_TRACKING_URI, or as ") as refused:
        arguments.override(given)
    assert SECRET not in str(refused.value)


def searched(folder: Path) -> list[str]:
    """The files below a folder that have the secret in them."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 1
    return [str(file.relative_to(folder)) for file in files if SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize("uri", [uri for uri in FORMS if uri.startswith("http")])
def test_a_server_that_does_not_answer_is_told_without_its_secret(uri, tmp_path, monkeypatch):
    uri = uri.replace("host:5000", "127.0.0.1:9").replace("@host", "@127.0.0.1:9")
    done = in_process(tmp_path, *TINY, f"tracking.uri='{uri}'", check=False)
    assert done.returncode == 1
    assert "initdist: tracking.uri must be reachable, got http" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert searched(tmp_path) == []


def shown_in_arguments(process, secret: str) -> set[str]:
    """Arguments of any process that have the secret, from when a command has begun anew without it to its end."""
    own, begun, shown = Path(f"/proc/{process.pid}/cmdline"), False, set()
    while process.poll() is None:
        with contextlib.suppress(OSError):
            begun = begun or (own.read_bytes() != b"" and secret.encode() not in own.read_bytes())
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if begun and secret.encode() in (found := file.read_bytes()):
                    shown.add(f"{file}: {found!r}")
        time.sleep(0.2)
    assert begun
    return shown


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to look for arguments in")
def test_a_multirun_leaves_the_secret_nowhere(tmp_path, monkeypatch):
    uri = f"sqlite:///{with_store(tmp_path) / 'mlflow.db'}?timeout=60&password={SECRET}"
    process = start(tmp_path, "-m", *TINY, "model.width=4,5", f"tracking.uri='{uri}'")
    assert shown_in_arguments(process, SECRET) == set()
    printed, _ = process.communicate()
    assert (process.returncode, SECRET in printed) == (0, False), printed
    assert "2 networks: 2 finished" in printed
    assert searched(tmp_path) == []
    (parent,) = runs(tmp_path, "sweep")
    assert shlex.split(parent.data.tags["initdist.command"])[-1] == f'tracking.uri="{masked(uri)}"'


@pytest.mark.filterwarnings("ignore:Query string argument")  # SQLAlchemy's, of a password that SQLite does not take
def test_no_command_leaves_a_secret_from_a_file_or_the_environment(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    with_store(folder)
    uri = f"sqlite:///{folder / 'mlflow.db'}?password={SECRET}"
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "ours.yaml").write_text(f"# @package _global_\ntracking:\n  uri: {uri}\n")
    file = ("--config-dir", str(tmp_path / "conf"), "experiment=ours", *TINY, "stop.train_loss=0")
    printed = []

    def told(*given: str, module: str = "initdist.train", check: bool = True) -> str:
        done = in_process(folder, *given, module=module, check=check)
        printed.append(done.stdout + done.stderr)
        return printed[-1]

    assert "1 finished" in told(*file, "model.width=4")
    assert "2 finished" in told("-m", *file, "model.width=5,6")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert "1 finished" in told("model.width=7", *TINY, "stop.train_loss=0")
    assert f"uri: {masked(uri)}" in told("model.width=7", "--cfg", "job", "--resolve")
    assert "4 networks: 4 measured" in told("measures=norms", module="initdist.measure")
    assert masked(uri) in "".join(told("--help", module="initdist.clean").split())
    assert "0 leftovers" in told(module="initdist.clean")
    assert "Report: " in told("out=report", module="multirun_analysis.__main__")
    assert len(load_runs()) == 4
    load_network(runs(folder)[0].info.run_id)
    assert SECRET not in "".join(printed)
    assert searched(folder) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to look for arguments in")
def test_the_ui_has_the_secret_in_its_environment_alone(tmp_path):
    uri = f"sqlite:///{with_store(tmp_path) / 'mlflow.db'}?password={SECRET}"
    command = [sys.executable, "-m", "initdist.ui", "--uri", uri, "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert (
            process.stdout.readline()
            == f"MLflow UI of {masked(uri)} at http://127.0.0.1:0/#/experiments{names.UI_VIEW}\n"
        )
        own = Path(f"/proc/{process.pid}")
        wait_for(lambda: b"mlflow" in (own / "cmdline").read_bytes().split(b"\0"))
        assert SECRET.encode() not in (own / "cmdline").read_bytes()
        assert f"MLFLOW_BACKEND_STORE_URI={uri}".encode() in (own / "environ").read_bytes().split(b"\0")
    finally:
        process.kill()
        process.communicate()


def test_a_process_without_the_secret_is_told_what_it_lacks(tmp_path, monkeypatch):
    uri = f"sqlite:///{with_store(tmp_path) / 'mlflow.db'}?password={SECRET}"
    done = in_process(tmp_path, *TINY, f"tracking.uri='{masked(uri)}'", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        f"initdist: tracking.uri={masked(uri)} stands for a URI with secrets, which must be in MLFLOW_TRACKING_URI, "
        "got nothing there; set it, also where jobs run\n",
    )


# A run that somebody else has written: what it says is text, not a reference to what this machine knows.
HOSTILE = {
    "model.activation": "${oc.env:INITDIST_SECRET}",
    "dataset.name": "${oc.env:INITDIST_SECRET}",
    "seed": "${seed}",
}


def written(client: MlflowClient, changes: dict[str, str]) -> str:
    """The id of a finished run with the params of a network, changed."""
    known = client.get_experiment_by_name("initdist")
    number = known.experiment_id if known else client.create_experiment("initdist")
    tags = {names.KIND: names.KIND_NETWORK, names.IDENTITY: str(changes), names.STOP_REASON: "threshold"}
    run_id = client.create_run(number, tags=tags | {names.THETA0: "${oc.env:INITDIST_SECRET}"}).info.run_id
    for key, value in {**identity.params(tiny()), **changes}.items():
        client.log_param(run_id, key, value)
    client.set_terminated(run_id)
    return str(run_id)


def test_text_of_a_store_is_never_interpolated(tmp_path, monkeypatch):
    monkeypatch.setenv("INITDIST_SECRET", SECRET)
    uri = f"sqlite:///{with_store(tmp_path) / 'mlflow.db'}"
    runs_of = {key: written(MlflowClient(uri), {key: value}) for key, value in HOSTILE.items()}
    measured = in_process(tmp_path, module="initdist.measure", check=False)
    analyzed = in_process(tmp_path, "out=report", module="multirun_analysis.__main__", check=False)
    assert SECRET not in measured.stdout + measured.stderr + analyzed.stdout + analyzed.stderr
    assert searched(tmp_path) == []
    for key, run_id in runs_of.items():
        said = f"the run's params are no config: {key} must be a plain value, got {HOSTILE[key]!r}"
        assert said in measured.stderr
        with pytest.raises(UserError) as refused:
            load_network(run_id, uri)
        assert str(refused.value) == said


def test_a_store_sets_nothing_but_what_describes_a_network():
    said = {key: str(value) for key, value in identity.params(tiny()).items()}
    ours = compose.from_params(said)
    theirs = {"dataset.root": "/etc", "dataset.cache": "/tmp/theirs", "loss.threshold": "3"}
    assert compose.from_params(said | theirs) == ours
    for key in ("tracking.uri", "hydra.run.dir", "model.color", "a[b", "vary.seed"):
        with pytest.raises(ConfigError) as refused:
            compose.from_params(said | {key: "1"})
        assert str(refused.value) == f"the run's params are no config of this version: {key} is no key of the config"


@pytest.mark.parametrize(
    ("end", "rule"),
    [
        ("?timeout=soon", "must have a number of seconds as timeout, got 'soon' in"),
        ("?really/mlflow.db", "must have options after a ?, such as timeout=60, got 'really/mlflow.db' in"),
        ("?mode=ro&uri=true", "must name a file by its path, without the option uri, got"),
    ],
)
def test_options_that_are_none_are_refused(end, rule, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db{end}"
    with pytest.raises(TrackingError) as refused:
        prepare(uri, "initdist")
    assert str(refused.value).startswith(f"tracking.uri {rule} ")
    assert list(tmp_path.iterdir()) == []


def test_a_slash_in_the_password_of_a_server_is_refused():
    with pytest.raises(TrackingError) as refused:
        prepare(f"http://me:a/{SECRET}@127.0.0.1:9", "initdist")
    assert str(refused.value) == (
        "tracking.uri must have /, ? and # in a password written as %2F, %3F and %23, and an @ after the host as %40, "
        "got http://***@127.0.0.1:9"
    )


def test_what_a_database_raises_is_told_without_its_secret():
    uri = f"postgresql://me:a {SECRET}@host:port/db"
    with pytest.raises(TrackingError) as refused:
        prepare(uri, "initdist")
    assert str(refused.value).startswith(
        f"tracking.uri must be the URI of a database, got {masked(uri)}: invalid literal for int()"
    )
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_is_none(empty, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", empty)
    assert store_uri(None, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    assert "1 finished" in in_process(with_store(tmp_path), "model.width=4", *TINY).stdout
