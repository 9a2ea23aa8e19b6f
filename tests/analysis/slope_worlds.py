"""Planted worlds for the slope within groups: its mean is 1, and what makes intervals too narrow can be switched on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

WIDTH, DEPTH, SIZE, NOISE = "model.width", "model.depth", "dataset.train_size", "noise.level"


@dataclass(frozen=True)
class World:
    """Groups: sizes x noises x losses; the losses of one size and noise are a data cell.

    The slope per standard deviation of the measure is mean + differ z of the group + by_cell z + by_size z. Misfit:
    0.5 z of the configuration times 2^(-uneven w) at the w-th width, by_width z of its width, by_depth z of its depth.
    scale: how many times as much the measure varies at each further size.
    """

    sizes: int
    widths: int
    noises: int = 1
    losses: int = 1
    depths: int = 1
    differ: float = 0.0
    by_cell: float = 0.0
    by_size: float = 0.0
    by_width: float = 0.0
    by_depth: float = 0.0
    uneven: float = 0.0
    scale: float = 1.0
    mean: float = 1.0

    def draw(self, rng: np.random.Generator):
        """Arguments of headline."""
        shape = (self.sizes, self.noises, self.losses, self.widths, self.depths)
        n, p, loss, w, d = (axis.ravel() for axis in np.indices(shape))
        cell = n * self.noises + p
        group = cell * self.losses + loss
        x = -0.3 * w + 0.4 * d + 0.3 * rng.normal(size=len(n))
        x -= (np.bincount(group, weights=x) / np.bincount(group))[group]
        spread = np.sqrt(np.bincount(group, weights=x**2) / np.bincount(group))
        slope = self.mean + self.differ * rng.normal(size=len(spread))[group]
        slope += self.by_cell * rng.normal(size=len(n))[cell] + self.by_size * rng.normal(size=self.sizes)[n]
        misfit = 0.5 * rng.normal(size=len(n)) * 2.0 ** (-self.uneven * w)
        misfit += self.by_width * rng.normal(size=self.widths)[w] + self.by_depth * rng.normal(size=self.depths)[d]
        data = {SIZE: n, NOISE: p}
        axes = {WIDTH: w} if self.depths == 1 else {WIDTH: w, DEPTH: d}
        return slope * x / spread[group] + misfit - 1.5 * group, x * self.scale**n + group, group, data, axes

    def __str__(self) -> str:
        changed = [(item.name, getattr(self, item.name)) for item in fields(self)]
        return ", ".join(f"{name} {value:g}" for name, value in changed if value != World.__dict__.get(name))


# World -> the share of draws that must have an interval at least: saying nothing would be right too easily.
WORLDS = {
    World(3, 3): 1.0,
    World(4, 5): 1.0,
    World(6, 8): 1.0,
    World(2, 3, noises=3): 0.7,
    World(3, 3, differ=1.0): 1.0,
    World(4, 5, differ=1.0): 1.0,
    World(6, 8, differ=1.0): 1.0,
    World(3, 3, by_width=0.5): 1.0,
    World(4, 5, by_width=0.5): 1.0,
    World(6, 8, by_width=0.5): 1.0,
    World(6, 8, by_width=0.5, differ=0.5): 1.0,
    World(6, 3, by_width=1.0): 1.0,
    World(1, 3, depths=3, by_depth=0.5): 1.0,
    World(1, 8, depths=4, by_depth=0.5): 1.0,
    World(1, 8, depths=6, by_width=0.5, by_depth=0.5): 1.0,
    World(3, 4, losses=2, by_cell=0.7): 1.0,
    World(6, 4, losses=2, by_cell=0.7): 1.0,
    World(3, 7, noises=3, by_size=0.7): 1.0,
    World(6, 7, noises=4, by_size=0.7): 1.0,
    World(2, 7, noises=5, by_size=3.0): 0.0,
    World(1, 13, uneven=0.25, mean=0.0): 1.0,
    World(6, 7, uneven=0.5): 1.0,
    World(3, 8, scale=20.0): 1.0,
}
