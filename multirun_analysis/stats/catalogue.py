"""What is known about each measure: its sign, and how it becomes comparable across training sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from initdist import names
from initdist.catalogue import entries

NORMALIZATIONS = ("none", "root", "square", "log")


@dataclass(frozen=True)
class Entry:
    """orientation: the sign of the association with the gap that the measure predicts.

    normalization of a value mu over m training samples: root mu/sqrt(m), square sqrt(mu/m), log (mu - ln m)/2, none mu.
    """

    name: str
    group: str = ""
    formula: str = ""
    source: str = ""
    orientation: int = 1
    normalization: str = "none"
    known: bool = True  # False: not in the catalogue, orientation and normalization are the fallback

    @property
    def column(self) -> str:
        """The measure's column in the frame of networks."""
        return self.name if self.name == names.DISTANCE else names.measure(self.name)


@cache
def read_catalogue() -> dict[str, Entry]:
    """Name -> entry, of the measures with a normalization that is known here."""
    fields = ("name", "group", "formula", "source", "orientation", "normalization")
    return {
        name: Entry(**{field: item[field] for field in fields})
        for name, item in entries().items()
        if item["normalization"] in NORMALIZATIONS
    }


def entry(name: str, catalogue: Mapping[str, Entry]) -> Entry:
    """A measure's entry, or the fallback: orientation +1, no normalization."""
    return catalogue.get(name) or Entry(name, known=False)
