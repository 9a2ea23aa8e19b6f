"""What the registry says of each measure, as files: one for the analysis, which never imports torch, one for people.

`python -m initdist.measures` writes them anew; a test holds them against the registry.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from initdist import names
from initdist.measures._measure import REGISTRY, Measure

DOCS_FILE = Path(__file__).resolve().parents[2] / "docs" / "measures.md"  # in a checkout

INTRODUCTION = """# Measures

Written by `python -m initdist.measures` from the registry in `initdist/measures/`.

`measures=GROUP` computes the core measures and a group, `measures=all` all of them, `measures.names=[...]` any list of
groups and measures. Each is stored raw, as `measure/NAME` and, where it has layers, `measure/NAME/LAYER`.

- Layers k = 1..d have trained weights W_k, initial weights Z_k and D_k = W_k - Z_k: convolutions reshaped to
  (out, in * kernel), biases left out. theta is all that is trained.
- m training samples, C classes, h hidden units of the widest layer, unless a note says otherwise. A margin is
  f(x)_y - max_(j != y) f(x)_j against the label trained on; gamma is the margin that `measures.margin` names: `p10`
  (the max(1, m // 10)-th smallest, the default), `p5` or `median`.
- theta_k: the weight parameter of layer k as it is trained and stored. W_k = theta_k, but for `model.init=ntk`, where
  the function uses W_k = sqrt(2 / fan_in) theta_k: fan_in is in * kernel, biases have no multiplier.
- A chain is a model that is its weight layers one after the other, as `mlp`, `linear` and `cnn` are; it is dense where
  all of them are fully connected, as in `mlp` and `linear`.
- A measure that is undefined for a model is absent. With `model.output_scale` no product over layers is defined. Where
  gamma <= 0, what divides by it is +infinity (in MLflow 1.8e308).
- A linearized network (`model.linearize`) computes f_theta0 + J(theta_0) (theta - theta_0): inputs pass through layers
  with the weights Z_k, and W_k - Z_k only says how far the parameters moved. What is of its outputs, its loss or theta
  is defined as ever: margins, distances, `param_norm`, `function_distance`, `fisher_rao`, pacbayes, curvature,
  optimization. Absent are norms of single W_k, products over layers, path norms, bounds, and what is of ReLUs or
  convolutions. Its tangent kernel is that of its beginning.
- gap: + where a larger value predicts a larger generalization gap, - where a smaller one. sizes: how the analysis makes
  values mu of different training sizes comparable: root mu / sqrt(m), square sqrt(mu / m), log (mu - ln m) / 2.
"""


def catalogue() -> str:
    """The text of `catalogue.json`: one object a measure of ours, group by group."""
    own = [described(one) for one in _ordered()]
    return json.dumps({"measures": own}, indent=1, ensure_ascii=False) + "\n"


def described(one: Measure) -> dict[str, Any]:
    """What the catalogue says of a measure."""
    return {
        "name": one.name,
        "group": one.group,
        "formula": one.formula,
        "source": one.source,
        "orientation": one.orientation,
        "normalization": one.normalization,
        "options": list(one.options),
        "version": one.version,
    }


def foreign() -> dict[str, dict[str, Any]]:
    """Measure -> the same, of the measures of other packages."""
    return {one.name: described(one) for one in REGISTRY.values() if not _own(one)}


def _own(one: Measure) -> bool:
    return one.function.__module__.startswith("initdist.measures.")


def docs() -> str:
    """The text of `docs/measures.md`: a table a group, and what is to be known of single measures."""
    parts = [INTRODUCTION]
    for group in names.MEASURE_GROUPS:
        members = [one for one in _ordered() if one.group == group]
        if members:
            modules = dict.fromkeys(inspect.getmodule(one.function) for one in members)
            about = "\n".join(f"{inspect.getdoc(module)}\n" for module in modules)
            parts.append(f"\n## {group}\n\n{about}\n{_table(members)}{_notes(members)}")
    return "".join(parts)


def _ordered() -> list[Measure]:
    own = filter(_own, REGISTRY.values())
    return sorted(own, key=lambda one: names.MEASURE_GROUPS.index(one.group))


def _table(members: list[Measure]) -> str:
    rows = [["measure", "formula", "source", "models", "gap", "sizes", "options"], ["---"] * 7]
    for one in members:
        sign = "+" if one.orientation > 0 else "-"
        options = ", ".join(f"`measures.{option}`" for option in one.options)
        options += f"{', ' * bool(options)}version {one.version}" if one.version > 1 else ""
        formula = "`" + one.formula.replace("|", "\\|") + "`"
        rows.append([f"`{one.name}`", formula, one.source, one.needs.models, sign, one.normalization, options])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _notes(members: list[Measure]) -> str:
    noted = [(one.name, inspect.getdoc(one.function)) for one in members]
    lines = [f"- `{name}`: {' '.join(text.split())}\n" for name, text in noted if text]
    return "\n" + "".join(lines) if lines else ""
