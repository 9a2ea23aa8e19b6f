"""What is shown while networks train, and the sentence that says how they ended."""

from __future__ import annotations

import io
import math

import pytest
from helpers import tiny

from initdist.events import Failed, Progress, Result, Started
from initdist.sweeps import bars
from initdist.sweeps.progress import Display, JobProgress
from initdist.sweeps.summary import Counts, duration


def result(network: str) -> Result:
    return Result("threshold", 10, {}, [], "", 0.0, network=network)


def state(networks: int = 4) -> JobProgress:
    config = tiny({"stop.max_epochs": 100, "stop.train_loss": 0.01})
    return JobProgress({str(i): config for i in range(networks)})


def test_a_state_counts_what_ended_and_what_runs() -> None:
    now = state()
    assert now.describe() == "0/4 networks"
    now.update(Started(("0", "1", "2")))
    now.update(Progress(40, {"0": 0.9, "1": 0.012, "2": 0.5}))
    assert now.describe() == "0/4 networks, 3 running, epoch 40, loss 0.012-0.9"
    now.update(Progress(88, {"1": 0.012}))
    now.update(result("0"))
    now.update(Failed(("2",), "broken"))
    assert (now.ended, set(now.running)) == ({"0", "2"}, {"1"})
    assert now.describe() == "2/4 networks, 1 running, epoch 88, loss 0.012"


def test_the_fraction_rises_from_nothing_to_all() -> None:
    now = state(2)
    fractions = [now.fraction]
    for event in (
        Progress(10, {"0": 1.0, "1": 1.0}),
        Progress(50, {"0": 0.1, "1": 0.02}),
        result("1"),
        Progress(100, {"0": 0.005}),
        result("0"),
    ):
        now.update(event)
        fractions.append(now.fraction)
    assert fractions == sorted(fractions)
    assert fractions == pytest.approx([0, 0.1, 0.5, 0.75, 0.995, 1])


@pytest.mark.parametrize("loss", [math.nan, math.inf, 0.0])
def test_a_loss_that_is_no_number_is_shown_and_breaks_nothing(loss: float) -> None:
    now = state(1)
    now.update(Progress(25, {"0": loss}))
    assert now.fraction == pytest.approx(0.25)
    assert f"loss {loss:g}" in now.describe()


def test_the_time_left_follows_from_the_fraction() -> None:
    now = state(2)
    now.started -= 30
    now.update(result("0"))
    assert now.describe() == "1/2 networks, about 30s left"


def test_plain_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with Display("width", {"0": tiny(), "1": tiny()}, stream) as display:
        display.show(Progress(1, {"0": 2.0, "1": 1.0}))  # too soon for another line
        monkeypatch.setattr(bars.Lines, "seconds", 0.0)
        display.show(Progress(2, {"0": 2.0, "1": 1.0}))
        display.show(result("0"))
        monkeypatch.setattr(bars.Lines, "seconds", 1000.0)
        display.show(result("1"))
    assert stream.getvalue().splitlines() == [
        "width: training 2 networks",
        "width: 0/2 networks, 2 running, epoch 2, loss 1-2",
        "width: 1/2 networks, 1 running, epoch 2, loss 1",
        "width: 2/2 networks",
    ]


def test_a_bar_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Display("width", {"0": tiny()}, stream) as display:
        display.show(result("0"))
    assert "width" in stream.getvalue()
    assert "1/1 networks" in stream.getvalue()


def test_a_bar_in_a_notebook() -> None:
    """In a real kernel, where Jupyter is installed."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = (
        "from tests.helpers import tiny\nfrom initdist import train_networks\ntrain_networks([tiny()])[0].stop_reason"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    shown = [one["data"]["text/html"] for one in book.cells[0].outputs if "text/html" in one.get("data", {})]
    assert len(shown) == 1  # one bar, updated in place
    assert shown[0] == '<progress value="1.000" max="1"></progress> mlp w16 n100: 1/1 networks'


def test_diverged_networks_are_counted_once() -> None:
    assert Counts(finished=2, skipped=3, diverged=1, unconverged=1, failed=1, untrained=4).total == 10


def test_the_closing_line() -> None:
    assert Counts(finished=5, diverged=1, skipped=3, failed=2).sentence(185) == (
        "10 networks: 5 finished (1 diverged), 3 skipped (finished before), 2 failed, in 3m 05s"
    )
    assert (
        Counts(finished=1).sentence(0)
        == "1 network: 1 finished (0 diverged), 0 skipped (finished before), 0 failed, in 0s"
    )
    missed = "(0 diverged, 1 at stop.max_epochs without reaching its stopping rule), 0 skipped"
    assert missed in Counts(finished=1, unconverged=1).sentence(0)
    assert (
        Counts(finished=12, unconverged=2)
        .sentence(3)
        .startswith(
            "12 networks: 12 finished (0 diverged, 2 at stop.max_epochs without reaching their stopping rule), 0 "
        )
    )
    assert "1 failed, 6 not trained, in 1s" in Counts(failed=1, untrained=6).sentence(1.2)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0s"), (42, "42s"), (59.6, "1m 00s"), (185, "3m 05s"), (7800, "2h 10m"), (3600, "1h 00m")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
