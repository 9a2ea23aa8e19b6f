"""Measures against values computed by hand, closed forms and numpy, and the properties that all of them have."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from helpers import CPU, blobs, dataset, make, tiny
from torch import Tensor

from initdist import config as configs
from initdist import data, evaluation, measures, stack
from initdist.errors import ConfigError
from initdist.measures import REGISTRY, Subject
from initdist.measures._catalogue import catalogue
from initdist.paths import measure_catalogue
from initdist.stack import Form, Parameters, Stack

NAMES = list(REGISTRY)


def _hand(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], biases: Sequence[float]) -> Parameters:
    """A 2-2-2 network with these weights; its four biases in order."""
    values = {
        "1.weight": torch.tensor([first]),
        "1.bias": torch.tensor([biases[:2]]),
        "3.weight": torch.tensor([second]),
        "3.bias": torch.tensor([biases[2:]]),
    }
    return {name: tensor.float() for name, tensor in values.items()}


def _two(parameters: Parameters) -> Stack:
    """A stack of one network of 2 inputs, 2 hidden units and 2 classes."""
    (config,) = [make({"model.width": 2, "model.depth": 1})]
    return Stack(stack.build([config], (1, 1, 2), 2, CPU).form, parameters)


INITIAL = _hand([[1, 0], [0, 1]], [[2, 0], [0, 2]], [0, 0, 0, 0])
# D_1 = [[2, 0], [0, -1]], D_2 = [[0, 3], [0, 0]], biases moved by 1, 1, 1, 3
TRAINED = _hand([[3, 0], [0, 0]], [[2, 3], [0, 2]], [1, -1, 1, 3])


def _samples(inputs: Sequence[Sequence[float]], labels: Sequence[int]) -> data.StackData:
    """Training data of one network, taken as it is."""
    about = blobs("two", (1, 1, 2), len(labels), 1, 2).describe(None)
    shared = data.Shared(
        about,
        torch.tensor(inputs).float().view(-1, 1, 1, 2),
        torch.zeros(1, 1, 1, 2),
        torch.zeros(1, dtype=torch.int64),
        np.array(labels),
        np.zeros((2, len(labels), 1)),
    )
    return data.StackData(
        shared, torch.arange(len(labels))[None], torch.tensor([labels]), torch.zeros(1, 1), torch.ones(1, 1)
    )


FOUR = _samples([[1, 0], [0, 1], [1, 1], [2, 0]], [0, 1, 0, 0])

BY_HAND = {
    ("distance_from_init", "layer1"): math.sqrt(5),
    ("distance_from_init", "layer2"): 3,
    ("distance_over_sqrt_n", None): math.sqrt(5 + 9 + 12) / 2,
    ("distance_relative", None): math.sqrt(26) / math.sqrt(1 + 1 + 4 + 4),
    ("param_norm", None): 9 + 4 + 9 + 4,
    ("spectral_norm", "layer1"): 3,
    ("spectral_norm", "layer2"): 4,  # [[2, 3], [0, 2]]: W^T W = [[4, 6], [6, 13]], eigenvalues 16 and 1
    ("spectral_distance", None): 4 + 9,
    ("spectral_distance", "layer1"): 2,
    ("spectral_distance", "layer2"): 3,
    ("log_prod_of_spec", None): math.log(9) + math.log(16),
}


def test_core_measures_by_hand() -> None:
    values = measures.compute(["core"], Subject(_two(TRAINED), _two(INITIAL), FOUR))
    margins = {("margin_p10", None), ("margin_median", None)}
    assert values.keys() == BY_HAND.keys() | margins
    for key, expected in BY_HAND.items():
        assert values[key].dtype == torch.float64
        assert values[key].tolist() == pytest.approx([expected], rel=1e-6), key


def test_the_distance_counts_biases() -> None:
    assert evaluation.distance(_two(TRAINED), _two(INITIAL)).item() == pytest.approx(math.sqrt(5 + 9 + 12))


def test_a_network_at_its_initialization_has_moved_nowhere() -> None:
    values = measures.compute(["core"], Subject(_two(INITIAL), _two(INITIAL), FOUR))
    moved = {key: value.item() for key, value in values.items() if "distance" in key[0]}
    assert len(moved) == 7
    assert set(moved.values()) == {0.0}
    assert evaluation.distance(_two(INITIAL), _two(INITIAL)).item() == 0


def test_margins_by_hand() -> None:
    """f(x) = second ReLU(first x): with W_1 = 1 and W_2 = 2 times the identity, f(x) = 2 ReLU(x)."""
    subject = Subject(_two(INITIAL), _two(INITIAL), FOUR)
    # labels 0, 1, 0, 0: margins 2 - 0, 2 - 0, 2 - 2, 4 - 0
    assert subject.margins.tolist() == [[0, 2, 2, 4]]


@pytest.mark.parametrize(
    ("count", "tenth", "middle"), [(2, 1, 1), (4, 1, 2), (9, 1, 4), (10, 1, 5), (19, 1, 9), (20, 2, 10), (31, 3, 15)]
)
def test_the_margin_is_the_mth_tenth_smallest_and_may_be_negative(count: int, tenth: int, middle: int) -> None:
    """Samples (x, 0) of class 0 have the margin 2 ReLU(x); those of class 1 minus that. One sample is misclassified."""
    inputs = [[float(x), 0.0] for x in range(1, count + 1)]
    samples = _samples(inputs, [1] + [0] * (count - 1))
    values = measures.compute(["margin_p10", "margin_median"], Subject(_two(INITIAL), _two(INITIAL), samples))
    ordered = [-2.0, *[2.0 * x for x in range(2, count + 1)]]
    assert values["margin_p10", None].tolist() == [ordered[tenth - 1]]
    assert values["margin_median", None].tolist() == [ordered[middle - 1]]


def test_margins_are_against_the_labels_trained_on() -> None:
    with dataset(blobs("classes", (1, 4, 4), pool=200, test=10)) as name:
        config = tiny({"dataset.name": name, "noise.level": 1.0, "dataset.train_size": 150})
        samples = data.build([config], CPU)
        built = stack.build([config], (1, 4, 4), 10, CPU)
        inputs, labels = samples.train_slice(0, 150)
    logits = built.forward(inputs)[0].numpy()
    expected = sorted(
        row[label] - max(value for c, value in enumerate(row) if c != label)
        for row, label in zip(logits, labels[0].tolist(), strict=True)
    )
    assert Subject(built, built, samples).margins[0].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("diagonal", [(3.0, 2.0, 1.0), (-5.0, 0.5, 0.0)])
def test_spectral_norms_of_diagonal_matrices(diagonal: tuple[float, ...]) -> None:
    parameters = {"0.weight": torch.diag(torch.tensor(diagonal))[None], "0.bias": torch.ones(1, 3)}
    subject = Subject(_diagonal(parameters), _diagonal({k: torch.zeros_like(v) for k, v in parameters.items()}), FOUR)
    largest = max(map(abs, diagonal))
    values = measures.compute(["spectral_norm", "spectral_distance", "log_prod_of_spec", "param_norm"], subject)
    assert values["spectral_norm", "layer1"].item() == pytest.approx(largest)
    assert values["spectral_distance", "layer1"].item() == pytest.approx(largest)
    assert values["log_prod_of_spec", None].item() == pytest.approx(2 * math.log(largest))
    assert values["param_norm", None].item() == pytest.approx(sum(x * x for x in diagonal))


def _diagonal(parameters: Parameters) -> Stack:
    return Stack(Form(torch.nn.Module()), parameters)


def test_a_diverged_network_has_no_values_and_leaves_its_neighbours_theirs() -> None:
    broken = {name: torch.cat([values, values * torch.nan]) for name, values in TRAINED.items()}
    initial = {name: torch.cat([values, values]) for name, values in INITIAL.items()}
    both = data.StackData(FOUR.shared, *(getattr(FOUR, k).repeat(2, 1) for k in ("rows", "labels", "mean", "std")))
    values = measures.compute(["all"], Subject(_two(broken), _two(initial), both))
    alone = measures.compute(["all"], Subject(_two(TRAINED), _two(INITIAL), FOUR))
    for key, value in values.items():
        assert not math.isfinite(value[1]), key
        assert value[0] == alone[key][0], key


# Properties of every measure in the registry


def _subject(networks: int = 3) -> tuple[Subject, list[configs.Config]]:
    """Networks of two hidden layers that moved from their initialization at random, on digits."""
    chosen = [tiny({"model.depth": 2, "seed": seed, "noise.level": 0.2}) for seed in range(networks)]
    initial = stack.build(chosen, (1, 8, 8), 10, CPU)
    generator = torch.Generator().manual_seed(0)
    trained = Stack(
        initial.form,
        {name: p + 0.3 * torch.randn(p.shape, generator=generator) for name, p in initial.parameters.items()},
    )
    return Subject(trained, initial, data.build(chosen, CPU)), chosen


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_of_n_is_n_stacks_of_one(name: str) -> None:
    together, _ = _subject()
    values = measures.compute([name], together)
    for index in range(3):
        one = torch.tensor([index])
        alone = Subject(together.trained.select(one), together.initial.select(one), together.data.select(one))
        for key, value in measures.compute([name], alone).items():
            assert value.shape == (1,)
            assert values[key].shape == (3,)
            assert value.item() == values[key][index].item(), key
    assert values
    assert all(len(set(value.tolist())) == 3 for value in values.values())


@pytest.mark.parametrize("name", NAMES)
def test_permuting_hidden_units_changes_nothing(name: str) -> None:
    before, _ = _subject()
    trained, initial = before.trained.clone(), before.initial.clone()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    for one in (trained, initial):
        for key in ("1.weight", "1.bias"):
            one.parameters[key] = one.parameters[key][:, order]
        one.parameters["3.weight"] = one.parameters["3.weight"][:, :, order]
    assert not torch.equal(trained.parameters["1.weight"], before.trained.parameters["1.weight"])
    expected = measures.compute([name], before)
    for key, value in measures.compute([name], Subject(trained, initial, before.data)).items():
        assert value.tolist() == pytest.approx(expected[key].tolist(), rel=1e-5), key


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_does_not_change_what_it_measures(name: str) -> None:
    subject, _ = _subject()
    before = [_copy(subject.trained), _copy(subject.initial), subject.data.shared.pool_inputs.clone()]
    measures.compute([name], subject)
    assert all(torch.equal(p, before[0][k]) for k, p in subject.trained.parameters.items())
    assert all(torch.equal(p, before[1][k]) for k, p in subject.initial.parameters.items())
    assert torch.equal(subject.data.shared.pool_inputs, before[2])


def _copy(one: Stack) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in one.parameters.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_says_what_it_is(name: str) -> None:
    one = REGISTRY[name]
    assert one.name == name
    assert one.formula
    assert one.source.startswith("arXiv ")
    assert one.orientation in (-1, 1)
    assert (one.orientation == -1) is name.startswith("margin")


def test_larger_distances_predict_larger_gaps() -> None:
    for name in ("distance_from_init", "distance_over_sqrt_n", "distance_relative", "spectral_distance"):
        assert REGISTRY[name].orientation == 1


def test_a_selection_names_each_measure_once() -> None:
    assert measures.expand(["all"]) == NAMES
    core = [name for name, one in REGISTRY.items() if one.group == "core"]
    assert measures.expand(["core"]) == core
    assert measures.expand(["param_norm", "core", "param_norm"]) == [
        "param_norm",
        *[n for n in core if n != "param_norm"],
    ]
    assert measures.expand([]) == []


def test_an_unknown_selection_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^measures\.names must be one of .*, got 'cor'; did you mean core\?$"):
        measures.expand(["cor"])


def test_a_name_cannot_be_registered_twice() -> None:
    def param_norm(subject: Subject) -> Tensor:
        return torch.zeros(1)

    with pytest.raises(ValueError, match=r"^measure param_norm is registered twice$"):
        measures.measure(group="core", formula="0", source="none")(param_norm)


def test_the_catalogue_is_the_registry_s():
    assert measure_catalogue().read_text(encoding="utf-8") == catalogue(), "run python -m initdist.measures"
