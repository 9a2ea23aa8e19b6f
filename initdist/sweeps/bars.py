"""What progress looks like: a bar on a terminal, a bar in a notebook, and plain lines elsewhere."""

from __future__ import annotations

import html
import os
import sys
from abc import ABC, abstractmethod
from typing import ClassVar, TextIO

NARROW = 80  # columns


class Bar(ABC):
    """Something that shows how far a job is. `seconds` is how often it is worth showing."""

    seconds: ClassVar[float]

    @abstractmethod
    def show(self, fraction: float, status: str) -> None:
        """Show a fraction in [0, 1] of the work and what there is to say about it."""

    def close(self, fraction: float, status: str) -> None:
        """Show this for good."""
        self.show(fraction, status)


def bar(title: str, stream: TextIO) -> Bar:
    """The bar that fits where the stream leads."""
    if stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):  # where rich shows nothing before the end
        return TerminalBar(title, stream)
    if stream in (sys.stdout, sys.stderr) and _in_notebook():
        return NotebookBar(title)
    return Lines(title, stream)


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class Lines(Bar):
    seconds = 10.0

    def __init__(self, title: str, stream: TextIO) -> None:
        self.title, self.stream = title, stream

    def show(self, fraction: float, status: str) -> None:
        print(f"{self.title}: {status}", file=self.stream, flush=True)


class TerminalBar(Bar):
    seconds = 0.2

    def __init__(self, title: str, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(file=stream)
        spinner = SpinnerColumn("dots" if console.encoding.startswith("utf") else "line")
        bar = [BarColumn(24)] if console.width >= NARROW else []  # else what it says has no room
        columns = (spinner, TextColumn("{task.description}"), *bar, TimeElapsedColumn())
        self._bar = Progress(*columns, TextColumn("{task.fields[status]}"), console=console)
        self._task = self._bar.add_task(title, total=1.0, status="")
        self._bar.start()

    def show(self, fraction: float, status: str) -> None:
        self._bar.update(self._task, completed=fraction, status=status)

    def close(self, fraction: float, status: str) -> None:
        super().close(fraction, status)
        self._bar.stop()


class NotebookBar(Bar):
    seconds = 0.5

    def __init__(self, title: str) -> None:
        from IPython.display import HTML, display

        self.title, self._html = title, HTML
        self._handle = display(HTML(self._text(0.0, "")), display_id=True)

    def _text(self, fraction: float, status: str) -> str:
        said = html.escape(f"{self.title}: {status}")
        return f'<progress value="{fraction:.3f}" max="1"></progress> {said}'

    def show(self, fraction: float, status: str) -> None:
        self._handle.update(self._html(self._text(fraction, status)))
