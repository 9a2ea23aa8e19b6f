"""How the networks of a job are divided into stacks."""

from __future__ import annotations

import pytest
from helpers import tiny

from initdist.workers import partition


@pytest.mark.parametrize("devices", [["cpu"], ["cpu"] * 2, ["cpu"] * 7, ["cuda:0"], ["cuda:0", "cuda:1"]])
@pytest.mark.parametrize("most", [1, 5, 1000])
@pytest.mark.parametrize("networks", [1, 2, 3, 8, 17, 50])
def test_every_network_is_in_one_stack_and_every_process_has_work(networks, most, devices):
    found = partition.stacks([tiny({"seed": i}) for i in range(networks)], most, devices)
    assert sorted(i for part in found for i in part) == list(range(networks))
    assert all(1 <= len(part) <= most for part in found)
    if devices[0] != "cpu" or networks <= len(devices):
        assert len(found) == max(-(-networks // most), min(networks, len(devices)))


def test_on_a_cpu_the_longest_come_first_and_stacks_are_alike():
    configs = [tiny({"noise.level": level, "seed": seed}) for level in (0.0, 0.5, 1.0) for seed in range(16)]
    found = partition.stacks(configs, 100, ["cpu"] * 2)
    assert [{configs[i].noise.level for i in part} for part in found] == [
        *[{1.0}] * 2,
        {0.5, 1.0},
        *[{0.5}] * 2,
        {0.0, 0.5},
        *[{0.0}] * 2,
    ]
    assert {len(part) for part in found} == {6}


def test_few_networks_are_not_divided_for_the_sake_of_it():
    assert [len(part) for part in partition.stacks([tiny()] * 12, 100, ["cpu"] * 2)] == [4, 4, 4]


def test_on_cuda_the_long_and_the_short_are_dealt_out():
    configs = [tiny({"noise.level": level}) for level in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    assert partition.stacks(configs, 100, ["cuda:0", "cuda:1"]) == [(5, 3, 1), (4, 2, 0)]
    assert partition.stacks(configs, 2, ["cuda:0"]) == [(5, 2), (4, 1), (3, 0)]
