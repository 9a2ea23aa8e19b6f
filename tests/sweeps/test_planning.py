"""From a parsed sweep to its jobs: what is fused, what is refused, and the words for it."""

from __future__ import annotations

import re

import pytest
from helpers import composed, unresolved
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from initdist.config import expansion, identity, schema
from initdist.errors import ConfigError
from initdist.sweeps import planning


def parsed(*arguments: str) -> dict[str, Override]:
    return {one.get_key_element(): one for one in OverridesParser.create().parse_overrides(list(arguments))}


def fused(*arguments: str, fuse: bool = True) -> list[tuple[str, ...]]:
    return planning.fused(list(parsed(*arguments).values()), fuse)


def test_stackable_axes_become_one_stack_and_shapes_become_jobs() -> None:
    assert fused("model.width=64,256", "seed=range(0,3)", "noise.level=0,0.5", "device=cpu") == [
        ("vary.seed=[0,1,2]", "vary.noise.level=[0,0.5]", "device=cpu", "model.width=64"),
        ("vary.seed=[0,1,2]", "vary.noise.level=[0,0.5]", "device=cpu", "model.width=256"),
    ]


@pytest.mark.parametrize("key", schema.STACKABLE)
def test_every_stackable_axis_is_fused(key: str) -> None:
    assert fused(f"{key}=1,2") == [(f"vary.{key}=[1,2]",)]
    assert fused(f"{key}=1,2", fuse=False) == [(f"{key}=1",), (f"{key}=2",)]
    assert fused(f"{key}=1") == [(f"{key}=1",)]


def test_without_fusion_every_network_is_a_job() -> None:
    found = fused("model.width=64,256", "seed=range(0,3)", fuse=False)
    assert len(found) == 6
    assert found[1] == ("model.width=64", "seed=1")


def test_a_value_given_twice_counts_once() -> None:
    assert fused("seed=1,2,1", "model.width=8,8") == [("vary.seed=[1,2]", "model.width=8")]


def test_a_sweep_over_a_range_of_reals_is_refused() -> None:
    message = "optimizer.lr must be swept over listed values, got optimizer.lr=interval(0,1)"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        fused("optimizer.lr=interval(0,1)")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("measures=core", "measures=norms", "measures.names must be one value in a command, got "),
        (
            "measures.margin=p5",
            "measures.margin=median",
            "measures.margin must be one value in a command, got 'p5' and 'median'",
        ),
        (
            "tracking.experiment=a",
            "tracking.experiment=b",
            "tracking.experiment must be one value in a command, got 'a'",
        ),
        ("history=0", "history=5", "history must be one value in a command, got 0 and 5"),
        ("seed=0", "seed=1", "seed must be one value in a command, got 0 and 1"),
    ],
)
def test_values_that_tell_no_networks_apart_are_not_dropped_in_silence(one: str, other: str, said: str) -> None:
    streams = ("seeds.init=0", "seeds.data=0", "seeds.noise=0", "seeds.order=0")
    first, second = (planning.networks(composed(*streams, given)) for given in (one, other))
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        planning.unique([*first, *second])
    assert planning.unique([*first, *first]) == first
    with pytest.raises(ConfigError, match=r"^seed must be one value in a command, got 3 and 4: "):
        planning.networks(composed(*streams, "vary.seed=[3,4]"))


def test_a_command_has_one_experiment_whatever_it_is_named_after() -> None:
    named = [planning.networks(composed(f"model.width={w}", "tracking.experiment=w${model.width}")) for w in (8, 16)]
    said = r"^tracking.uri and tracking.experiment must be the same for all .* 'w8' in sqlite.* and 'w16' in sqlite"
    with pytest.raises(ConfigError, match=said):
        planning.unique([*named[0], *named[1]])
    own = [planning.networks(composed(f"model.width={w}", f"tracking.patience={w}")) for w in (8, 16)]
    assert planning.unique([*own[0], *own[1]]) == [*own[0], *own[1]]


def test_a_sweep_over_experiments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^experiment must be a single name, got experiment=width,label_noise: "):
        planning.check(parsed("experiment=width,label_noise"))
    planning.check(parsed("experiment=width", "seed=1,2"))


def test_a_key_both_set_and_varied_is_refused() -> None:
    message = r"^seed must not be both set and varied, got seed=3 and vary\.seed=\[1,2\]; give one of them$"
    with pytest.raises(ConfigError, match=message):
        planning.check(parsed("seed=3", "vary.seed=[1,2]"))
    planning.check(parsed("seed=3", "vary.noise.level=[0,1]"))


def test_fused_or_not_the_networks_are_the_same() -> None:
    arguments = ("model.width=8,16", "seed=range(0,2)", "noise.level=0,0.5,1", "optimizer.lr=0.1")
    together, apart = (
        [
            identity.identity(one, "x")
            for job in fused(*arguments, fuse=fuse)
            for one in expansion.networks(composed(*job))
        ]
        for fuse in (True, False)
    )
    assert len(together) == len(set(together)) == 12
    assert sorted(together) == sorted(apart)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((15, 15, 15), "3 jobs of 15 networks (45 in all)"),
        ((1,), "1 job of 1 network (1 in all)"),
        ((2, 3), "2 jobs of 2 to 3 networks (5 in all)"),
        ((1, 1), "2 jobs of 1 network (2 in all)"),
    ],
)
def test_jobs_are_described(sizes: tuple[int, ...], words: str) -> None:
    networks = tuple(planning.networks(unresolved({"vary.seed": list(range(max(sizes)))})))
    assert planning.describe([planning.Job((), networks[:size]) for size in sizes]) == words
