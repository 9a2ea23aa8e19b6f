"""Trees of image files: decoding, cache, fingerprint, mistakes; balanced subsets; files of torchvision's datasets."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import CPU, make
from PIL import Image

from initdist import rng
from initdist.config.schema import DatasetConfig
from initdist.data import datasets, stack_data
from initdist.data.datasets import _decoded, cifar10, fashion_mnist, images
from initdist.errors import ConfigError, DatasetError


def tree(root: Path, size=(6, 5), mode="RGB", count=3, suffix="png") -> Path:
    """Two classes, `count` images a class and split, each of one color that tells it apart."""
    value = 0
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for k in range(count):
                value += 7
                color = value if mode == "L" else (value, 255 - value, 128)
                Image.new(mode, size, color).save(folder / f"{k}.{suffix}")
    return root


@pytest.fixture(autouse=True)
def _fresh():
    """A tree that a test changes is looked at again at once."""
    yield
    images._recent.cache_clear()
    _decoded._cached.cache_clear()


def config(root: Path, **changes) -> DatasetConfig:
    given = {"name": "images", "train_size": 2, "root": str(root), "cache": str(root.parent / "cache"), **changes}
    return DatasetConfig(**given)


def changed(root: Path, **changes):
    """Description and arrays of a tree that has just been written to."""
    images._recent.cache_clear()
    _decoded._cached.cache_clear()
    return datasets.describe(config(root, **changes)), datasets.load(config(root, **changes))


def test_a_tree_of_colored_images(tmp_path):
    about, arrays = changed(tree(tmp_path / "tree"))
    assert about.input_shape == (3, 5, 6)
    assert (about.classes, about.pool, about.test_size, about.fewest) == (2, 6, 6, 3)
    assert arrays.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert arrays.train_inputs[:, 0, 0, 0].tolist() == [7, 14, 21, 28, 35, 42]
    assert arrays.test_inputs[0, :, 2, 3].tolist() == [49, 206, 128]


def test_gray_stays_one_channel_and_color_can_be_made_gray(tmp_path):
    about, arrays = changed(tree(tmp_path / "gray", mode="L"))
    assert about.input_shape == (1, 5, 6)
    assert arrays.train_inputs[1, 0, 0, 0] == 14
    about, _ = changed(tree(tmp_path / "color"), grayscale=True)
    assert about.input_shape == (1, 5, 6)


def levels(mode: str) -> Image.Image | None:
    """A ramp from black to white in a mode of Pillow; None where Pillow itself cannot make or keep one."""
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    match mode:
        case "I;16" | "I;16B" | "I;16L":
            kind = np.dtype("<u2" if mode != "I;16B" else ">u2")
            return Image.frombytes(mode, (16, 16), (ramp.astype(kind) * 257).tobytes())
        case "I" | "F":
            return Image.fromarray(ramp.astype(np.int32 if mode == "I" else np.float32))
        case "P":
            return Image.fromarray(ramp).convert("P")
        case _:
            return Image.fromarray(ramp).convert("RGBA" if mode in ("RGBa", "PA") else "RGB").convert(mode)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I;16", "I;16B", "I;16L"]
)
def test_every_mode_of_pillow_keeps_its_levels(mode, tmp_path, monkeypatch):
    """As the decoder meets it, whatever file it came from; 255 levels of 16 bits are those of 8."""
    monkeypatch.setattr(Image, "open", lambda path: levels(mode))
    found = _decoded._image(tmp_path / "any.png", 0, grayscale=True)
    wanted = np.arange(256).reshape(16, 16)
    if mode == "1":
        assert set(np.unique(found)) == {0, 255}
    else:
        assert abs(found.astype(int) - wanted).max() <= (3 if mode in ("YCbCr", "HSV", "CMYK") else 1)


@pytest.mark.parametrize(("mode", "suffix"), [("I", "tif"), ("F", "tif")])
def test_images_of_no_agreed_range_are_refused_by_name(mode, suffix, tmp_path):
    root = tree(tmp_path / "tree")
    levels(mode).save(root / "train" / "cat" / f"9.{suffix}")
    with pytest.raises(DatasetError, match=rf"9\.{suffix} cannot be read: its mode is {mode}, 32-bit .* 8 or 16 bits"):
        changed(root)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_gray_files_of_sixteen_bits_are_those_of_eight_with_a_fingerprint_of_their_own(suffix, tmp_path):
    roots = []
    for bits, scale in ((8, 1), (16, 257)):
        roots.append(tree(tmp_path / str(bits), mode="L", suffix=suffix))
        for k, file in enumerate(sorted(roots[-1].rglob(f"*.{suffix}"))):
            pixels = (np.arange(30).reshape(5, 6) * 8 + k) * scale
            Image.fromarray(pixels.astype(np.uint16 if bits == 16 else np.uint8)).save(file)
    (_, eight), (_, sixteen) = (changed(root) for root in roots)
    assert np.array_equal(eight.train_inputs, sixteen.train_inputs)
    assert eight.train_inputs.max() == 29 * 8 + 11
    with open(next(roots[1].rglob("*.*")), "rb") as file:
        assert _decoded.has_sixteen_bits(file)
    with open(next(roots[0].rglob("*.*")), "rb") as file:
        assert not _decoded.has_sixteen_bits(file)


def test_folders_are_read_as_torchvision_reads_them_but_for_hidden_ones(tmp_path):
    """Subfolders and links too; what Jupyter and macOS leave behind is no class and no image."""
    from torchvision.datasets import ImageFolder

    root = tree(tmp_path / "tree")
    deeper = root / "train" / "cat" / "more" / "still"
    deeper.mkdir(parents=True)
    Image.new("RGB", (6, 5), (200, 0, 0)).save(deeper / "a.PNG")
    (root / "train" / "dog" / "link.png").symlink_to(deeper / "a.PNG")
    (root / "train" / "dog" / "more").symlink_to(root / "train" / "cat" / "more")
    (root / "train" / "dog" / "notes.txt").write_text("none")
    theirs = {str(Path(path).relative_to(root / "train")) for path, _ in ImageFolder(root / "train").samples}
    for split in ("train", "test"):
        shutil.copytree(root / split / "cat", root / split / ".ipynb_checkpoints")
    (root / "train" / "cat" / "._0.png").write_text("no image")
    (deeper / "round").symlink_to(deeper.parent)
    about, arrays = changed(root)
    train = root / "train"
    assert {str(one.relative_to(train)) for one in images._files(root) if one.is_relative_to(train)} == theirs
    assert len(arrays.train_labels) == len(theirs) == 9
    assert (about.classes, arrays.train_labels.tolist()) == (2, [0] * 4 + [1] * 5)


def test_a_file_that_one_would_wait_for_is_refused_by_name(tmp_path):
    root = tree(tmp_path / "tree")
    os.mkfifo(root / "train" / "cat" / "pipe.png")
    with pytest.raises(DatasetError, match=r"pipe\.png must be a file, got a pipe, a socket or a device"):
        changed(root)
    (root / "train" / "cat" / "pipe.png").unlink()
    (root / "train" / "cat" / "gone.png").symlink_to("nowhere")
    with pytest.raises(DatasetError, match=r"gone\.png cannot be read: No such file"):
        changed(root)


def test_images_are_resized_on_request_and_refused_otherwise(tmp_path):
    root = tree(tmp_path / "tree")
    Image.new("RGB", (9, 9)).save(root / "train" / "cat" / "9.png")
    with pytest.raises(
        DatasetError, match=r"images must have one size, got 6x5 in .* and 9x9 in .*image_size=32 resizes"
    ):
        changed(root)
    about, arrays = changed(root, image_size=4)
    assert about.input_shape == (3, 4, 4)
    assert arrays.train_inputs[0, 0].min() == arrays.train_inputs[0, 0].max() == 7


def test_the_fingerprint_is_the_content_and_the_decoding(tmp_path):
    root = tree(tmp_path / "tree")
    first, _ = changed(root)
    moved = Path(shutil.copytree(root, tmp_path / "elsewhere"))
    assert changed(moved)[0].fingerprint == first.fingerprint
    assert changed(root, image_size=4)[0].fingerprint != first.fingerprint
    Image.new("RGB", (6, 5), (1, 2, 3)).save(root / "test" / "dog" / "0.png")
    assert changed(root)[0].fingerprint != first.fingerprint


def test_images_are_decoded_once(tmp_path, monkeypatch):
    root = tree(tmp_path / "tree")
    _, first = changed(root)
    monkeypatch.setattr(_decoded, "_decode", lambda *given: pytest.fail("decoded again"))
    _, again = changed(root)
    assert np.array_equal(first.train_inputs, again.train_inputs)


def test_a_corrupt_cache_is_made_anew(tmp_path, capsys):
    root = tree(tmp_path / "tree")
    about, first = changed(root)
    file = tmp_path / "cache" / about.fingerprint.replace("/", "-") / "train_inputs.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    _, again = changed(root)
    assert "is corrupt (the checksum of train_inputs.npy differs): decoding the images again" in capsys.readouterr().err
    assert np.array_equal(first.train_inputs, again.train_inputs)
    changed(root)
    assert capsys.readouterr().err == ""


def test_a_cache_that_takes_nothing_is_named_and_the_images_are_used(tmp_path, capsys):
    root = tree(tmp_path / "tree")
    (tmp_path / "cache").write_text("a file where the folder should be")
    _, arrays = changed(root)
    assert len(arrays.train_labels) == 6
    assert "dataset.cache cannot keep" in capsys.readouterr().err


def test_only_what_initdist_decoded_is_taken_for_a_cache(tmp_path):
    about, _ = changed(tree(tmp_path / "tree"))
    base = tmp_path / "cache"
    own = base / about.fingerprint.replace("/", "-")
    broken_off = base / ".decoding-x1" / "cache"
    broken_off.mkdir(parents=True)
    (broken_off / "train_inputs.npy").write_bytes(b"half")
    for name in ("notes.txt", "thesis/draft.tex", "images-old/cat.png", ".decoding-mine/draft.tex", ".venv/bin/python"):
        (base / name).parent.mkdir(exist_ok=True, parents=True)
        (base / name).write_text("somebody's")
    shutil.copytree(own, base / f"images-{'0' * 64}")
    (base / f"images-{'0' * 64}" / "notes.txt").write_text("somebody's")
    (base / f"images-{'1' * 64}").symlink_to(own)
    (base / f"images-{'2' * 64}" / "train_inputs.npy").mkdir(parents=True)
    (base / f"images-{'2' * 64}" / "train_inputs.npy" / "draft.tex").write_text("somebody's")
    (base / f"images-{'3' * 64}").mkdir()
    (base / f"images-{'3' * 64}" / "train_inputs.npy").symlink_to(base / "notes.txt")
    assert images.caches(base) == [broken_off.parent, own]
    assert images.caches(tmp_path / "none") == []


def test_reading_a_cache_is_a_use_of_it(tmp_path):
    root = tree(tmp_path / "tree")
    about, _ = changed(root)
    folder = tmp_path / "cache" / about.fingerprint.replace("/", "-")
    os.utime(folder, (0, 0))
    changed(root)
    assert folder.stat().st_mtime > 1e9


MISTAKES = {
    "no tree": (
        lambda root: shutil.rmtree(root),
        r"must hold folders train/<class>/ and test/<class>/ .* without train/",
    ),
    "no test split": (lambda root: shutil.rmtree(root / "test"), r"without test/"),
    "one class": (
        lambda root: [shutil.rmtree(root / split / "dog") for split in ("train", "test")],
        r"train must hold at least 2 class folders, got 1",
    ),
    "class in one split": (lambda root: shutil.rmtree(root / "test" / "dog"), r"got dog in one only"),
    "empty class": (
        lambda root: [file.unlink() for file in (root / "train" / "dog").iterdir()],
        r"train/dog must hold images, got none",
    ),
    "unreadable": (
        lambda root: (root / "train" / "dog" / "1.png").write_text("no image"),
        r"image .*train/dog/1\.png cannot be read: .*; replace it or take it out",
    ),
    "truncated": (
        lambda root: (root / "test" / "cat" / "0.png").write_bytes((root / "test/cat/0.png").read_bytes()[:45]),
        r"image .*test/cat/0\.png cannot be read",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_tree_is_named(tmp_path, name):
    spoil, message = MISTAKES[name]
    root = tree(tmp_path / "tree")
    spoil(root)
    with pytest.raises(DatasetError, match=message):
        datasets.describe(config(root))
    assert not list(tmp_path.glob("cache/images-*"))


def test_the_real_jpeg_tree():
    root = Path(os.environ.get("INITDIST_DATA", "data")) / "cifar10_jpeg"
    if not root.is_dir():
        pytest.skip(f"no image tree in {root}: set INITDIST_DATA to a folder that holds cifar10_jpeg")
    about = datasets.describe(config(root, cache=str(Path.home() / ".cache" / "initdist")))
    assert about.input_shape == (3, 32, 32)
    assert (about.classes, about.pool, about.test_size) == (10, 10000, 2000)


def test_image_options_are_for_images():
    with pytest.raises(
        ConfigError, match=r"dataset\.image_size must be 0 for dataset=digits, which does not use it, got 4"
    ):
        make({"dataset.image_size": 4})


# Balanced subsets


def test_balanced_subsets_are_balanced_nested_and_seeded():
    labels = np.array([0] * 50 + [1] * 30 + [2] * 40)
    large = rng.balanced_subset(3, labels, 80)
    assert np.bincount(labels[large]).tolist() == [27, 27, 26]
    assert len(set(large.tolist())) == 80
    assert np.array_equal(rng.balanced_subset(3, labels, 31), large[:31])
    assert not np.array_equal(rng.balanced_subset(4, labels, 80), large)
    with pytest.raises(ValueError, match="31 samples of every class are needed, the smallest has 30"):
        rng.balanced_subset(3, labels, 93)


def test_a_network_trains_on_a_balanced_subset():
    samples = stack_data.build([make({"dataset.balanced": True, "dataset.train_size": 200})], CPU)
    assert np.bincount(samples.labels[0]).tolist() == [20] * 10


def test_more_than_the_smallest_class_allows_is_refused():
    with pytest.raises(
        ConfigError, match=r"dataset\.train_size must be at most 1170 with dataset\.balanced=true, .* got 1180"
    ):
        datasets.describe(make({"dataset.balanced": True, "dataset.train_size": 1180}).dataset)
    bunch = datasets.load(make().dataset)
    assert np.bincount(bunch.train_labels).min() == datasets.describe(make().dataset).fewest


# fashion_mnist and cifar10, as far as can be without downloading them


def zeros(folder: Path) -> None:
    """Files of Fashion-MNIST's shape with nothing in them."""
    folder.mkdir(parents=True)
    for file, length in fashion_mnist.SOURCE.files.items():
        count = 60000 if file.startswith("train") else 10000
        shape = (count, 28, 28) if "images" in file else (count,)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
        (folder / file).write_bytes(header + bytes(length - len(header)))


def test_fashion_mnist_is_read_and_a_short_file_named(tmp_path):
    zeros(tmp_path / "FashionMNIST" / "raw")
    given = DatasetConfig(name="fashion_mnist", train_size=2, root=str(tmp_path), download=False)
    assert datasets.describe(given).fingerprint == "fashion_mnist/1"
    assert datasets.load(given).train_inputs.shape == (60000, 1, 28, 28)
    file = tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte is corrupt: length must be 10008, got 10007"):
        datasets.prepare(given)


def test_cifar10_is_checked_before_anything_is_unpickled(tmp_path):
    given = DatasetConfig(name="cifar10", train_size=2, root=str(tmp_path), download=False)
    with pytest.raises(DatasetError, match=r"dataset cifar10 is not complete in .*cifar-10-batches-py.*data_batch_1"):
        datasets.prepare(given)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for file in cifar10.SOURCE.files:
        (folder / file).write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "run").encode() + b"'\ntR.")
    for use in (datasets.prepare, datasets.load):
        with pytest.raises(DatasetError, match=r"data_batch_1 is corrupt: MD5 must be c99cafc"):
            use(given)
    assert not (tmp_path / "run").exists()
