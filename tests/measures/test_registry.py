"""What the registry says of its measures, and what can be asked of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from initdist import catalogue as known
from initdist import measures, names
from initdist.config.schema import MeasuresConfig
from initdist.errors import ConfigError
from initdist.measures import REGISTRY, MeasureInputs
from initdist.measures._documents import DOCS_FILE, catalogue, docs
from initdist.paths import measure_catalogue
from tests.measures.subjects import HAND

NAMES = list(REGISTRY)
OPPOSITE = {"cosine_to_init", "margin_p5", "margin_p10", "margin_median"}  # larger means a smaller gap


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_says_what_it_is(name: str) -> None:
    one = REGISTRY[name]
    assert one.name == name
    assert one.formula
    assert one.source.startswith("arXiv ")
    assert one.orientation in (-1, 1)
    assert one.needs.models
    if one.group in ("core", "norms", "margins", "bounds"):
        assert (one.orientation == -1) is (name in OPPOSITE)
    if name.startswith("log_"):
        assert one.normalization == "log"


def test_what_divides_by_the_margin_says_so() -> None:
    there = {name for name, one in REGISTRY.items() if "margin" in one.options}
    bounds = {name for name, one in REGISTRY.items() if one.group == "bounds"}
    divided = {name for name, one in REGISTRY.items() if "gamma" in one.formula or "_over_margin" in one.formula}
    assert {"inverse_margin", "log_spec_init_main", "log_spec_orig_main"} <= divided
    assert {name for name in NAMES if name.endswith("_over_margin")} <= divided
    assert there == bounds | divided


def test_every_bound_has_its_full_value_beside_it() -> None:
    bounds = {name for name, one in REGISTRY.items() if one.group == "bounds"}
    terms = {name for name in bounds if not name.endswith("_full")}
    assert bounds == terms | {f"{name}_full" for name in terms}


def test_a_selection_names_each_measure_once() -> None:
    assert measures.expand(["all"]) == NAMES
    core = [name for name, one in REGISTRY.items() if one.group == "core"]
    assert measures.expand(["core"]) == core
    assert measures.expand(["param_norm", "core", "param_norm"]) == [
        "param_norm",
        *[name for name in core if name != "param_norm"],
    ]
    assert measures.expand([]) == []


@pytest.mark.parametrize(("given", "near"), [("cor", "core"), ("bartlet", "bartlett"), ("margin_p_5", "margin_p5")])
def test_an_unknown_selection_is_refused_with_the_nearest(given: str, near: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^measures\.names must be one of .*, got '{given}'; did you mean {near}\?$"
    ):
        measures.expand(["param_norm", given])


def test_the_options_that_a_value_depends_on() -> None:
    config = MeasuresConfig(names=["param_norm", "inverse_margin"], margin="p5")
    assert measures.options(config.names, config) == {"param_norm": {}, "inverse_margin": {"margin": "p5"}}


def test_a_change_of_values_is_a_new_version_and_older_runs_lack_it() -> None:
    """Bounds that were measured before have the margin alone in their tag; what kept its values has no version."""
    config = MeasuresConfig(names=["bounds", "param_norm"])
    found = measures.options(config.names, config)
    assert {name for name, own in found.items() if "version" in own} == {"neyshabur_2018", "neyshabur_2018_full"}
    assert found["neyshabur_2018"] == {"margin": "p10", "version": 2}
    assert found == known.selected(config)
    before = {name: {"margin": "p10"} for name in found if name != "param_norm"} | {"param_norm": {}}
    tags = {names.MEASURES: json.dumps(before)}
    assert known.missing(found, tags) == ["neyshabur_2018", "neyshabur_2018_full"]
    assert known.missing(found, {names.MEASURES: json.dumps(found)}) == []
    assert "| `measures.margin`, version 2 |" in docs()


def test_a_measure_the_registry_cannot_place_is_refused() -> None:
    def param_norm(subject: MeasureInputs) -> Tensor:
        return torch.zeros(1)

    with pytest.raises(
        ConfigError, match=r"^measure param_norm: its name must be its own, got that of one in initdist\.m"
    ):
        measures.measure(group="core", formula="0", source="none")(param_norm)

    def nothing(subject: MeasureInputs) -> Tensor:
        return torch.zeros(1)

    for wrong, message in (
        ({"group": "cores"}, "group must be one of .*, got 'cores'"),
        ({"group": "core", "needs": "trees"}, "needs must be one of .*, got 'trees'"),
        ({"group": "core", "normalization": "ln"}, "normalization must be one of .*, got 'ln'"),
        ({"group": "core", "options": ("dice",)}, r"options must be fields of MeasuresConfig, got \['dice'\]"),
    ):
        with pytest.raises(ConfigError, match=f"^measure nothing: {message}$"):
            measures.measure(formula="0", source="none", **wrong)(nothing)
    assert "nothing" not in REGISTRY


def test_values_are_float64_on_the_cpu_and_totals_stand_beside_layers() -> None:
    values = measures.compute(["core"], HAND)
    assert all(value.dtype == torch.float64 and value.shape == (1,) for value in values.values())
    layers = {layer for name, layer in values if name == "spectral_distance"}
    assert layers == {None, "layer1", "layer2"}
    assert {layer for name, layer in values if name == "distance_from_init"} == {"layer1", "layer2"}


def test_the_catalogue_and_the_docs_are_the_registry_s() -> None:
    assert measure_catalogue().read_text(encoding="utf-8") == catalogue(), "run python -m initdist.measures"
    assert DOCS_FILE.read_text(encoding="utf-8") == docs(), "run python -m initdist.measures"
    assert known.defined() == sorted((one.name, one.group) for one in REGISTRY.values()), "read from the sources"
    listed = [one["name"] for one in json.loads(catalogue())["measures"]]
    assert sorted(listed) == sorted(NAMES)
    order = [names.MEASURE_GROUPS.index(REGISTRY[name].group) for name in listed]
    assert order == sorted(order)
    assert all(docs().count(f"| `{name}` |") == 1 for name in NAMES)


def test_the_table_in_the_docs_keeps_its_columns() -> None:
    """A bar inside of a formula would end its cell."""
    rows = [line for line in Path(DOCS_FILE).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) == len(NAMES)
    assert {line.replace("\\|", "").count("|") for line in rows} == {8}


def test_a_diverged_network_has_no_values_and_leaves_its_neighbours_theirs() -> None:
    from tests.measures.subjects import INITIAL, TRAINED, samples, two

    broken = {name: torch.cat([values, values * torch.nan]) for name, values in TRAINED.items()}
    initial = {name: torch.cat([values, values]) for name, values in INITIAL.items()}
    inputs = HAND.data.shared.pool_inputs.flatten(1).tolist()
    both = samples(inputs, HAND.data.labels[0].tolist(), networks=2)
    values = measures.compute(["all"], MeasureInputs(two(broken), two(initial), both, seeds=(0, 0)))
    alone = measures.compute(["all"], HAND)
    assert values.keys() == alone.keys()
    for key, value in values.items():
        if key[0] != "parameters":
            assert math.isnan(value[1]), key
        assert value[0].item() == pytest.approx(alone[key].item(), rel=0, abs=0, nan_ok=True), (
            key
        )  # labels of one class
