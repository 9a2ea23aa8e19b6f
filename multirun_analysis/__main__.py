"""`python -m multirun_analysis`: judge the networks of an MLflow experiment and write a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from initdist import surroundings
from initdist.cli import arguments
from initdist.cli import messages as mistakes
from initdist.paths import conf_dir
from multirun_analysis.config import FOLDER, AnalysisConfig, register, unswept, validate
from multirun_analysis.errors import AnalysisError

register()

# Thousands of small products, which threads make slower; read when numpy is first imported, which is later than this.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    """Console entry."""
    surroundings.settle()
    for name in THREADS:
        os.environ.setdefault(name, "1")
    if sys.argv[1:] == ["--version"]:
        print(f"initdist {version('initdist')}")
    else:
        arguments.hide(arguments.override)
        sys.argv[1:] = unswept(sys.argv[1:])
        try:
            with mistakes.in_one_line(partial(mistakes.keys, AnalysisConfig)):
                _main()
        except KeyboardInterrupt:
            print("initdist: interrupted: the same command makes the report anew", file=sys.stderr)
            sys.exit(130)


@hydra.main(config_path=f"{conf_dir()}/{FOLDER}", config_name="analysis", version_base="1.3")
def _main(cfg: DictConfig) -> None:
    """Writes runs.csv, statistics.json, figures, report.md and report.html; exit code 1 for a user's mistake."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        config = cast(AnalysisConfig, OmegaConf.to_object(cfg))
        validate(config)
        from multirun_analysis.session import analyze

        with _shown() as tell:
            outcome = analyze(config, HydraConfig.get().runtime.cwd, tell)
    except AnalysisError as error:
        sys.exit(f"initdist: {error}")
    print("\n".join(outcome.lines))


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """Tells what an analysis is doing, on standard error, if that is a terminal.

    Yields the function that is told of each step: a spinner with the step and the seconds since the start.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)


if __name__ == "__main__":
    main()
