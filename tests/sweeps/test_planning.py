"""From a parsed sweep to its jobs: what is fused, what is refused, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import cloudpickle
import pytest
from helpers import composed, unresolved
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError

from hydra_plugins.initdist.composer import Composer
from initdist.cli import compose
from initdist.config import expansion, identity, schema
from initdist.errors import ConfigError
from initdist.paths import conf_dir
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


@pytest.fixture
def loader() -> Iterator[Any]:
    """Hydra's own, for our configs."""
    compose.register()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        yield hydra.config_loader


def test_jobs_are_what_hydra_would_compose_each_time(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper composes once for jobs that only set other values of the same keys."""
    sweeper: Any = Plugins.instance().instantiate_sweeper(
        hydra_context=HydraContext(loader, Callbacks()),
        task_function=lambda cfg: None,
        config=loader.load_configuration("config", [], RunMode.MULTIRUN),
    )
    arguments = ["optimizer=sgd,momentum", "model.width=8,16", "dataset.train_size=64,96", "seed=0,1", "history=3"]
    calls: list[Sequence[str]] = []
    composed_by = loader.load_sweep_config
    monkeypatch.setattr(loader, "load_sweep_config", lambda c, o: (calls.append(o), composed_by(c, o))[1])
    found = sweeper._jobs(arguments)
    assert len(calls) == 2  # one for each optimizer
    sweeper.hydra_context = HydraContext(loader, Callbacks())
    expected = [planning.networks(sweeper._compose(job.overrides)) for job in found]
    assert [list(job.networks) for job in found] == expected
    assert len({network.identity for job in found for network in job.networks}) == 16


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.width=8", "seed=1", "history=3"],
        ["model.width=16", "seed=0", "history=0"],
        ["model.width='16'", "seed=2", "tracking.sweep='a b'"],
        ["seed=3", "model.width=8"],
        ["model.width=8", "seed=4", "hydra.job.chdir=true"],
        ["model.width=8", "seed=5", "hydra.job.chdir=true"],
        ["model.width=8", "seed=5", "+vary.model.width=[4,5]"],
        ["optimizer=momentum", "seed=1"],
        ["optimizer=adam", "seed=1"],
        ["noise.level=1e-1", "tracking.uri=sqlite:///${oc.env:HOME}/x.db"],
        ["noise.level=0", "tracking.uri=sqlite:////x.db"],
        ["vary.seed=[1,2]", "model.width=8"],
        ["seeds.init=5", "seeds={init:1,data:2}", "model.width=9"],
        ["model.width=9", "model.width=8", "seed=1"],
        ["vary.seed=[1,2,3]", "model.width=9"],
    ],
)
def test_a_composer_gives_what_hydra_gives(loader: Any, overrides: list[str]) -> None:
    """Whatever was composed before, each key of it, Hydra's own among them; what is done to it changes no other."""
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    composer = Composer(loader)
    for before in (overrides, [one.replace("seed=1", "seed=9") for one in overrides]):
        given = composer.load_sweep_config(master, before)
        given.seed, given.hydra.job.num = 77, 5
    expected = loader.load_sweep_config(master, overrides)
    assert master.hydra.sweep.dir  # resolved now: the time in it is that of all jobs
    found = composer.load_sweep_config(master, overrides)
    assert OmegaConf.to_container(found) == OmegaConf.to_container(expected)
    assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
    assert (
        found.hydra.sweep.dir == composer.load_sweep_config(master, overrides).hydra.sweep.dir == master.hydra.sweep.dir
    )
    with pytest.raises(ConfigAttributeError):
        found.no_such_key = 1


def test_a_composer_refuses_as_hydra_does(loader: Any) -> None:
    master = loader.load_configuration("config", [], RunMode.MULTIRUN)
    composer = Composer(loader)
    composer.load_sweep_config(master, ["model.width=8"])
    for refused in (["model.width=wide"], ["model.widht=8"]):
        with pytest.raises(ConfigCompositionException) as error:
            composer.load_sweep_config(master, refused)
        with pytest.raises(ConfigCompositionException) as expected:
            loader.load_sweep_config(master, refused)
        assert str(error.value) == str(expected.value)


def test_in_another_process_a_composer_is_the_loader(loader: Any) -> None:
    assert type(cloudpickle.loads(cloudpickle.dumps(Composer(loader)))) is type(loader)
