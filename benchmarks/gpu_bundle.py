"""All that a bare GPU machine without a network lacks, in one folder: `make gpu-bundle`, then `make gpu-check` there.

gpu-bundle/ holds the wheels that images with PyTorch for Python 3.12 (Linux, x86_64) do not bring (gpu_image.txt says
what they do bring), the project itself, and MNIST from INITDIST_DATA as four gzip files. Versions are those of
constraints.txt, resolved for that Python and platform by uv. The folder is proved: every need of every wheel is met by
another one, or by a package of that name in the image; where a Python 3.12 is found, a fresh environment takes the
wheels without an index and shows the help of `python -m initdist.train`.

    python benchmarks/gpu_bundle.py
    python benchmarks/gpu_bundle.py --python /opt/python3.12/bin/python3.12    # for the proof
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "gpu-bundle"
IMAGE = ROOT / "benchmarks" / "gpu_image.txt"
VERSION = "3.12"
GLIBC = range(17, 29)  # manylinux_2_N: images of the last years have it
MIB_AT_MOST = 55
OF_TORCH = ("nvidia-", "cuda-", "triton", "torch", "torchvision")  # come with the image's PyTorch
MNIST = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=shutil.which(f"python{VERSION}"), help=f"a Python {VERSION}, for the proof")
    chosen = parser.parse_args()
    shutil.rmtree(BUNDLE, ignore_errors=True)
    (wheels := BUNDLE / "wheels").mkdir(parents=True)
    image = {canonicalize_name(name) for name in words(IMAGE)}
    pins = [pin for pin in resolved() if not _brought(pin, image)]
    download(pins, wheels)
    project(BUNDLE / "initdist.tar.gz")
    mnist(BUNDLE / "data" / "MNIST" / "raw")
    sizes = {file.relative_to(BUNDLE): file.stat().st_size for file in sorted(BUNDLE.rglob("*")) if file.is_file()}
    for file, size in sizes.items():
        print(f"{size / 2**20:8.2f} MiB  {file}")
    total = sum(sizes.values()) / 2**20
    print(f"{total:8.2f} MiB  in {len(sizes)} files under {BUNDLE}")
    if total > MIB_AT_MOST:
        sys.exit(f"gpu-bundle: must take at most {MIB_AT_MOST} MiB, got {total:.1f}")
    prove_closed(wheels, image)
    prove_installed(wheels, chosen.python)
    print(f"There: tar xf {BUNDLE.name}/initdist.tar.gz && mv {BUNDLE.name} initdist/ && make -C initdist gpu-check")


def words(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]


def resolved() -> list[str]:
    """`name==version` of everything that initdist needs, on the platform of the image."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        sys.exit("gpu-bundle: uv must be installed: make setup, or pip install uv")
    platform = ["--python-version", VERSION, "--python-platform", f"x86_64-manylinux_2_{max(GLIBC)}"]
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *platform, "--constraint",
               "constraints.txt", "pyproject.toml"]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"gpu-bundle: the versions could not be resolved\n{done.stderr}")
    return done.stdout.split()


def _brought(pin: str, image: set[str]) -> bool:
    name = canonicalize_name(pin.partition("==")[0])
    return name in image or name.startswith(OF_TORCH)


def download(pins: Sequence[str], wheels: Path) -> None:
    """Wheels for the image; of a package that has none, one made here, which must be good for every platform."""
    tags = [f"manylinux_2_{n}_x86_64" for n in reversed(GLIBC)] + ["manylinux2014_x86_64", "manylinux1_x86_64"]
    target = ["--python-version", VERSION, "--implementation", "cp", *[f"--platform={tag}" for tag in tags]]
    common = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]

    def found(pin: str) -> bool:
        command = [*common, "download", "--no-deps", "--only-binary=:all:", *target, "--dest", str(wheels), pin]
        return subprocess.run(command, capture_output=True).returncode == 0

    with ThreadPoolExecutor(4) as several:
        missing = [pin for pin, there in zip(pins, several.map(found, pins), strict=True) if not there]
    for pin in missing:
        subprocess.run([*common, "wheel", "--no-deps", "--wheel-dir", str(wheels), pin], check=True)
        made = max(wheels.glob("*.whl"), key=lambda file: file.stat().st_mtime)
        if not made.name.endswith("-none-any.whl"):
            sys.exit(f"gpu-bundle: {pin} has no wheel for Python {VERSION} on Linux x86_64, and one made here is no "
                     f"good there: {made.name}")  # fmt: skip


def project(file: Path) -> None:
    """The files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    with tarfile.open(file, "w:gz") as archive:
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                archive.add(ROOT / name, f"initdist/{name}")


def mnist(folder: Path) -> None:
    source = Path(os.environ.get("INITDIST_DATA", ROOT / "data")) / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in MNIST:
        plain, compressed = source / name, source / f"{name}.gz"
        if not plain.is_file() and not compressed.is_file():
            sys.exit(f"gpu-bundle: {plain} must be there, or {compressed.name}: set INITDIST_DATA to a folder that "
                     f"holds MNIST/raw")  # fmt: skip
        content = plain.read_bytes() if plain.is_file() else gzip.decompress(compressed.read_bytes())
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))


def prove_closed(wheels: Path, image: set[str]) -> None:
    """Exits where a wheel, or initdist, needs what is neither in another wheel nor in the image."""
    markers = {"python_version": VERSION, "python_full_version": f"{VERSION}.0", "sys_platform": "linux",
               "platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython",
               "platform_python_implementation": "CPython", "os_name": "posix", "extra": ""}  # fmt: skip
    versions, needs = {}, [(name, "initdist") for name in _own_needs()]
    for file in sorted(wheels.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(file.name)
        versions[name] = version
        needs += [(need, file.name) for need in _needs(file)]
    for text, who in needs:
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate(markers):
            continue
        name = canonicalize_name(need.name)
        if name in versions:
            if not need.specifier.contains(versions[name], prereleases=True):
                sys.exit(f"gpu-bundle: {who} needs {need}, and there is {name} {versions[name]}")
        elif name not in image and not name.startswith(OF_TORCH):
            sys.exit(f"gpu-bundle: {who} needs {need}, which is neither in {wheels} nor named in {IMAGE.name}")
    print(f"Closed: every need of {len(versions)} wheels is among them or brought by the image.")


def _own_needs() -> list[str]:
    import tomllib

    needs: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return needs


def _needs(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as opened:
        metadata = next(name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parse(io.TextIOWrapper(opened.open(metadata), "utf-8")).get_all("Requires-Dist", [])


def prove_installed(wheels: Path, python: str | None) -> None:
    """In a fresh environment with what the image brings, without PyTorch, the wheels are installed without an index."""
    if python is None:
        print(f"Not proved by an installation: no Python {VERSION} was found (--python names one).")
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        image = [name for name in words(IMAGE) if not name.startswith(OF_TORCH)]
        subprocess.run([*pip, *image], check=True)
        site = Path(folder, "site")
        subprocess.run([*pip, "--no-index", "--no-deps", "--target", str(site), *wheels.glob("*.whl")], check=True)
        with tarfile.open(BUNDLE / "initdist.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        there = Path(folder, "initdist")
        done = subprocess.run(
            [f"{folder}/bin/python", "-m", "initdist.train", "--help"],
            cwd=there,
            env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{there}"},
            capture_output=True,
            text=True,
        )
        if done.returncode or "model" not in done.stdout:
            sys.exit(f"gpu-bundle: python -m initdist.train --help failed there\n{done.stdout}{done.stderr}")
    print(
        f"Installed: without an index in a fresh environment of {python}; python -m initdist.train --help works there."
    )


if __name__ == "__main__":
    main()
