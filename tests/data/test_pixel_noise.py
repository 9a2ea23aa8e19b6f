"""Input noise: what it does to an image, to which images, and that nothing but seed and sample index decides it."""

import math

import pytest
import torch
from helpers import CPU, make

from initdist.data import stack_data
from initdist.data.noise import NOISES, InputNoise
from initdist.data.noise._pixels import mix, uniform
from initdist.training import job, observer

N_TRAIN = 1280
OF_PIXELS = [name for name, one in NOISES.items() if one.change is not None]


def built(name, *levels, **changes):
    networks = [make({"noise.level": p, "seed": i, **changes}, f"noise={name}") for i, p in enumerate(levels)]
    return stack_data.build(networks, CPU)


def raw(samples):
    """The clean images of each network, [N, m, K, H, W], in [0, 1]."""
    return samples.shared.pool_inputs[samples.rows]


def seen(samples):
    """The images that the networks see, not normalized."""
    inputs, _ = samples.train_slice(0, samples.train_size)
    return inputs * samples.std[:, None, :, None, None] + samples.mean[:, None, :, None, None]


def changed(samples):
    return (seen(samples) - raw(samples)).abs().flatten(2).amax(2) > 1e-4


def test_the_hash_is_splitmix64():
    """First outputs for the seed 1234567, as the reference implementation has them."""
    first = mix(torch.tensor([1234567]), 0)
    assert first.item() % (1 << 64) == 6457827717110365317
    second = mix(torch.tensor([1234567 - 0x61C8864680B583EB]), 0)
    assert second.item() % (1 << 64) == 3203168211198807973


def test_uniform_numbers_are_uniform():
    values = uniform(mix(torch.tensor(7), torch.arange(100_000)))
    assert 0 <= values.min() < 1e-3
    assert 1 - 1e-3 < values.max() < 1
    assert values.mean().item() == pytest.approx(0.5, abs=5 / math.sqrt(12 * 100_000))
    counts = torch.histc(values, 20, 0, 1)
    assert ((counts - 5000).square() / 5000).sum() < 50  # chi-squared with 19 degrees of freedom


@pytest.mark.parametrize("name", OF_PIXELS)
def test_the_level_is_the_fraction_of_images_and_nested(name):
    low, high, all_of_them = (changed(built(name, level))[0] for level in (0.25, 0.5, 1.0))
    for found, level in ((low, 0.25), (high, 0.5)):
        deviation = math.sqrt(level * (1 - level) / N_TRAIN)
        assert found.double().mean().item() == pytest.approx(level, abs=4 * deviation)
    assert not (low & ~high).any()
    assert all_of_them.double().mean() > 0.999
    assert not changed(built(name, 0.0)).any()


@pytest.mark.parametrize("name", ["shuffled_pixels", "random_pixels"])
def test_pixels_are_moved_and_none_is_lost(name):
    samples = built(name, 1.0)
    before, after = raw(samples).flatten(3), seen(samples).flatten(3)
    torch.testing.assert_close(before.sort(-1).values, after.sort(-1).values, atol=1e-5, rtol=0)


def test_shuffled_pixels_is_one_permutation_for_training_and_test_and_another_for_another_seed():
    samples = built("shuffled_pixels", 1.0, 1.0)
    orders = samples.noise.drawn
    assert not torch.equal(orders[0], orders[1])
    for network in range(2):
        expected = raw(samples)[network].flatten(2)[..., orders[network]]
        torch.testing.assert_close(seen(samples)[network].flatten(2), expected, atol=1e-5, rtol=0)
    inputs, labels = samples.test_slice(0, 50)
    expected = samples.shared.test_inputs[:50].flatten(2)[..., orders[1]]
    expected = (expected - samples.mean[1, :, None]) / samples.std[1, :, None]
    torch.testing.assert_close(inputs[1].flatten(2), expected, atol=1e-5, rtol=0)
    assert torch.equal(labels[0], samples.shared.test_labels[:50])


def test_random_pixels_gives_every_image_an_order_of_its_own():
    samples = built("random_pixels", 1.0)
    images = torch.arange(64.0).view(1, 1, 1, 8, 8).repeat(1, 200, 1, 1, 1)
    orders = samples.noise.apply(images, torch.arange(200)[None]).view(200, 64)
    assert len({tuple(order.tolist()) for order in orders}) == 200
    where = orders.argsort(1).double().mean(0)  # on average every pixel lands in the middle
    assert where.mean().item() == pytest.approx(31.5)
    assert (where - 31.5).abs().max() < 4.5 * math.sqrt((64**2 - 1) / 12 / 200)


def test_channels_move_together():
    noise = InputNoise(
        NOISES["random_pixels"].change,
        torch.ones(1, dtype=torch.float64),
        torch.tensor([5]),
        torch.empty(1, 0, dtype=torch.long),
        torch.zeros(1, 3),
        torch.ones(1, 3),
    )
    images = torch.arange(16.0).view(1, 1, 1, 4, 4).repeat(1, 2, 3, 1, 1)
    result = noise.apply(images, torch.tensor([[3, 4]]))
    assert torch.equal(result[:, :, 0], result[:, :, 1])
    assert torch.equal(result[:, :, 0], result[:, :, 2])


def test_gaussian_has_the_mean_and_deviation_of_the_training_subset():
    samples = built("gaussian", 1.0, **{"dataset.train_size": 1000})
    inputs, _ = samples.train_slice(0, 1000)  # normalized: mean 0, deviation 1
    values = inputs.double().flatten()
    assert values.mean().item() == pytest.approx(0, abs=5 / math.sqrt(len(values)))
    assert values.std().item() == pytest.approx(1, abs=5 / math.sqrt(2 * len(values)))
    assert (values**4).mean().item() == pytest.approx(3, abs=5 * math.sqrt(96 / len(values)))
    assert len(values.unique()) > 0.999 * len(values)


@pytest.mark.parametrize("name", OF_PIXELS)
def test_an_image_is_the_same_in_every_batch_and_stack(name):
    together = built(name, 0.5, 0.5, 1.0)
    whole, _ = together.train_slice(0, 100)
    torch.testing.assert_close(together.train_slice(30, 41)[0], whole[:, 30:41], rtol=0, atol=0)
    alone = together.select(torch.tensor([1]))
    torch.testing.assert_close(alone.train_slice(0, 100)[0], whole[1:2], rtol=0, atol=0)
    test, _ = together.test_slice(0, 100)
    torch.testing.assert_close(alone.test_slice(7, 9)[0], test[1:2, 7:9], rtol=0, atol=0)


@pytest.mark.parametrize("name", OF_PIXELS)
def test_training_alone_and_stacked_is_equal_and_labels_stay_clean(name):
    networks = [
        make(
            {
                "noise.level": p,
                "seed": s,
                "dataset.train_size": 60,
                "stop.max_epochs": 2,
                "model.width": 8,
                "history": 2,
            },
            f"noise={name}",
        )
        for p in (0.0, 0.6)
        for s in (0, 1)
    ]
    samples = stack_data.build(networks, CPU)
    clean = torch.from_numpy(samples.shared.pool_labels)[samples.rows]
    assert torch.equal(samples.labels, clean)

    def results(some):
        return [e for e in job.train(some, CPU) if isinstance(e, observer.Trained)]

    stacked = {one.network: one for one in results(networks)}
    for i, config in enumerate(networks):
        (alone,) = results([config])
        assert alone.result.metrics == stacked[i].result.metrics
        assert "generalization_gap_noisy" not in alone.result.metrics


def test_label_noise_leaves_the_inputs_alone():
    assert built("labels", 0.5).noise is None
