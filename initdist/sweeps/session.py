"""A sweep in the tracking store: which of its networks are to be trained, and its parent run.

The process that starts a command opens the sweep, looks finished networks up once, and closes it. Jobs in other
processes join it through a file in the sweep's directory.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from initdist import cores, names, provenance, tracking
from initdist.cli.overrides import quoted
from initdist.config import identity
from initdist.config.schema import TrackingConfig
from initdist.errors import ConfigError
from initdist.files import read_checked, write_checked
from initdist.paths import sqlite_file
from initdist.secrets import masked, passed_on, unmasked
from initdist.sweeps import lacking, trained
from initdist.sweeps.hosts import alone
from initdist.sweeps.jobs import Jobs
from initdist.sweeps.outlook import Outlook
from initdist.sweeps.planning import Network, to_download
from initdist.sweeps.summary import Counts
from initdist.sweeps.workspace import Workspace, check_folder
from initdist.training import stopping

T = TypeVar("T")

_FILE = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Sweep:
    """An opened sweep: its store, its parent run and the identities that are to be trained."""

    id: str
    store: tracking.Store
    run_id: str
    todo: frozenset[str]
    opened_ms: int
    resume: bool
    before: frozenset[str]  # with resume=false: finished runs of these networks from before
    directory: str = ""  # of the command; empty for a single job
    opener: str = ""  # the process that started the command
    logs: dict[str, str] = field(default_factory=dict)  # identity -> its job and where that one's log is
    names: dict[str, str] = field(default_factory=dict)  # identity -> the network's name among those of the command
    outlook: Outlook | None = None  # of its jobs, where they run one after the other

    def save(self, directory: Path) -> str:
        """Write what a job in another process needs to join; the secrets of the store are in its environment.

        Returns its `tracking.sweep`, by which it finds that: others may have the same directory.
        """
        own = f"{self.id}-{uuid.uuid4().hex[:8]}"
        store = asdict(replace(self.store, uri=passed_on(self.store.uri)))
        sets = {"todo": sorted(self.todo), "before": sorted(self.before)}
        write_checked(file_of(directory, own), asdict(self) | sets | {"store": store})
        return own

    @property
    def processes(self) -> Jobs:
        """What is known of the command's jobs. Others may have the same directory."""
        return Jobs(Path(self.directory, f"processes-{self.id}-{self.opened_ms}"))

    @property
    def jobs(self) -> Jobs | None:
        """The same, where this process is one of them and did not start the command itself."""
        return self.processes if self.directory and self.opener != tracking.this_process() else None


def file_of(directory: Path, own: str) -> Path:
    """Where that is which a job with this `tracking.sweep` needs to join."""
    return directory / f"sweep-{own}.json"


@contextlib.contextmanager
def running(
    networks: Sequence[Network],
    settings: TrackingConfig,
    resume: bool,
    directory: Path | None = None,
    command: str = "",
) -> Iterator[Sweep]:
    """A command's sweep from its opening to its closing line, whatever happens in between.

    Jobs in other processes find it in the directory. command: what its run says it was made by; else that of the shell.

    Raises TrackingError before anything is trained; ends the process with 1 if a network failed or is left to another
    command, with 130 or 143 after Ctrl-C or SIGTERM.
    """
    started, status = time.monotonic(), "FAILED"
    check_folder("checkpoint.dir", networks[0].config.checkpoint.dir)
    with alone(settings.uri):
        sweep, advice, before = _begin(networks, settings, resume, directory, command or _typed())
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
            whole = _end(networks, sweep, before, status, started)
            if advice:
                print(advice, flush=True)
    if not whole:
        raise SystemExit(1)


def _end(
    networks: Sequence[Network], sweep: Sweep, before: Mapping[str, tracking.Finished], status: str, started: float
) -> bool:
    """Close the parent run and print the closing line; returns whether no network failed or is left to others.

    before: the networks that had finished when the command began.
    """
    try:
        patience = networks[0].config.tracking.patience if status == "FINISHED" else 0.0
        counts, where, whose, finished = tracking.asked(
            sweep.store, lambda: _count(networks, sweep, status == "FINISHED"), patience
        )
        summary = {f"sweep/{key}": float(value) for key, value in asdict(counts).items()}
        whole = not counts.failed and not counts.elsewhere and not counts.going_on
        final = "FAILED" if status == "FINISHED" and not whole else status
        tracking.asked(sweep.store, lambda: tracking.close_sweep(sweep.store, sweep.run_id, final, summary), patience)
    except Exception as error:  # the store went away; why the sweep ends is the news, not this
        why = masked(error)
        print(f"initdist: the sweep's end could not be written to {sweep.store.place}: {why}", file=sys.stderr)
        return False
    if status == "FINISHED":
        with contextlib.suppress(tracking.TrackingError):  # it is there to be looked at, and can be looked up
            print("\n".join(_results(networks, sweep.store, {**before, **finished})))
    print(counts.sentence(time.monotonic() - started, where, whose), flush=True)
    return whole


def _results(
    networks: Sequence[Network], store: tracking.Store, finished: Mapping[str, tracking.Finished]
) -> list[str]:
    """What the networks of the command have come to, where that is, and how to go on."""
    metrics = tracking.metrics_of(store, [one.run_id for one in finished.values()], trained.METRICS)
    lines = trained.table(networks, {identity: metrics[one.run_id] for identity, one in finished.items()})
    options = [f"{key}={quoted(value)}" for key, value in lacking.store_keys(store).items()]
    command = shlex.join(["python", "-m", "multirun_analysis", *options])
    where = f"Runs: experiment {store.experiment} in {store.place}"
    return [*lines, where, f"Analyze them: {command}"] if lines else []


def _count(
    networks: Sequence[Network], sweep: Sweep, complete: bool
) -> tuple[Counts, str, str, dict[str, tracking.Finished]]:
    """How the networks ended, where the logs of the failed ones are, who trains those that are left to others, and the
    finished ones.

    Read from the store, which alone knows what jobs that broke off had finished.
    """
    workspace = Workspace.of(networks[0].config.checkpoint.dir, sweep.store)
    elsewhere = workspace.leases.elsewhere(sweep.todo)  # first: what ends in between is finished, not failed
    found = tracking.finished(sweep.store, since_ms=sweep.opened_ms, but=sweep.before)
    finished = {identity: one for identity, one in found.items() if identity in sweep.todo}
    rest = sweep.todo - finished.keys() - elsewhere.keys()
    if complete and sweep.resume and rest:
        finished |= tracking.finished_among(sweep.store, sorted(rest))  # by a command whose clock was behind
        rest -= finished.keys()
    _warn_of_codes({one.code for one in finished.values()}, "were trained")
    others = {identity: lease for identity, lease in elsewhere.items() if identity not in finished}
    jobs = sweep.processes.all() if sweep.directory else set()
    ours = sum(lease.owner in jobs for lease in others.values())
    counts = Counts(
        finished=len(finished),
        skipped=len(networks) - len(sweep.todo),
        diverged=sum(one.stop_reason == names.STOP_DIVERGED for one in finished.values()),
        unconverged=_unconverged(networks, finished),
        failed=len(rest) if complete else 0,
        untrained=0 if complete else len(rest),
        elsewhere=len(others) - ours,
        going_on=ours,
    )
    where = dict.fromkeys(sweep.logs[one] for one in sorted(rest) if one in sweep.logs)
    whose = "; ".join({lease.owner: str(lease) for lease in others.values()}.values())
    return counts, ", ".join(where), whose, finished


def _unconverged(networks: Sequence[Network], finished: Mapping[str, tracking.Finished]) -> int:
    """How many of the finished ones came to the epoch limit with a stopping rule that they did not reach."""
    ended = [(one.config.stop, finished[one.identity].stop_reason) for one in networks if one.identity in finished]
    return sum(
        reason != names.STOP_DIVERGED and stopping.converged(stop, reason) == names.CONVERGED_NO
        for stop, reason in ended
    )


def _warn_of_codes(codes: Iterable[str], what: str) -> None:
    """Say that the sources were edited between trainings of one sweep."""
    several = sorted({code for one in codes for code in one.split("+") if code})
    if len(several) > 1:
        print(
            f"initdist: networks of this sweep {what} by different code ({', '.join(several)}): each run's tag "
            f"{names.CODE} says which. Equal identities promise equal results only for equal code",
            file=sys.stderr,
            flush=True,
        )


def _begin(
    networks: Sequence[Network], settings: TrackingConfig, resume: bool, directory: Path | None, command: str
) -> tuple[Sweep, str, dict[str, tracking.Finished]]:
    """Prepare the store, look up what has finished, and open the parent run; also what to do for finished networks
    that lack measures, if any do, and the networks that had finished. Raises TrackingError."""
    opened_ms = int(time.time() * 1000)
    store = tracking.prepare(settings.uri, settings.experiment)

    def asked(call: Callable[[], T]) -> T:
        """A server that is away is said at once; another program's lock on a file is soon given up."""
        return tracking.asked(store, call, settings.patience, tracking.is_locked)

    workspace = Workspace.of(networks[0].config.checkpoint.dir, store)
    gone = workspace.leases.gone()
    asked(lambda: tracking.close_stale(store, gone))
    identities = [network.identity for network in networks]
    named = dict(zip(identities, identity.run_names([network.config for network in networks]), strict=True))
    left = {folder.name for folder in workspace.folders()}
    known = asked(lambda: tracking.finished_among(store, left.union(identities)))
    finished = known if resume else {}
    workspace.leases.clear(finished, gone)  # what a crash has left of them
    before = frozenset() if resume else frozenset(known[one].run_id for one in identities if one in known)
    _warn_of_codes(
        {provenance.code(), *(finished[one].code for one in identities if one in finished)}, "are, or were, trained"
    )
    sweep = tracking.sweep_id(identities)
    run_id = asked(
        lambda: tracking.open_sweep(
            store,
            sweep,
            f"sweep {sweep} ({len(networks)} networks)",
            [{"identity": one, "name": name} for one, name in named.items()],
            command=command,
        ),
    )
    todo = frozenset(identities) - finished.keys()
    where = str(directory.resolve()) if directory else ""
    opened = Sweep(sweep, store, run_id, todo, opened_ms, resume, before, where, tracking.this_process(), names=named)
    own = {one: finished[one] for one in identities if one in finished}
    return opened, lacking.advice(list(own.values()), networks[0].config, sweep, store), own


def _typed() -> str:
    """The command of this process."""
    return shlex.join([Path(sys.executable).name, "-m", "initdist.train", *sys.argv[1:]])


def join(directory: Path, settings: TrackingConfig) -> Sweep:
    """The sweep that the starting process saved."""
    file = file_of(directory, settings.sweep or "")
    if not _FILE.fullmatch(settings.sweep or "") or not file.is_file():
        raise ConfigError(f"tracking.sweep is set by the sweeper and must not be set by hand, got {settings.sweep!r}")
    try:
        saved: dict[str, Any] = read_checked(file)
        store = tracking.Store(**saved.pop("store"))
        todo, before = frozenset(saved.pop("todo")), frozenset(saved.pop("before"))
        outlook = saved.pop("outlook")
        saved["outlook"] = outlook and Outlook(**outlook | {"work": tuple(outlook["work"])})
        opened = Sweep(store=store, todo=todo, before=before, **saved)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{file} must be as the sweeper wrote it, got a damaged one: {error}") from None
    return replace(opened, store=replace(store, uri=unmasked(store.uri)))


def finished_before(networks: Sequence[Network], settings: TrackingConfig) -> set[str]:
    """Identities of these networks that have finished, without touching or creating a store."""
    path = sqlite_file(unmasked(settings.uri))
    if path is not None and not path.exists():
        return set()
    with alone(settings.uri):
        store = tracking.prepare(settings.uri, settings.experiment)
        return {*tracking.finished_among(store, [network.identity for network in networks])}


def dry_run(networks: Sequence[Network], settings: TrackingConfig, workers: int) -> str:
    """The text of a dry run: every network, whether it has finished before, and what the rest will cost."""
    from initdist.sweeps.cost import estimate

    done = finished_before(networks, settings)
    named = identity.run_names([network.config for network in networks])
    width = max(map(len, named))
    lines = [
        f"  {name:<{width}}  {network.identity[:12]}  {'finished' if network.identity in done else 'to train'}"
        for name, network in zip(named, networks, strict=True)
    ]
    plural = "" if len(networks) == 1 else "s"
    lines.append(
        f"dry run: {len(networks)} network{plural}, {len(networks) - len(done)} to train, {len(done)} finished before"
    )
    if rest := [network for network in networks if network.identity not in done]:
        lines += to_download(rest)
        lines.append(f"to train: {estimate(rest, workers or cores.usable()).describe()}")
    return "\n".join(lines)
