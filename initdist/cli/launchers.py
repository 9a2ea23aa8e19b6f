"""What one should know of a launcher before its jobs run for hours."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from initdist.cli import slurm


def notes(launcher: DictConfig) -> Iterator[str]:
    """Of what submitit does on SLURM unless it is told otherwise, and of a SLURM that keeps no accounts."""
    if not str(OmegaConf.select(launcher, "_target_")).endswith(".SlurmLauncher"):
        return
    if not launcher.max_num_timeout:
        yield (
            f"a job that has not ended after {launcher.timeout_min} minutes (hydra.launcher.timeout_min) is not "
            "started again (hydra.launcher.max_num_timeout=0)"
        )
    if not slurm.keeps_accounts():
        yield (
            "this SLURM keeps no accounts, so submitit does not see that a job was cancelled (scancel), and waits for "
            "it forever. End this command too then; given again, it trains what is missing"
        )
