"""Planted worlds for the slope within groups: its mean is 1, and what makes intervals too narrow can be switched on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDTH, DEPTH = "model.width", "model.depth"


@dataclass(frozen=True)
class World:
    """Groups lie in cells. Slopes are 1 + differ z of the group + cell_differ z of the cell.

    Misfit: 0.5 z of the configuration, by_width z of its width, by_depth z of its depth.
    """

    groups: int
    widths: int
    depths: int = 1
    cells: int | None = None
    differ: float = 0.0
    cell_differ: float = 0.0
    by_width: float = 0.0
    by_depth: float = 0.0

    def draw(self, rng: np.random.Generator):
        """Arguments of headline."""
        g, w, d = (axis.ravel() for axis in np.indices((self.groups, self.widths, self.depths)))
        cell = g if self.cells is None else g // (self.groups // self.cells)
        x = -0.3 * w + 0.4 * d + 0.3 * rng.normal(size=len(g)) + 0.5 * g
        slope = 1 + self.differ * rng.normal(size=self.groups)[g] + self.cell_differ * rng.normal(size=len(g))[cell]
        misfit = 0.5 * rng.normal(size=len(g))
        misfit += self.by_width * rng.normal(size=self.widths)[w] + self.by_depth * rng.normal(size=self.depths)[d]
        axes = {WIDTH: w} if self.depths == 1 else {WIDTH: w, DEPTH: d}
        return slope * x - 1.5 * g + misfit, x, g, cell, axes

    def __str__(self) -> str:
        extra = (f"{name} {getattr(self, name):g}" for name in ("differ", "cell_differ", "by_width", "by_depth"))
        parts = [f"{self.widths} widths", f"{self.depths} depths" if self.depths > 1 else ""]
        parts += [f"{self.groups} groups", f"{self.cells} cells" if self.cells else ""]
        return ", ".join(part for part in (*parts, *extra) if part and not part.endswith(" 0"))


# World -> the share of draws that must have an interval at least: saying nothing would be right too easily.
WORLDS = {
    World(3, 3): 0.7,
    World(4, 5): 0.7,
    World(6, 8): 1.0,
    World(3, 3, differ=1.0): 0.7,
    World(4, 5, differ=1.0): 0.7,
    World(6, 8, differ=1.0): 1.0,
    World(3, 3, by_width=0.5): 0.0,
    World(4, 5, by_width=0.5): 0.0,
    World(6, 8, by_width=0.5): 1.0,
    World(6, 8, by_width=0.5, differ=0.5): 1.0,
    World(1, 3, 3, by_depth=0.5): 0.0,
    World(1, 8, 6, by_depth=0.5): 1.0,
    World(1, 8, 6, by_width=0.5): 1.0,
    World(1, 8, 6, by_width=0.5, by_depth=0.5): 1.0,
    World(6, 8, cells=3, cell_differ=0.7): 1.0,
    World(12, 4, cells=6, cell_differ=0.7): 0.7,
}
