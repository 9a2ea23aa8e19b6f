"""The parts of the paper: what each asks, which claims it judges, and which of its report's figures are shown."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN = "plain"  # the paper as it is committed: an hour on two cores
SMALL = "small"
SIZES = (SMALL, PLAIN, "full")
COLUMN = "column"  # folder, in a part's, of the same report with figures of a paper's column


@dataclass(frozen=True)
class Part:
    """name: of its experiment file, conf/experiment/paper/NAME.yaml. before: what is trained first, as further
    overrides: free networks, whose distances the others are held to. figures: the first is its main one."""

    name: str
    title: str
    claims: tuple[str, ...]
    figures: tuple[str, ...]
    before: tuple[str, ...] = ()

    def experiment(self, size: str) -> str:
        """Its experiment file, and its MLflow experiment."""
        return f"paper/{self.name}" if size == PLAIN else f"paper/{size}/{self.name}"


PARTS = (
    Part(
        "width",
        "Width",
        ("C1a", "C1b", "C2", "C5"),
        ("distance_against_width", "norm_against_width", "errors_against_width"),
    ),
    Part("samples", "Training samples", ("C3",), ("distance_against_train_size",)),
    Part("labels", "Corrupted labels", ("C4",), ("distance_against_noise",)),
    Part("capacity", "The capacity of a ball", ("C6",), ("capacity_against_width",)),
    Part("sequel", "The authors' sequel: bounds over the number of samples", ("C7",), ("bounds_and_gap",)),
    Part("linearized", "Why is the distance small? Linearized twins", ("O1a", "O1b"), ("distance_over_twin",)),
    Part(
        "intervention",
        "Is the distance enough? Moving it on purpose",
        ("O2", "O2'"),
        ("gap_against_imposed_distance",),
        before=("constraint=none",),
    ),
    Part("league", "The distance against every other measure", (), ("league", "tau_by_axis", "correlations")),
    Part("league_optimizers", "The same across optimizers and scales of the initialization", (), ("tau_by_axis",)),
)
