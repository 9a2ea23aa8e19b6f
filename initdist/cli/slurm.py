"""What SLURM is asked and told."""

from __future__ import annotations

import os
import re
import subprocess


def keeps_accounts() -> bool:
    """Whether submitit can see that a job was cancelled."""
    return _said("sacct", "--noheader", "--jobs", "1") is not None


def preempts() -> bool:
    """Whether SLURM takes the cores from the job that this process is in, for one that goes first."""
    said = (
        _said("scontrol", "show", "job", os.environ.get("SLURM_JOB_ID", "")) if "SLURM_JOB_ID" in os.environ else None
    )
    return said is not None and re.search(r"\bPreemptTime=(?!None)\S", said) is not None


def requeue() -> None:
    """Have the job of this process started again later. SLURM does that only for jobs that it had to kill."""
    _said("scontrol", "requeue", os.environ["SLURM_JOB_ID"])


def _said(*command: str) -> str | None:
    """None where it cannot be asked or refuses."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
