"""Whether a report is still what its store would give: the output directory itself is the cache.

A report is current only if everything that went into it is the same as now: the content of every run that was read,
the histories that were drawn, the settings, this package's own code, the packages it computes with, and the files
that were written. Nothing is inferred from times or counts, so it cannot be stale.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initdist.paths import measure_catalogue

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = ".analysis.json"
PACKAGES = ("initdist", "mlflow", "numpy", "pandas", "scipy", "seaborn", "matplotlib", "hydra-core")


@dataclass(frozen=True)
class Manifest:
    """key: digest of what was asked and read; histories: digest of those of history_runs; files: path -> SHA-256.

    lines: what the user was told. logged: whether the files are where they belong in MLflow.
    """

    key: str
    history_runs: tuple[str, ...]
    histories: str
    files: Mapping[str, str]
    lines: tuple[str, ...]
    logged: bool


def key(settings: Mapping[str, Any], digests: Sequence[str]) -> str:
    """SHA-256 of the settings, the digests of all records read, the code and the versions it runs on."""
    parts = {"settings": settings, "records": list(digests), "code": _code(), "versions": versions()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def history_digest(histories: Sequence[pd.DataFrame]) -> str:
    """SHA-256 of the rows of frames of histories, one frame after the other."""
    found = hashlib.sha256()
    for frame in histories:
        found.update(frame.to_csv(index=False, header=False).encode())
    return found.hexdigest()


def load(out: Path) -> Manifest | None:
    """What the last analysis left in a directory; None if it left nothing that can be read."""
    try:
        found = json.loads((out / MANIFEST).read_text("utf-8"))
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in found["files"]):
            return None  # these will be removed one day: none that lies elsewhere
        return Manifest(**found | {name: tuple(found[name]) for name in ("history_runs", "lines")})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(out: Path, manifest: Manifest) -> None:
    """Written last: a report without one is never taken for current."""
    (out / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")


def write(out: Path, content: Mapping[str, bytes], before: Collection[str]) -> list[Path]:
    """Put files, name below out -> what is in it, in the place of those of an earlier analysis.

    Which files are ours is written first: one that is cut off leaves none that the next would not know, and none that
    it takes for current.
    """
    save(out, Manifest("", (), "", dict.fromkeys([*before, *content], ""), (), False))
    for name in before:
        if name not in content:
            (out / name).unlink(missing_ok=True)
            with suppress(OSError):
                (out / name).parent.rmdir()  # it stays where anything else is in it
    for name, each in content.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(each)
    return [out / name for name in content]


def digests(files: Sequence[Path], out: Path) -> dict[str, str]:
    """Path below out -> SHA-256 of the file."""
    return {file.relative_to(out).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def intact(manifest: Manifest, out: Path) -> bool:
    """Whether every file is there as it was written."""
    try:
        return digests([out / name for name in manifest.files], out) == dict(manifest.files)
    except OSError:
        return False


def versions() -> dict[str, str]:
    """Python and the packages whose numbers or pictures these are."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _code() -> str:
    """SHA-256 of this package's sources and of what it knows about measures."""
    package = Path(__file__).resolve().parent
    files = [file for kind in ("py", "js", "css", "html") for file in sorted(package.rglob(f"*.{kind}"))]
    found = hashlib.sha256()
    for file in [*files, measure_catalogue()]:
        if file.is_file():
            found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
