"""What the registry says of each measure, as a file: the analysis reads it, and never imports torch.

`python -m initdist.measures` writes it anew; a test holds the file against the registry.
"""

from __future__ import annotations

import json

from initdist.measures._registry import REGISTRY


def catalogue() -> str:
    """The text of `catalogue.json`: one object a measure, in the order of the registry."""
    described = [
        {
            "name": m.name,
            "group": m.group,
            "formula": m.formula,
            "source": m.source,
            "orientation": m.orientation,
            "normalization": m.normalization,
            "options": list(m.options),
        }
        for m in REGISTRY.values()
    ]
    return json.dumps({"measures": described}, indent=1, ensure_ascii=False) + "\n"
