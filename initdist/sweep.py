"""A sweep in the tracking store: which of its networks are to be trained, and its parent run.

The process that starts a command opens the sweep, looks finished networks up once, and closes it. Jobs in other
processes join it through a file in the sweep's directory.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from initdist import claims, names, records, remeasure, tracking
from initdist.counts import Counts
from initdist.errors import ConfigError
from initdist.plan import Network
from initdist.pool import cores
from initdist.schema import TrackingConfig

FILE = "sweep.json"


@dataclass(frozen=True)
class Sweep:
    """An opened sweep: its store, its parent run and the identities that are to be trained."""

    id: str
    store: tracking.Store
    run_id: str
    todo: frozenset[str]
    opened_ms: int
    resume: bool

    def save(self, directory: Path) -> None:
        """Write what a job in another process needs to join."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / FILE).write_text(json.dumps(asdict(self) | {"todo": sorted(self.todo)}, indent=1))


@contextlib.contextmanager
def session(networks: Sequence[Network], settings: TrackingConfig, resume: bool) -> Iterator[Sweep]:
    """A command's sweep from its opening to its closing line, whatever happens in between.

    Raises TrackingError before anything is trained; ends the process with 1 if a network failed, with 130 or 143
    after Ctrl-C or SIGTERM.
    """
    started, status = time.monotonic(), "FAILED"
    records.check_folder(networks[0].config)
    sweep, advice = _begin(networks, settings, resume)
    exit_on_sigterm()
    try:
        yield sweep
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise SystemExit(130) from None
    except SystemExit:
        status = "KILLED"
        raise
    finally:
        failed = _end(networks, sweep, status, started)
        if advice:
            print(advice, flush=True)
    if failed:
        raise SystemExit(1)


def _end(networks: Sequence[Network], sweep: Sweep, status: str, started: float) -> bool:
    """Close the parent run and print the closing line; returns whether a network failed."""
    try:
        counts = _count(networks, sweep, complete=status == "FINISHED")
        summary = {f"sweep/{key}": float(value) for key, value in asdict(counts).items()}
        tracking.close_sweep(sweep.store, sweep.run_id, "FAILED" if counts.failed else status, summary)
    except Exception as error:  # the store went away; why the sweep ends is the news, not this
        print(f"initdist: the sweep's end could not be written to {sweep.store.uri}: {error}", file=sys.stderr)
        return True
    print(counts.sentence(time.monotonic() - started), flush=True)
    return bool(counts.failed)


def exit_on_sigterm() -> None:
    """Let SIGTERM unwind the process, so that runs end KILLED. Only the main thread can; elsewhere nothing changes."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _count(networks: Sequence[Network], sweep: Sweep, complete: bool) -> Counts:
    """How the networks ended, read from the store, which alone knows what jobs that broke off had finished."""
    finished = sweep.todo & tracking.finished(sweep.store, since_ms=sweep.opened_ms).keys()
    diverged = tracking.finished(sweep.store, since_ms=sweep.opened_ms, stop_reason=names.STOP_DIVERGED).keys()
    base = records.folder(networks[0].config.checkpoint.dir, sweep.store)
    elsewhere = claims.elsewhere(base, sweep.todo - finished)
    rest = len(sweep.todo) - len(finished) - len(elsewhere)
    return Counts(
        finished=len(finished),
        skipped=len(networks) - len(sweep.todo),
        diverged=len(finished & diverged),
        failed=rest if complete else 0,
        untrained=0 if complete else rest,
        elsewhere=len(elsewhere),
    )


def _begin(networks: Sequence[Network], settings: TrackingConfig, resume: bool) -> tuple[Sweep, str]:
    """Prepare the store, look up what has finished, and open the parent run; also what to do for finished networks
    that lack measures, if any do. Raises TrackingError."""
    opened_ms = int(time.time() * 1000)
    store = tracking.prepare(settings.uri, settings.experiment)
    tracking.close_stale(store)
    finished = tracking.finished_runs(store) if resume else {}
    identities = [network.identity for network in networks]
    sweep = tracking.sweep_id(identities)
    run_id = tracking.open_sweep(
        store,
        sweep,
        f"sweep {sweep} ({len(networks)} networks)",
        [{"identity": network.identity, "name": network.name} for network in networks],
        command=shlex.join([Path(sys.executable).name, "-m", "initdist.train", *sys.argv[1:]]),
    )
    opened = Sweep(sweep, store, run_id, frozenset(identities) - finished.keys(), opened_ms, resume)
    before = [finished[identity] for identity in identities if identity in finished]
    return opened, remeasure.advice(before, networks[0].config, sweep, store)


def join(directory: Path, settings: TrackingConfig) -> Sweep:
    """The sweep that the starting process saved."""
    file = directory / FILE
    if not file.is_file():
        raise ConfigError(f"tracking.sweep is set by the sweeper and must not be set by hand, got {settings.sweep!r}")
    saved = json.loads(file.read_text())
    store = tracking.Store(**saved.pop("store"))
    return Sweep(store=store, todo=frozenset(saved.pop("todo")), **saved)


def finished_before(networks: Sequence[Network], settings: TrackingConfig) -> set[str]:
    """Identities of these networks that have finished, without touching or creating a store."""
    path = settings.uri.removeprefix("sqlite:///")
    if path != settings.uri and not Path(path).exists():
        return set()
    store = tracking.prepare(settings.uri, settings.experiment)
    return {network.identity for network in networks} & tracking.finished(store).keys()


def dry_run(networks: Sequence[Network], settings: TrackingConfig, workers: int) -> str:
    """The text of a dry run: every network, whether it has finished before, and what the rest will cost."""
    from initdist.estimate import estimate

    done = finished_before(networks, settings)
    width = max(len(network.name) for network in networks)
    lines = [
        f"  {network.name:<{width}}  {network.identity[:12]}  {'finished' if network.identity in done else 'to train'}"
        for network in networks
    ]
    plural = "" if len(networks) == 1 else "s"
    lines.append(
        f"dry run: {len(networks)} network{plural}, {len(networks) - len(done)} to train, {len(done)} finished before"
    )
    if rest := [network for network in networks if network.identity not in done]:
        lines.append(f"to train: {estimate(rest, workers or cores()).describe()}")
    return "\n".join(lines)
