"""The sweeper of initdist: fuses a grid into stacks, checks every job before the first starts, trains what is missing.

Every Hydra application on the machine scans this file, so it imports only what it must at its top.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

if TYPE_CHECKING:
    from initdist.sweeps.planning import Job
    from initdist.sweeps.session import Sweep


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="initdist",
    node={
        "_target_": "hydra_plugins.initdist.sweeper.FusedSweeper",
        "max_batch_size": None,
        "params": {},
        "arms": [],
        "fuse": True,
    },
    provider="initdist",
)


SUBDIR = "${hydra.job.num}"


class FusedSweeper(BasicSweeper):
    """Grid sweeper whose jobs are stacks of networks of one shape.

    arms: sweeps like params, each of which joins it to a grid of its own. What the command line says of a group counts
    instead of all that an arm says of it: with `constraint=none` the arms of an experiment are one.
    """

    def __init__(
        self,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
        arms: Sequence[Mapping[str, str]] = (),
        fuse: bool = True,
    ) -> None:
        super().__init__(max_batch_size, params)
        self.arms = arms
        self.fuse = fuse
        self._hidden: list[str] = []  # an override of what a file of the config says of the store

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check every job, then train what the store lacks. Exits non-zero if anything failed."""
        from initdist import retry
        from initdist.errors import UserError
        from initdist.sweeps import hosts, session
        from initdist.sweeps.planning import describe, unique
        from initdist.sweeps.workspace import check_folder
        from initdist.tracking import TrackingError
        from initdist.workers import launching

        assert self.config is not None
        try:
            with retry.full_disk_named():
                jobs = self._jobs(arguments)
                networks = unique(network for job in jobs for network in job.networks)
                config = networks[0].config
                if config.dry_run:
                    print(describe(jobs))
                    print(session.dry_run(networks, config.tracking, config.workers))
                    return []
                check_folder("hydra.sweep.dir", str(self.config.hydra.sweep.dir))
                hosts.check_launcher(config.tracking.uri, str(self.config.hydra.launcher._target_))
                launching.warm()
                directory = Path(str(self.config.hydra.sweep.dir))
                with session.running(networks, config.tracking, config.resume, directory) as opened:
                    print(_announce(jobs, opened), flush=True)
                    returns, whole = self._run(jobs, opened)
        except (UserError, TrackingError) as error:
            sys.exit(f"initdist: {error}")
        if not whole or any(job.status == JobStatus.FAILED for job in returns):
            sys.exit(1)
        return [returns]

    def _run(self, jobs: Sequence[Job], opened: Sweep) -> tuple[Sequence[JobReturn], bool]:
        """Launch the jobs that have something to train; what they returned, and whether all did."""
        from initdist.cli import launchers
        from initdist.secrets import masked
        from initdist.sweeps import run_records

        assert self.config is not None
        assert self.launcher is not None
        directory = Path(str(self.config.hydra.sweep.dir))
        jobs = [job for job in jobs if any(network.identity in opened.todo for network in job.networks)]
        opened = self._with_outlook(jobs, opened)
        own = opened.save(directory)
        OmegaConf.save(self.config, directory / "multirun.yaml")
        returns: list[JobReturn] = []
        folders: list[Path] = []
        for note in launchers.notes(self.config.hydra.launcher) if opened.todo else ():
            print(f"initdist: {note}", file=sys.stderr, flush=True)
        for batch in self._batches(jobs):
            first, launched = len(returns), []
            for number, job in enumerate(batch, first):
                overrides, folder = self._in_full(job, number, own)
                launched.append(overrides)
                folders.append(directory / folder)
                title = run_records.title(job.networks[0].config, number)
                log = folders[-1] / f"{self.config.hydra.job.name}.log"
                opened.logs.update((network.identity, f"{title}: {log}") for network in job.networks)
            try:
                returns += self.launcher.launch(launched, initial_job_idx=first)
            except Exception as error:  # a job's process was killed: what it was to train is counted from the store
                why = " ".join(masked(error).split())[:300]
                print(f"initdist: the launcher ended with {type(error).__name__}: {why}", file=sys.stderr, flush=True)
                return returns, False
        _report_failures(returns, folders)
        return returns, True

    def _with_outlook(self, jobs: Sequence[Job], opened: Sweep) -> Sweep:
        """Jobs that follow each other say how far all of them are; ones side by side do not know."""
        from dataclasses import replace

        from initdist import cores
        from initdist.sweeps.outlook import Outlook

        if not jobs or not isinstance(self.launcher, BasicLauncher):
            return opened
        workers = jobs[0].networks[0].config.workers or cores.usable()
        return replace(opened, outlook=Outlook.of(jobs, opened.todo, workers))

    def _batches(self, jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
        size = self.max_batch_size or max(1, len(jobs))
        for start in range(0, len(jobs), size):
            yield jobs[start : start + size]

    def _in_full(self, job: Job, number: int, own: str) -> tuple[list[str], str]:
        """The overrides that a job is launched with, and the folder of its log below hydra.sweep.dir.

        That is named by hydra.sweep.subdir, in which a fused grid may be too long for the name of a file.
        """
        from initdist.cli.overrides import quoted
        from initdist.files import fitting

        assert self.config is not None
        assert self.hydra_context is not None
        overrides = [*job.overrides, f"tracking.sweep='{own}'", *self._hidden]
        sweep: Any = OmegaConf.to_container(self.config.hydra.sweep, resolve=False)
        if sweep["subdir"] == SUBDIR:
            return overrides, str(number)
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.num = config.hydra.job.id = number  # as a launcher does
        wanted = str(config.hydra.sweep.subdir)
        fits = fitting(wanted)
        return [*overrides, *([] if fits == wanted else [f"hydra.sweep.subdir={quoted(fits)}"])], fits

    def _jobs(self, arguments: Sequence[str]) -> list[Job]:
        """Parse the sweep, fuse its stackable axes, and compose and check every job. Raises UserError."""
        from initdist.sweeps import planning
        from initdist.sweeps.planning import Job

        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        jobs = planning.grids(parser, self._parse_config(), self.arms, arguments, self.fuse)
        return [Job(overrides, tuple(planning.networks(self._compose(overrides)))) for overrides in jobs]

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        from initdist.cli import arguments
        from initdist.cli.overrides import quoted

        assert self.hydra_context is not None
        assert self.config is not None
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with read_write(composed), open_dict(composed):
            del composed["hydra"]
        if uri := arguments.hide_in(composed):
            self._hidden = [f"{arguments.KEY}={quoted(uri)}"]
        with contextlib.suppress(OmegaConfBaseException):  # planning tells what is wrong
            OmegaConf.to_container(composed.tracking, resolve=True)
        OmegaConf.copy_cache(composed, self.config)  # ${now:...} is one moment for all jobs of a command
        return composed


def _announce(jobs: Sequence[Job], opened: Sweep) -> str:
    from initdist.sweeps.planning import describe

    before = len({n.identity for job in jobs for n in job.networks}) - len(opened.todo)
    line = f"sweep {opened.id}: {describe(jobs)}; {len(opened.todo)} to train, {before} finished before"
    return line if opened.todo else line + ": nothing to train (resume=false trains them again)"


def _report_failures(returns: Sequence[JobReturn], folders: Sequence[Path]) -> None:
    from initdist.secrets import masked

    for number, (job, folder) in enumerate(zip(returns, folders, strict=False)):
        if job.status == JobStatus.FAILED:
            print(f"job {number} failed: {masked(job._return_value)} (log in {folder})", file=sys.stderr, flush=True)
