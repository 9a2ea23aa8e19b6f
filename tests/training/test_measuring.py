"""Measuring a stack: in halves where it does not fit, and what is said of values that are no numbers."""

import math
from dataclasses import replace

import pytest
import torch

from initdist import measures, names
from initdist.config.schema import MeasuresConfig
from initdist.data import stack_data
from initdist.measures import MeasureInputs
from initdist.stacks import stack
from initdist.sweeps import cost, planning
from initdist.training import measuring
from tests.helpers import CPU, tiny, train

NAMES = ["core", "given"]


@pytest.fixture
def given(monkeypatch):
    """Registers `given`, a measure whose function the test chooses."""

    def register(function) -> None:
        shape = measures.REGISTRY["param_norm"]
        monkeypatch.setitem(measures.REGISTRY, "given", replace(shape, name="given", function=function, history=False))

    return register


def configs(count: int):
    return [tiny({"seed": i, "measures.names": NAMES}) for i in range(count)]


def subject(count: int) -> MeasureInputs:
    """A stack at its initialization."""
    chosen = configs(count)
    built = stack.build(chosen, (1, 8, 8), 10, CPU)
    options = MeasuresConfig(names=NAMES)
    return MeasureInputs(built, built, stack_data.build(chosen, CPU), options=options, seeds=list(range(count)))


def first_weight(one: MeasureInputs) -> torch.Tensor:
    return next(iter(one.trained.parameters.values()))[:, 0, 0].double()


def test_a_stack_that_does_not_fit_is_measured_in_halves(given):
    given(first_weight)
    whole = measuring.measure(subject(5))
    sizes = []

    def greedy(one: MeasureInputs) -> torch.Tensor:
        sizes.append(len(one.trained))
        assert len(one.trained) == len(one.initial) == len(one.data.rows) == len(one.seeds)
        if len(one.trained) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return first_weight(one)

    given(greedy)
    assert repr([one.metrics for one in measuring.measure(subject(5))]) == repr([one.metrics for one in whole])
    assert sizes == [5, 2, 3, 1, 2]


@pytest.mark.parametrize(("most", "error"), [(0, MemoryError()), (2, RuntimeError("shapes cannot be multiplied"))])
def test_what_smaller_stacks_do_not_mend_is_raised(given, most, error):
    def failing(one: MeasureInputs) -> torch.Tensor:
        if len(one.trained) > most:
            raise error
        return first_weight(one)

    given(failing)
    with pytest.raises(type(error)):
        measuring.measure(subject(3))


def test_networks_are_not_trained_again_where_their_measures_do_not_fit(given):
    given(first_weight)
    expected = train(configs(4))

    def greedy(one: MeasureInputs) -> torch.Tensor:
        if len(one.trained) > 1:
            raise MemoryError
        return first_weight(one)

    given(greedy)
    found = train(configs(4))
    assert [one.result.metrics for one in found] == [one.result.metrics for one in expected]


def test_the_cost_of_every_group_is_known():
    assert cost.PASSES.keys() == set(names.MEASURE_GROUPS)
    networks = [planning.network(tiny({"seed": i, "measures.names": ["core"]})) for i in range(2)]
    cheap = cost.estimate(networks, 1)
    for network in networks:
        network.config.measures.names = ["all"]
    assert 0 < cheap.measuring < cost.estimate(networks, 1).measuring


def test_infinite_is_a_value_of_a_network_that_has_not_diverged(given):
    def infinite(one: MeasureInputs) -> torch.Tensor:
        return torch.tensor([math.inf, math.inf, math.nan], dtype=torch.float64)

    given(infinite)
    stacked = subject(3)
    stacked.trained.parameters["1.weight"][1, 0, 0] = math.nan
    found = measuring.measure(stacked)
    assert found[0].metrics[names.measure("given")] == math.inf
    assert math.isnan(found[1].metrics[names.measure("given")])
    assert math.isnan(found[2].metrics[names.measure("given")])
    assert all(one.options["given"] == {} for one in found)
