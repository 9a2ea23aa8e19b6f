"""What each family asks of a member alone."""

from __future__ import annotations

import itertools
import math
from dataclasses import astuple, fields, replace

import numpy as np
import torch

from initdist.config.schema import Config
from initdist.config.stops import STOPS, EpochFacts
from initdist.data.datasets import DATASETS
from initdist.data.noise import NOISES
from initdist.models import MODELS
from initdist.stacks import stack
from initdist.stacks.losses import LOSSES
from initdist.testing._training import CPU, global_state, must

SIGMAS = 5  # a draw outside is a matter of 1e-6


def model(config: Config, name: str) -> None:
    """Each sample by itself; a chain, if it says so."""
    built = stack.build([config], (1, 8, 8), 10, CPU)
    inputs = torch.randn(1, 6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = built.forward(inputs)
    alone = torch.cat([built.forward(inputs[:, k : k + 1]) for k in range(6)], dim=1)
    must(torch.allclose(logits, alone, 1.3e-6, 1e-5), f"{name} must compute each sample by itself: no batch's means")
    must(torch.equal(built.forward(inputs), logits), f"{name} must compute the same each time: no dropout")
    if not MODELS[name].chain:
        return
    for key, weight in built.parameters.items():
        if weight.dim() > 2:
            cut = replace(built, parameters={**built.parameters, key: torch.zeros_like(weight)}).forward(inputs)
            must(
                torch.allclose(cut, cut[:, :1].expand_as(cut), atol=1e-6),
                f"{name} must have no CHAIN = True: what the images are passes by {key}",
            )


def dataset(config: Config, name: str) -> None:
    """What it is described to be, each time."""
    about = DATASETS[name].describe(config.dataset)
    with global_state(1):
        arrays = DATASETS[name].load(config.dataset)
    with global_state(2):
        again = DATASETS[name].load(config.dataset)
    must(all(map(np.array_equal, astuple(arrays), astuple(again))), f"{name} must load the same arrays each time")
    must(about.name == name, f"the name of {name} must be its own, got {about.name!r}")
    parts = {
        "training": (about.pool, arrays.train_inputs, arrays.train_labels),
        "test": (about.test_size, arrays.test_inputs, arrays.test_labels),
    }
    for part, (size, inputs, labels) in parts.items():
        shape = (size, *about.input_shape)
        must(inputs.shape == shape, f"{part} inputs of {name} must be {shape} as described, got {inputs.shape}")
        must(labels.shape == (size,), f"{part} labels of {name} must be {(size,)} as described, got {labels.shape}")
        must(labels.dtype == np.int64, f"{part} labels of {name} must be int64, got {labels.dtype}")
        must(set(labels) == set(range(about.classes)), f"{part} labels of {name} must be all {about.classes} classes")
        found = (inputs.min(), inputs.max())
        must(found == (0, arrays.scale), f"{part} inputs of {name} must go from 0 to {arrays.scale}, got {found}")


def noise(config: Config, name: str) -> None:
    """Of labels: nested over the level, of the seed alone, and with the error that it says."""
    redraw, error = NOISES[name].redraw, NOISES[name].error
    if redraw is None or error is None:
        return
    clean = np.arange(20_000) % 10
    given = clean.copy()
    levels = [redraw(given, 10, level, 4) for level in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)]
    must(np.array_equal(given, clean), f"{name} must not write to the labels that it is given")
    must(np.array_equal(levels[0], clean), f"{name} must change nothing at level 0")
    for lower, higher in itertools.pairwise(levels):
        changed = lower != clean
        for more in (higher, levels[-1]):
            must(np.array_equal(more[changed], lower[changed]), f"{name} must keep at a higher level what it changed")
    again, other = (redraw(clean, 10, 0.5, seed) for seed in (4, 5))
    must(np.array_equal(again, levels[3]), f"{name} must be the same for the same seed")
    must(not np.array_equal(again, other), f"{name} must be another for another seed")
    must(error(0.125, 0.0, 10) == 0.125, f"the error of {name} must be that of clean labels at level 0")
    predictions = (clean + (np.arange(len(clean)) % 7 == 0)) % 10  # wrong on one in seven
    wrong = float((predictions != clean).mean())
    for level in (0.0, 0.3, 1.0):
        counted = np.mean([(predictions != redraw(clean, 10, level, seed)).mean() for seed in range(20)])
        told = error(wrong, level, 10)
        close = abs(counted - told) < SIGMAS * 0.5 / np.sqrt(20 * len(clean))
        must(close, f"the error of {name} must be that counted at level {level}, {counted:.4f}, got {told:.4f}")


def loss(config: Config, name: str) -> None:
    """A value for each sample by itself, finite, never negative, lower as the true class gains."""
    loss, draw = LOSSES[name].loss, torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(40, 10, dtype=torch.float64, generator=draw)
    labels = torch.randint(10, (40,), generator=draw)
    values = loss(logits, labels)
    must(bool(torch.isfinite(values).all() and (values >= 0).all()), f"{name} must be finite and never negative")
    alone = torch.cat([loss(logits[k : k + 1], labels[k : k + 1]) for k in range(40)])
    stacked = torch.vmap(loss)(logits.view(4, 10, 10), labels.view(4, 10)).flatten()
    for same in (alone, stacked):
        must(torch.allclose(values, same, 1e-7, 1e-7), f"{name} must be of each sample by itself")
    logits = torch.zeros(3, 10)
    logits[:, 0] = torch.tensor([0.0, 0.4, 0.8])
    one, two, three = loss(logits, torch.zeros(3, dtype=torch.int64)).tolist()
    must(one > two > three, f"{name} must fall as the true class gains, got {one}, {two}, {three}")


def stop(config: Config, name: str) -> None:
    """Asked for by its own fields alone, and never met where the loop does not look."""
    rule, stop = STOPS[name], config.stop
    must(rule.asked(stop), f"{name} must be asked for by its EXAMPLE")
    neutral = {one.name: one.metadata["neutral"] for one in fields(rule.Config) if "neutral" in one.metadata}
    asked = bool(neutral) and rule.asked(replace(stop, **neutral))
    must(not asked, f"{name} must not be asked for by neutral values, got {neutral}")
    losses, errors = np.geomspace(1e-4, 100, 25).tolist(), np.linspace(0, 1, 11).tolist()
    met = 0
    for batch, train_loss, error, share in itertools.product(losses, losses, errors, (0.0, 0.5, 1.0)):
        everything = EpochFacts(batch, train_loss, error, share if stop.fraction > 0 else math.nan)
        awaited = rule.awaits(stop, batch)
        seen = everything if train_loss <= awaited else replace(everything, train_loss=math.nan, train_error=math.nan)
        wanted = bool(rule.met(stop, everything))
        met += wanted
        must(
            bool(rule.met(stop, seen)) == wanted,
            f"awaits of {name} must be at least the training loss at which met can be true: "
            f"met is {wanted} at {everything}, where awaits is {awaited}",
        )
    must(met, f"{name} must be met by some losses, errors and shares with its EXAMPLE")
