"""`initdist.ui`, up to where MLflow's own server takes over."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from initdist import ui


def told(monkeypatch, capsys, *arguments):
    """What it says, and the command that takes over, if one does."""
    taken_over = []
    monkeypatch.setattr(sys, "argv", ["initdist.ui", *arguments])
    monkeypatch.setattr(os, "execv", lambda program, command: taken_over.append(command))
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")
    try:
        ui.main()
    except SystemExit as left:
        return str(left.code), taken_over
    return capsys.readouterr().out, taken_over


def test_a_server_has_a_ui_of_its_own(monkeypatch, capsys):
    said, taken_over = told(monkeypatch, capsys, "--uri", "http://127.0.0.1:5001")
    assert said == "MLflow UI of the tracking server: http://127.0.0.1:5001\n"
    assert taken_over == []


def test_a_port_that_is_taken_is_told_with_one_that_is_free(monkeypatch, capsys, tmp_path):
    (tmp_path / "mlflow.db").touch()
    store = ("--uri", f"sqlite:///{tmp_path}/mlflow.db")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said, taken_over = told(monkeypatch, capsys, *store, "--port", str(port))
    assert said.startswith(f"initdist: --port must be free, got {port}: address already in use; use --port ")
    assert taken_over == []
    said, ((*_, given),) = told(monkeypatch, capsys, *store, "--port", str(port))
    assert said.endswith(f"at http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning\n")
    assert given == str(port)
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == store[1]


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_is_a_number_of_a_port(monkeypatch, capsys, tmp_path, port):
    (tmp_path / "mlflow.db").touch()
    said, _ = told(monkeypatch, capsys, "--uri", f"sqlite:///{tmp_path}/mlflow.db", "--port", port)
    assert said == f"initdist: --port must be from 0 to 65535 (0: one that is free), got {port}"


def test_a_store_that_is_not_there_is_told(monkeypatch, capsys):
    assert "must exist, got sqlite:////nowhere/x.db" in told(monkeypatch, capsys, "--uri", "sqlite:////nowhere/x.db")[0]
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    said, _ = told(monkeypatch, capsys, "--uri", "postgresql+psycopg2://127.0.0.1:1/x")
    assert "tracking.uri needs the driver psycopg2" in said
