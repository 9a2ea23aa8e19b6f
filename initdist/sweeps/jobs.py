"""Which processes the jobs of a command are, where a launcher runs them in processes of their own.

Each writes its name into a file in the sweep's folder. So a command knows the leases of its own jobs, and a job that a
cluster starts again knows which processes it has had.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from initdist.files import replaced
from initdist.tracking import this_process


@dataclass(frozen=True)
class Jobs:
    """The jobs of a command, in a folder in that of its sweep."""

    folder: Path

    def enter(self, job: int) -> None:
        """Note that this process is a job's."""
        earlier = self.earlier(job)
        if this_process() not in earlier:
            with replaced(self._file(job)) as beside:
                beside.write_text("\n".join([*earlier, this_process()]))

    def earlier(self, job: int) -> list[str]:
        """The processes that a job has had."""
        file = self._file(job)
        return file.read_text(errors="replace").splitlines() if file.is_file() else []

    def all(self) -> set[str]:
        """The processes of all jobs, those that have ended too."""
        return {one for file in self.folder.glob("*") for one in file.read_text(errors="replace").splitlines()}

    def _file(self, job: int) -> Path:
        return self.folder / str(job)
