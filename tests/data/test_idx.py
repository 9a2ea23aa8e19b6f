"""IDX files: read as torchvision reads them, refused where they are not whole."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torchvision

from initdist.config.schema import DatasetConfig
from initdist.data.datasets import _idx, mnist
from initdist.errors import DatasetError


def write(folder: Path, count: int, labels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 5, 7), dtype=np.uint8)
    classes = rng.integers(0, 10, count if labels is None else labels, dtype=np.uint8)
    for name, values in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", classes)):
        sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
        (folder / name).write_bytes(bytes((0, 0, 8, values.ndim)) + sizes + values.tobytes())
    return images, classes


def test_what_was_written_is_read(tmp_path: Path) -> None:
    images, classes = write(tmp_path, 300)
    found = _idx.read_split(tmp_path, train=False)
    assert np.array_equal(found[0], images)
    assert np.array_equal(found[1], classes)
    assert all(values.flags.writeable for values in found)  # PyTorch warns of others


def test_compressed_files_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    images, classes = write(tmp_path, 300)
    for file in list(tmp_path.iterdir()):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.write_bytes(b"") if "images" in file.name else file.unlink()
    with pytest.raises(ValueError, match="no IDX file"):  # a file that is there comes first
        _idx.read_split(tmp_path, train=False)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    found = _idx.read_split(tmp_path, train=False)
    assert np.array_equal(found[0], images)
    assert np.array_equal(found[1], classes)
    assert all(values.flags.writeable for values in found)


def test_compressed_datasets_are_checked_before_they_are_read(tmp_path: Path) -> None:
    root = Path(os.environ.get("INITDIST_DATA", "data"))
    source = root / mnist.SOURCE.folder
    if not all((source / file).is_file() for file in mnist.SOURCE.files):
        pytest.skip(f"MNIST is not in {root}: set INITDIST_DATA to a folder that holds MNIST/raw")
    folder = tmp_path / mnist.SOURCE.folder
    folder.mkdir(parents=True)
    for file in mnist.SOURCE.files:
        (folder / f"{file}.gz").write_bytes(gzip.compress((source / file).read_bytes(), 1))
    config = DatasetConfig(name="mnist", train_size=100, root=str(tmp_path), download=False)
    assert mnist.describe(config).pool == 60000
    whole = mnist.load(config)
    assert np.array_equal(whole.test_labels, _idx.read_split(source, False)[1])
    last = folder / "t10k-labels-idx1-ubyte.gz"
    last.write_bytes(gzip.compress(b"other"))
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte\.gz is corrupt: MD5 must be"):
        mnist.prepare(config)
    last.write_bytes(last.read_bytes()[:-6])
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte\.gz is corrupt: Compressed file ended"):
        mnist.prepare(config)


@pytest.mark.parametrize(
    "broken",
    [
        lambda whole: whole[:-1],
        lambda whole: whole + b"\0",
        lambda whole: whole[:3],
        lambda whole: b"",
        lambda whole: b"\0\0\x09" + whole[3:],  # signed bytes
        lambda whole: b"\0\0\x08\x02" + whole[4:],
    ],
    ids=["short", "long", "headless", "empty", "of another type", "of other dimensions"],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, broken) -> None:
    write(tmp_path, 30)
    file = tmp_path / "t10k-images-idx3-ubyte"
    file.write_bytes(broken(file.read_bytes()))
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte is no IDX file of 3 dimensions and whole"):
        _idx.read_split(tmp_path, train=False)


def test_as_many_labels_as_images(tmp_path: Path) -> None:
    write(tmp_path, 30, 29)
    with pytest.raises(ValueError, match="30 images and 29 labels"):
        _idx.read_split(tmp_path, train=False)


@pytest.mark.parametrize("train", [True, False])
def test_mnist_is_what_torchvision_reads(train: bool) -> None:
    root = Path(os.environ.get("INITDIST_DATA", "data"))
    if not all((root / mnist.SOURCE.folder / file).is_file() for file in mnist.SOURCE.files):
        pytest.skip(f"MNIST is not in {root}: set INITDIST_DATA to a folder that holds MNIST/raw")
    expected = torchvision.datasets.MNIST(root, train=train)
    images, labels = _idx.read_split(root / mnist.SOURCE.folder, train)
    assert np.array_equal(images, expected.data.numpy())
    assert np.array_equal(labels, expected.targets.numpy())


def test_torchvision_is_not_imported_to_read(tmp_path: Path) -> None:
    write(tmp_path, 30)
    script = (
        "import sys; from pathlib import Path; from initdist.data.datasets import _idx, fashion_mnist, mnist\n"
        "_idx.read_split(Path(sys.argv[1]), False)\n"
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path]).returncode == 0
