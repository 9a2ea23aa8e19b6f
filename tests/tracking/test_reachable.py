"""Stores that cannot be used: one line, in seconds, that says what is wrong and what to do."""

from __future__ import annotations

import http.server
import socket
import sys
import threading

import pytest

from initdist import tracking
from initdist.tracking import reachable

ELSEWHERE = "127.0.0.1:1"  # a port that nobody listens at


def refused(uri):
    with pytest.raises(tracking.TrackingError) as found:
        tracking.prepare(uri, "x")
    message = str(found.value)
    assert message.startswith("tracking.uri ")
    assert "\n" not in message
    assert "secret" not in message
    return message


@pytest.mark.parametrize(
    ("driver", "install"), [("psycopg2", "'initdist[postgres]'"), ("psycopg", "'initdist[postgres]'")]
)
def test_a_driver_that_is_not_installed_names_what_to_install(monkeypatch, driver, install):
    monkeypatch.setitem(sys.modules, driver, None)
    message = refused(f"postgresql+{driver}://me:secret@{ELSEWHERE}/x")
    assert f"needs the driver {driver}, which is not installed: pip install {install}" in message


def test_a_uri_that_is_none_shows_the_form():
    message = refused("postgresql://me:secret@host:port/x")
    assert "invalid literal for int() with base 10: 'port'; after the login it reads HOST:PORT/DATABASE" in message
    assert "a kind of database that there is, got postgresql+none" in refused("postgresql+none://me:secret@host/x")


def test_a_port_that_nobody_listens_at_says_so():
    pytest.importorskip("psycopg2", reason="no driver of PostgreSQL: pip install 'initdist[postgres]'")
    message = refused(f"postgresql+psycopg2://me:secret@{ELSEWHERE}/study")
    assert "can be opened, got study at 127.0.0.1:1: " in message
    assert "refused" in message
    assert message.endswith("; start it, or mend the host and the port")


def test_who_a_database_does_not_know_is_told_so(postgres):
    wrong = postgres.replace("initdist@", "stranger:secret@")
    message = refused(wrong)
    assert 'password authentication failed for user "stranger"; give a user and a password' in message
    message = refused(postgres.replace("/postgres?", "/nowhere?"))
    assert 'database "nowhere" does not exist; create it there' in message
    with pytest.raises(tracking.TrackingError, match="password authentication failed"), tracking.reading(wrong):
        pass


def test_a_new_database_is_prepared_by_one_command_at_a_time(fresh_postgres):
    """And one that is not new by many."""
    entered, held = threading.Event(), threading.Event()
    seen = []

    def second():
        entered.wait()
        with reachable.alone(fresh_postgres):
            seen.append(held.is_set())

    def both():
        thread = threading.Thread(target=second)
        thread.start()
        with reachable.alone(fresh_postgres):
            entered.set()
            thread.join(0.5)
            held.set()
        thread.join()

    both()
    tracking.prepare(fresh_postgres, "x")
    held.clear()
    both()
    assert seen == [True, False]


class Answer(http.server.BaseHTTPRequestHandler):
    """What is in `status` and `body`, to everything."""

    status, body = 200, b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, b"You are not authenticated.", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (403, b"Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
        (403, b"Permission denied", "ask for the permission"),
        (404, b"<html>no such page", "what answers there is no MLflow server"),
        (200, b"<html>welcome", "what answers there is no MLflow server"),
    ],
)
def test_a_server_that_refuses_is_explained(monkeypatch, status, body, told):
    monkeypatch.setattr(Answer, "status", status)
    monkeypatch.setattr(Answer, "body", body)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert told in refused(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_a_server_that_is_not_there_is_told_from_one_of_an_unknown_host():
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        assert "no server answers there; start it" in refused(f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert "there is no host of this name" in refused("http://no-such-host.invalid:5000")
