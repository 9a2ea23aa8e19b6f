"""Data of a stack: normalization by hand, rows and labels of each network, and datasets that are missing or corrupt."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CPU, blobs, dataset, make, unresolved

from initdist import rng
from initdist.data import datasets, stack_data
from initdist.data.datasets import digits, mnist
from initdist.errors import DatasetError, NotDownloaded
from initdist.sweeps import planning


@pytest.mark.parametrize("file", [digits._FILE, "moved/digits.csv.gz"])
def test_digits_are_those_of_scikit_learn_each_once(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a version of it keeps the file."""
    from sklearn.datasets import load_digits

    monkeypatch.setattr(digits, "_FILE", file)
    bunch = load_digits()
    arrays = datasets.load(make().dataset)
    ours = np.concatenate([arrays.train_inputs, arrays.test_inputs])[:, 0].reshape(1797, -1)
    labels = np.concatenate([arrays.train_labels, arrays.test_labels])
    together = sorted((int(label), *map(int, pixels)) for label, pixels in zip(labels, ours, strict=True))
    assert together == sorted((int(t), *map(int, x)) for t, x in zip(bunch.target, bunch.data, strict=True))
    assert (len(arrays.train_labels), len(arrays.test_labels)) == (1280, 517)


def test_both_splits_of_digits_hold_all_classes_evenly() -> None:
    arrays = datasets.load(make().dataset)
    for labels in (arrays.train_labels, arrays.test_labels):
        share = np.bincount(labels, minlength=10) / len(labels)
        assert abs(share - 0.1).max() < 0.03


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 5)])
def test_inputs_are_normalized_per_channel_by_the_networks_own_training_subset(shape: tuple[int, int, int]) -> None:
    with dataset(blobs("coloured", shape, pool=300, test=20)) as name:
        changes = {"dataset.name": name, "dataset.train_size": 40}
        built = stack_data.build([make(changes | {"seed": seed, "noise.level": 0.5}) for seed in (0, 1)], CPU)
        arrays = datasets.load(make(changes).dataset)
    for network, seed in enumerate((0, 1)):
        subset = arrays.train_inputs[rng.subset(seed, 300, 40)].astype(np.float64)
        mean = subset.mean(axis=(0, 2, 3), keepdims=True)
        std = subset.std(axis=(0, 2, 3), keepdims=True)
        inputs, _ = built.train_slice(0, 40)
        assert inputs[network].numpy() == pytest.approx(((subset - mean) / std), abs=1e-5)
        tested, labels = built.test_slice(3, 20)
        assert tested[network].numpy() == pytest.approx((arrays.test_inputs[3:20] - mean[0]) / std[0], abs=1e-5)
        assert labels[network].tolist() == arrays.test_labels[3:20].tolist()
        assert inputs[network].mean((0, 2, 3)).numpy() == pytest.approx(0, abs=1e-5)
        assert inputs[network].std((0, 2, 3), correction=0).numpy() == pytest.approx(1, abs=1e-5)


def test_a_constant_channel_stays_of_one_size_whatever_its_gray_level_and_a_single_pixel_is_no_rounding() -> None:
    """Each of the 256 levels as a channel; in a second dataset one pixel of each, the last, is another level."""
    levels = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None, None], (50, 256, 4, 4)).copy()
    for name, odd in (("constant", 0), ("odd", 1)):
        module = blobs(name, (256, 4, 4), pool=40, test=10)
        pool = levels[:40].copy()
        pool[-1, :, 0, 0] ^= odd
        module.load = lambda config, pool=pool: datasets.Arrays(
            pool, np.arange(40) % 10, levels[40:], np.arange(10), 255.0
        )
        with dataset(module):
            built = stack_data.build([make({"dataset.name": name, "dataset.train_size": 40})], CPU)
        expected = (pool / 255.0).std((0, 2, 3))
        assert built.std[0].numpy() == pytest.approx(expected if odd else 1, rel=1e-4)
        assert built.test_slice(0, 10)[0].abs().max() < 1


def test_normalization_does_not_hear_of_label_noise() -> None:
    clean, noisy = (stack_data.build([make({"noise.level": level})], CPU) for level in (0.0, 1.0))
    assert torch.equal(clean.mean, noisy.mean)
    assert torch.equal(clean.std, noisy.std)


def test_a_batch_is_the_samples_at_its_positions() -> None:
    built = stack_data.build([make({"seed": seed, "dataset.train_size": 50}) for seed in (0, 1)], CPU)
    order = torch.tensor([[4, 49, 0], [7, 7, 8]])
    inputs, labels = built.train_batch(order)
    everything, all_labels = built.train_slice(0, 50)
    for network in (0, 1):
        assert torch.equal(inputs[network], everything[network][order[network]])
        assert torch.equal(labels[network], all_labels[network][order[network]])


def test_selected_networks_keep_their_data() -> None:
    built = stack_data.build([make({"seed": seed, "dataset.train_size": 50}) for seed in (0, 1, 2)], CPU)
    part = built.select(torch.tensor([2, 0]))
    inputs, labels = part.train_slice(0, 50)
    whole, all_labels = built.train_slice(0, 50)
    assert torch.equal(inputs, whole[[2, 0]])
    assert torch.equal(labels, all_labels[[2, 0]])
    assert torch.equal(part.test_slice(0, 9)[0], built.test_slice(0, 9)[0][[2, 0]])


@pytest.mark.parametrize("room", [0, stack_data.CPU_BYTES])
@pytest.mark.parametrize("noise", ["labels", "random_pixels"])
def test_inputs_made_ready_once_are_those_made_at_every_step(noise, room, monkeypatch) -> None:
    configs = [make({"seed": seed, "dataset.train_size": 600, "noise.level": 0.5}, f"noise={noise}") for seed in (0, 1)]
    monkeypatch.setattr(stack_data, "CPU_BYTES", 0)
    plain = stack_data.build(configs, CPU)
    assert plain.inputs is None
    monkeypatch.setattr(stack_data, "CPU_BYTES", room)
    built = stack_data.build(configs, CPU)
    assert (built.inputs is None) == (room == 0)
    order = torch.stack([torch.randperm(600)[:64] for _ in configs])
    for one, other in zip(plain.train_batch(order), built.train_batch(order), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(plain.train_slice(500, 700), built.train_slice(500, 700), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("room", [0, stack_data.CPU_BYTES])
def test_a_shrunken_stack_has_the_data_of_those_it_keeps(room, monkeypatch) -> None:
    monkeypatch.setattr(stack_data, "CPU_BYTES", room)
    built = stack_data.build([make({"seed": seed, "dataset.train_size": 50}) for seed in range(6)], CPU)
    keep = [0, 5, 2, 4]
    expected = [values[keep] for values in built.train_slice(0, 50)]
    part = built.shrink(keep)
    for one, other in zip(part.train_slice(0, 50), expected, strict=True):
        assert torch.equal(one, other)
    order = torch.randint(0, 50, (4, 7))
    assert torch.equal(part.train_batch(order)[1], expected[1].gather(1, order))


def test_reading_a_slice_leaves_the_shared_data_as_it_was() -> None:
    built = stack_data.build([make()], CPU)
    before = built.shared.pool_inputs.clone(), built.shared.test_inputs.clone()
    first = built.test_slice(0, 10)[0]
    built.train_slice(0, 10)
    assert torch.equal(built.test_slice(0, 10)[0], first)
    assert torch.equal(built.shared.pool_inputs, before[0])
    assert torch.equal(built.shared.test_inputs, before[1])


# A dataset that is not there, or not what it should be

FILES = ", ".join(mnist.SOURCE.files)


def _absent(root: Path, why: str) -> str:
    return (
        f"^dataset mnist is not complete in {re.escape(str(root / 'MNIST' / 'raw'))} and {why}. "
        f"Expected files: {FILES} \\(unpacked or as .gz\\). Place them there, or point dataset.root "
        f"\\(or INITDIST_DATA\\) at a folder that holds MNIST/raw$"
    )


def test_a_missing_dataset_is_refused_with_where_what_and_how(tmp_path: Path) -> None:
    cfg = unresolved({"dataset.root": str(tmp_path), "dataset.download": False}, "dataset=mnist")
    with pytest.raises(DatasetError, match=_absent(tmp_path, "dataset.download is false")):
        planning.networks(cfg)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_downloads_nothing_and_says_what_will_be(tmp_path: Path) -> None:
    """For every dataset that can be downloaded: its facts are known without its files."""
    for name, one in datasets.DATASETS.items():
        if one.prepare is None:
            continue
        root = tmp_path / "there"
        cfg = unresolved({"dataset.root": str(root), "dry_run": True}, f"dataset={name}")
        (network,) = planning.networks(cfg)
        assert planning.to_download([network]) == [f"dataset {name} is not in {root} yet: it is downloaded first"]
        cfg.dataset.download = False
        with pytest.raises(NotDownloaded, match=f"^dataset {name} is not complete in .* dataset.download is false"):
            planning.to_download(planning.networks(cfg))
        cfg.dry_run = False
        with pytest.raises(NotDownloaded):
            planning.networks(cfg)
        assert list(tmp_path.iterdir()) == []


def test_a_download_that_fails_is_refused_with_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    with socket.socket() as closed:  # bound, not listening: whoever connects is refused
        closed.bind(("127.0.0.1", 0))
        mirrors = [f"http://127.0.0.1:{closed.getsockname()[1]}/"]
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", mirrors)
        for proxy in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.delenv(proxy, raising=False)
        cfg = unresolved({"dataset.root": str(tmp_path)}, "dataset=mnist")
        with pytest.raises(DatasetError, match=_absent(tmp_path, r"the download failed \(.+\)")):
            planning.networks(cfg)
    assert not list(tmp_path.iterdir())


def test_a_data_folder_that_cannot_be_made_is_refused_with_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "MNIST").write_text("a file in the way")
    cfg = unresolved({"dataset.root": str(tmp_path)}, "dataset=mnist")
    with pytest.raises(DatasetError, match=_absent(tmp_path, r"the download failed \(.*(exists|directory).*\)")):
        planning.networks(cfg)


@pytest.mark.parametrize("content", [b"", b"not an IDX file"], ids=["empty", "other"])
def test_a_corrupt_file_is_refused_with_its_path_and_what_to_do(tmp_path: Path, content: bytes) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in mnist.SOURCE.files:
        (raw / file).write_bytes(content)
    first, expected = next(iter(mnist.SOURCE.files.items()))
    message = (
        f"^dataset file {re.escape(str(raw / first))} is corrupt: MD5 must be {expected}, got [0-9a-f]{{32}} "
        f"\\({len(content)} bytes\\); remove it and run again to download it anew$"
    )
    with pytest.raises(DatasetError, match=message):
        planning.networks(unresolved({"dataset.root": str(tmp_path)}, "dataset=mnist"))


def test_a_file_that_broke_since_the_last_look_is_noticed(tmp_path: Path) -> None:
    source = Path(os.environ.get("INITDIST_DATA", "data")) / "MNIST" / "raw"
    if not all((source / file).is_file() for file in mnist.SOURCE.files):
        pytest.skip(f"MNIST is not in {source}: set INITDIST_DATA to a folder that holds MNIST/raw")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in mnist.SOURCE.files:
        (raw / file).symlink_to((source / file).resolve())
    cfg = unresolved({"dataset.root": str(tmp_path), "dataset.download": False}, "dataset=mnist")
    assert planning.networks(cfg)[0].data.input_shape == (1, 28, 28)
    labels = raw / "t10k-labels-idx1-ubyte"
    whole = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DatasetError, match=f"^dataset file {re.escape(str(labels))} is corrupt: MD5 must be 27ae3e4e"):
        planning.networks(cfg)
