"""What can be found wrong with a member of a family, whatever it is for: for the tests of whoever adds one.

    from initdist.testing import check

    def test_wide() -> None:
        check("models", "wide", times=3)

A family and a name come in; this room may import every other but the commands. It offers `check`, which the tests of
this package ask of every member that there is, and for these tests `train`, `facts` and `assert_same`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from initdist.cli import compose
from initdist.config import families, validation
from initdist.config.schema import Config, ConstraintConfig
from initdist.measures import REGISTRY
from initdist.sweeps import planning
from initdist.testing import _members
from initdist.testing._training import CPU, assert_same, facts, train, trains

__all__ = ["CPU", "assert_same", "check", "facts", "train"]

BASE = (
    *("model.width=8", "dataset.train_size=70", "dataset.download=false", "noise.level=0.5", "measures.names=[]"),
    *("optimizer.batch_size=14", "stop.train_loss=0", "stop.max_epochs=2", "history=2", "device=cpu"),
)
CHECKS: dict[str, Sequence[Callable[[Config, str], None]]] = {
    "models": (_members.model, trains),
    "datasets": (_members.dataset,),
    "noises": (_members.noise, trains),
    "losses": (_members.loss, trains),
    "optimizers": (trains,),
    "constraints": (trains,),
    "stops": (_members.stop, trains),
    "measures": (trains,),
}


def check(family: str, name: str, **values: Any) -> None:
    """Raises AssertionError, or ConfigError as a command would, for a member that is not what its family needs.

    values: fields of its section of the config, where they are not to be the defaults of its class: `times=3`.
    """
    config = _config(family, name, values)
    validation.check_rules(config)
    validation.check(config)
    planning.network(config)
    for each in CHECKS[family]:
        each(config, name)


def _config(family: str, name: str, values: dict[str, Any]) -> Config:
    """A small network's config that names the member."""
    (config,) = compose.configs(*BASE)
    member = families.family(family)[name]
    if family == "models":
        config.model = member.Config(**{"name": name, "width": 8} | values)
    elif family == "optimizers":
        shared = {one.name: getattr(config.optimizer, one.name) for one in fields(config.optimizer)}
        config.optimizer = member.Config(**shared | {"name": name} | values)
    elif family == "constraints":
        config.constraint = ConstraintConfig(name, **{**member.example} | values)
    elif family == "stops":
        config.stop = replace(config.stop, **{**member.example} | values)
    elif family == "measures":
        module = families.told(families.found(family)[name])
        config.measures.names = [one.name for one in REGISTRY.values() if one.function.__module__ == module]
    else:
        section = families.SECTIONS[family]
        setattr(config, section, replace(getattr(config, section), name=name, **values))
    return config
