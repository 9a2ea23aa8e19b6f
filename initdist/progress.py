"""Live progress on the terminal: networks finished and running, epoch, loss range, time left; plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

from initdist.counts import duration
from initdist.events import Event, Failed, Progress, Result
from initdist.schema import Config

PLAIN_EVERY_SECONDS = 10.0


class State:
    """What is known about a job's networks from the events so far."""

    def __init__(self, configs: Sequence[Config]) -> None:
        self.configs = configs
        self.running: dict[int, tuple[int, float]] = {}  # network -> (epoch, batch loss)
        self.ended: set[int] = set()
        self.started = time.monotonic()

    def update(self, event: Event) -> None:
        if isinstance(event, Progress):
            for network, loss in zip(event.networks, event.batch_loss, strict=True):
                self.running[network] = (event.epoch, loss)
        elif isinstance(event, Result | Failed):
            for network in event.networks if isinstance(event, Failed) else (event.network,):
                self.running.pop(network, None)
                self.ended.add(network)

    @property
    def fraction(self) -> float:
        """Estimated share of the work done: a loss that falls like 1/t has threshold/loss of its epochs behind it."""
        parts = [self._part(network) for network in self.running]
        return (len(self.ended) + math.fsum(parts)) / len(self.configs)

    def _part(self, network: int) -> float:
        epoch, loss = self.running[network]
        stop = self.configs[network].stop
        by_loss = stop.train_loss / loss if loss > 0 else 0.0
        return min(0.99, max(epoch / stop.max_epochs, by_loss if math.isfinite(by_loss) else 0.0))

    def describe(self) -> str:
        """`12/27 networks, 15 running, epoch 40-88, loss 0.012-0.9, about 1m 20s left`."""
        parts = [f"{len(self.ended)}/{len(self.configs)} networks"]
        if self.running:
            epochs, losses = zip(*self.running.values(), strict=True)
            parts.append(f"{len(self.running)} running")
            parts.append(f"epoch {_span(min(epochs), max(epochs))}")
            parts.append(f"loss {_span(min(losses), max(losses))}")
        done, elapsed = self.fraction, time.monotonic() - self.started
        if 0.02 < done < 1 and elapsed > 2:
            parts.append(f"about {duration(elapsed * (1 - done) / done)} left")
        return ", ".join(parts)


def _span(low: float, high: float) -> str:
    first, last = f"{low:.3g}", f"{high:.3g}"
    return first if first == last else f"{first}-{last}"


class Display:
    """Shows a State while a job trains; a context manager."""

    def __init__(self, title: str, configs: Sequence[Config], stream: TextIO | None = None) -> None:
        self.title = title
        self.state = State(configs)
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self._shown = time.monotonic()

    def __enter__(self) -> Display:
        if self.live:
            self._open_bar()
        else:
            count = len(self.state.configs)
            self._line(f"training {count} network{'' if count == 1 else 's'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self._refresh()
            self._bar.stop()
        else:
            self._line(self.state.describe())

    def show(self, event: Event) -> None:
        """Take an event in, and refresh what is shown when it is time to."""
        self.state.update(event)
        now = time.monotonic()
        if now - self._shown < (0.2 if self.live else PLAIN_EVERY_SECONDS):
            return
        self._shown = now
        if self.live:
            self._refresh()
        else:
            self._line(self.state.describe())

    def _line(self, text: str) -> None:
        print(f"{self.title}: {text}", file=self.stream, flush=True)

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
        self._bar = Bar(*columns, TextColumn("{task.fields[status]}"), console=Console(file=self.stream))
        self._task = self._bar.add_task(self.title, total=1.0, status=self.state.describe())
        self._bar.start()

    def _refresh(self) -> None:
        self._bar.update(self._task, completed=self.state.fraction, status=self.state.describe())
