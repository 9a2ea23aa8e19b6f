"""Live progress on the terminal: networks finished and running, epoch, loss range, time left; plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TextIO

from initdist.config.schema import Config
from initdist.events import Event, Failed, Measured, Progress, Refused, Result
from initdist.sweeps import bars
from initdist.sweeps.summary import counted, duration


class JobProgress:
    """What is known about a job's networks from the events so far."""

    def __init__(self, configs: Mapping[str, Config]) -> None:
        self.configs = configs  # identity -> config
        self.running: dict[str, tuple[int, float]] = {}  # identity -> (epoch, batch loss)
        self.ended: set[str] = set()
        self.started = time.monotonic()

    def update(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.running |= {network: (event.epoch, loss) for network, loss in event.batch_loss.items()}
        elif isinstance(event, Result | Measured | Refused | Failed):
            for network in event.networks if isinstance(event, Failed) else (event.network,):
                self.running.pop(network, None)
                self.ended.add(network)

    @property
    def fraction(self) -> float:
        """Estimated share of the work done: a loss that falls like 1/t has threshold/loss of its epochs behind it."""
        parts = [self._part(network) for network in self.running]
        return (len(self.ended) + math.fsum(parts)) / len(self.configs)

    def _part(self, network: str) -> float:
        epoch, loss = self.running[network]
        stop = self.configs[network].stop
        by_loss = stop.train_loss / loss if loss > 0 else 0.0
        return min(0.99, max(epoch / stop.max_epochs, by_loss if math.isfinite(by_loss) else 0.0))

    def describe(self, left: bool = True) -> str:
        """`12/27 networks, 15 running, epoch 40-88, loss 0.012-0.9, about 1m 20s left`."""
        parts = [f"{len(self.ended)}/{len(self.configs)} networks"]
        if self.running:
            epochs, losses = zip(*self.running.values(), strict=True)
            parts.append(f"{len(self.running)} running")
            parts.append(f"epoch {_span(min(epochs), max(epochs))}")
            parts.append(f"loss {_span(min(losses), max(losses))}")
        if not left:
            return ", ".join(parts)
        done, elapsed = self.fraction, time.monotonic() - self.started
        if 0.02 < done < 1 and elapsed > 2:
            parts.append(f"about {duration(elapsed * (1 - done) / done)} left")
        return ", ".join(parts)


def _span(low: float, high: float) -> str:
    first, last = f"{low:.3g}", f"{high:.3g}"
    return first if first == last else f"{first}-{last}"


class Display:
    """Shows a JobProgress while networks are trained, or whatever else is done to them; a context manager."""

    def __init__(
        self,
        title: str,
        configs: Mapping[str, Config],
        stream: TextIO | None = None,
        doing: str = "training",
        whole: Callable[[float], str] | None = None,
    ) -> None:
        """whole: what to say of the command that the job belongs to, of whose own work such a fraction is done."""
        self.title, self.doing, self.whole = title, doing, whole
        self.state = JobProgress(configs)
        self.stream = stream or sys.stderr
        self._shown = time.monotonic()

    def __enter__(self) -> Display:
        self._bar = bars.bar(self.title, self.stream)
        self._bar.show(0.0, f"{self.doing} {counted(len(self.state.configs), 'network')}{self._whole(0.0)}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close(self.state.fraction, self._described())

    def show(self, event: Event) -> None:
        """Take an event in, and refresh what is shown when it is time to."""
        self.state.update(event)
        now = time.monotonic()
        if now - self._shown >= self._bar.seconds:
            self._shown = now
            self._bar.show(self.state.fraction, self._described())

    def _described(self) -> str:
        return self.state.describe(left=self.whole is None) + self._whole(self.state.fraction)

    def _whole(self, fraction: float) -> str:
        return f"; {self.whole(fraction)}" if self.whole else ""
