"""Every member of every family, and what is told of one that is not as it must be."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import composed, make, tiny
from hydra.errors import MissingConfigException

from initdist import catalogue, measures, names
from initdist.cli import messages
from initdist.config import families
from initdist.errors import ConfigError
from initdist.events import Failed, Task
from initdist.paths import conf_dir
from initdist.sweeps import planning
from initdist.workers import worker

OWN = [(family, name) for family in families.PACKAGES for name in families.found(family)]


@pytest.mark.parametrize(("family", "name"), OWN)
def test_a_member_is_what_its_base_lists(family: str, name: str) -> None:
    members = families.family(family)
    assert isinstance(members[name], members.base)


@pytest.mark.parametrize("family", families.CHOSEN)
def test_every_member_has_its_file_of_defaults_and_every_file_its_member(family: str) -> None:
    files = {file.stem for file in (Path(conf_dir()) / families.SECTIONS[family]).glob("*.yaml")}
    assert files == set(families.found(family))


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package `elsewhere` of one module, which is to be a member of a family under a name.

    Or lets the module be one of ours.
    """
    given: set[str] = set()

    def forget() -> None:
        for one in (families.found, families._all_points, families._taken, catalogue.entries, catalogue.check):
            one.cache_clear()
        for family, name in itertools.product(families.PACKAGES, given):
            families.family(family)._made.pop(name, None)
        for name in [name for name, one in measures.REGISTRY.items() if one.function.__module__ == "elsewhere"]:
            del measures.REGISTRY[name]

    def installed(family: str, name: str, text: str, ours: bool = False) -> None:
        info = tmp_path / "elsewhere-1.0.dist-info"
        info.mkdir()
        (tmp_path / "elsewhere.py").write_text(text)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("" if ours else f"[initdist.{family}]\n{name} = elsewhere\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(__import__("sys").modules, "elsewhere", raising=False)
        given.add(name)
        forget()
        if ours:
            families.found(family)[name] = "elsewhere"

    yield installed
    monkeypatch.undo()
    forget()


# Family, what the module of its new member holds, and what is told of it.
WRONG = {
    "noise of nothing": ("noises", "", "either redraw or change must be there"),
    "noise without its error": ("noises", "def redraw(a, b, c, d): ...", "error must be there if redraw is, and only"),
    "noise that takes too little": (
        "noises",
        "def change(noise, images): ...",
        "change must take (InputNoise, Tensor, Tensor, Tensor), got change(noise, images)",
    ),
    "loss of nothing": ("losses", "", "loss must be there, got none"),
    "loss that takes too much": (
        "losses",
        "def loss(logits, labels, weights): ...",
        "loss must take (Tensor, Tensor), got loss(logits, labels, weights)",
    ),
    "optimizer of nothing": ("optimizers", "", "update must be there, got none"),
    "optimizer with a field that is nowhere": (
        "optimizers",
        "COEFFICIENTS = ('rho',)\ndef update(step): ...",
        "COEFFICIENTS and SWITCHES must be fields of its config, got rho",
    ),
    "stop without a neutral value": (
        "stops",
        "import dataclasses\n@dataclasses.dataclass\nclass Config:\n    slope: float = 0.0\n"
        "EXAMPLE = {}\ndef asked(stop): ...\ndef met(stop, facts): ...\ndef awaits(stop, loss): ...",
        "slope must have a neutral value, got none",
    ),
    "stop that does not look": (
        "stops",
        "import dataclasses\n@dataclasses.dataclass\nclass Config: ...\n"
        "EXAMPLE = {}\ndef asked(): ...\ndef met(stop, facts): ...\ndef awaits(stop, loss): ...",
        "asked must take (Any), got asked()",
    ),
    "dataset that cannot be loaded": ("datasets", "def describe(config): ...", "load must be there, got none"),
    "dataset that takes too much": (
        "datasets",
        "def describe(config, root): ...\ndef load(config): ...",
        "describe must take (DatasetConfig), got describe(config, root)",
    ),
    "model without a config": ("models", "def build(config, shape, classes): ...", "Config must be there, got none"),
    "model with another config": (
        "models",
        "class Config: ...\ndef build(config, shape, classes): ...",
        "Config must be a dataclass that extends ModelConfig, got <class 'elsewhere.Config'>",
    ),
    "noise that is no function": ("noises", "change = 3", "change must be a function, got 3"),
}


@pytest.mark.parametrize(("family", "text", "message"), WRONG.values(), ids=WRONG)
def test_a_member_of_another_package_that_is_not_as_it_must_be_is_told(
    family: str, text: str, message: str, install: Install
) -> None:
    install(family, "strange", text)
    members = families.family(family)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{members.key}=strange: {message}')}.* in elsewhere; see"):
        members["strange"]


@pytest.mark.parametrize("family", families.PACKAGES)
def test_a_member_that_cannot_be_imported_is_told_and_the_others_go_on(family: str, install: Install) -> None:
    install(family, "strange", "import nothing_of_this_name")
    members = families.family(family)
    message = f"{members.key}=strange needs elsewhere, which cannot be imported: ModuleNotFoundError("
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        members["strange"]
    members.check_own()


@pytest.mark.parametrize(
    ("family", "name"), [(family, next(iter(families.found(family)))) for family in families.PACKAGES]
)
def test_a_name_that_is_taken_is_told(family: str, name: str, install: Install) -> None:
    install(family, name, "")
    message = f"{name} of initdist.{family} must be a name of its own, got elsewhere beside initdist."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        planning.network(make())


@pytest.mark.parametrize("family", families.CHOSEN)
@pytest.mark.parametrize("ours", [False, True])
def test_a_chosen_member_that_lacks_something_is_told_before_anything_is_trained(
    family: str, ours: bool, install: Install
) -> None:
    """Of another package, and of this one while it is written."""
    install(family, "strange", "", ours)
    one = make()
    section = families.SECTIONS[family]
    getattr(one, section).name = "strange"
    lacks = "either redraw or change must be there" if family == "noises" else "must be there, got none"
    with pytest.raises(ConfigError, match=rf"^{section}\.name=strange: .*{lacks} in elsewhere; see initdist\."):
        planning.network(one)


def a_measure(name: str, **given: str) -> str:
    values = {"group": "norms", "formula": "0", "source": "arXiv 0000.00000"} | given
    decorated = ", ".join(f"{key}={value!r}" for key, value in values.items())
    return f"@measures.measure({decorated})\ndef {name}(subject): ...\n"


# What a file of measures holds, and what is told of it.
WRONG_MEASURES = {
    "taken": (
        a_measure("param_norm"),
        "measure param_norm: its name must be its own, got that of one in initdist.measures.core",
    ),
    "taken in the same file": (
        a_measure("tight") + a_measure("tight"),
        "measure tight: its name must be its own, got that of one in elsewhere",
    ),
    "unknown group": (
        a_measure("sound") + a_measure("tight", group="nroms"),
        f"measure tight: group must be one of {', '.join(names.MEASURE_GROUPS)}, got 'nroms'",
    ),
    "unknown need": (a_measure("tight", needs="trees"), "measure tight: needs must be one of any, relu, chain,"),
    "no subject": (
        a_measure("tight").replace("subject", ""),
        "measure tight must take (MeasureInputs), got tight()",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG_MEASURES.values(), ids=WRONG_MEASURES)
@pytest.mark.parametrize("ours", [False, True])
def test_a_wrong_measure_is_told_before_anything_is_trained(
    text: str, message: str, ours: bool, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("measures", "strange", f"from initdist import measures\n{text}", ours)
    if ours:
        found = [*catalogue.defined(), *catalogue.read(text)]
        monkeypatch.setattr(catalogue, "defined", lambda: sorted(found))
    for _ in range(2):  # half of the file has had its effect the first time
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}.* in elsewhere$"):
            planning.network(make())


def test_a_measure_that_is_not_in_the_catalogue_yet_is_told_with_the_command_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "defined", lambda: [("param_nomr", "norms")])
    message = (
        "measures.names must be in the catalogue of measures, got 'param_nomr', which is new: python -m initdist.m"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        catalogue.selected(make({"measures.names": ["param_nomr"]}).measures)


def test_a_member_without_its_file_of_defaults_is_told_what_is_missing(install: Install) -> None:
    install("losses", "strange", "def loss(logits, labels): ...")
    with pytest.raises(MissingConfigException) as told:
        composed("loss=strange")
    message = messages.explained(told.value, list)
    assert message.startswith("loss=strange must have a file of defaults loss/strange.yaml, got none; write one, as")
    assert message.endswith("by --config-dir")


IN_LOSS = "def loss(logits, labels):\n    import torch\n    return "
# Family, its module, and what is told before anything is trained where it fails at its first use.
FAILING = {
    "loss that cannot be vmapped": (
        "losses",
        f"{IN_LOSS}(logits - torch.nn.functional.one_hot(labels)).square().sum(1)",
        "loss strange: RuntimeError: When vmap-ing ",
    ),
    "loss of a batch": (
        "losses",
        f"{IN_LOSS}torch.nn.functional.cross_entropy(logits, labels)",
        "loss strange: logits (11, 10) and labels (11,) must become losses (11,), got ()",
    ),
    "loss that is no tensor": ("losses", f"{IN_LOSS}0.0", "must become losses (11,), got float"),
    "model of a batch": (
        "models",
        "from dataclasses import dataclass\nfrom initdist.models import ModelConfig\n"
        "@dataclass\nclass Config(ModelConfig):\n    name: str = 'strange'\n"
        "def build(config, shape, classes):\n    from torch import nn\n"
        "    return nn.Sequential(nn.Flatten(0), nn.Linear(64, classes))",
        "model strange: images (1, 1, 8, 8) must become logits (1, 10), got (10,)",
    ),
    "model that cannot be built": (
        "models",
        "from dataclasses import dataclass\nfrom initdist.models import ModelConfig\n"
        "@dataclass\nclass Config(ModelConfig):\n    name: str = 'strange'\n"
        "def build(config, shape, classes):\n    return config.wdith",
        "model strange: AttributeError: 'Config' object has no attribute 'wdith' (build in ",
    ),
}


@pytest.mark.parametrize(("family", "text", "message"), FAILING.values(), ids=FAILING)
def test_a_member_that_fails_at_its_first_use_is_told_before_anything_is_trained(
    family: str, text: str, message: str, install: Install
) -> None:
    install(family, "strange", text)
    one = make()
    if family == "models":
        one.model = families.family("models")["strange"].Config()
    else:
        one.loss.name = "strange"
    planning.network(one)
    answer = worker._answered("capacity", one, "cpu")
    assert isinstance(answer, ConfigError)
    assert message in str(answer)


def test_a_member_that_fails_while_it_is_planned_is_named(install: Install) -> None:
    install("datasets", "strange", "def describe(config):\n    return 1 / 0\ndef load(config): ...")
    one = make({"dataset.name": "strange"})
    with pytest.raises(ConfigError, match=r"^dataset strange: ZeroDivisionError: division by zero \(describe in .*2\)"):
        planning.network(one)


def test_a_member_that_fails_while_it_trains_is_named_first(install: Install) -> None:
    install("optimizers", "strange", "def update(step):\n    step.slots['mean'].mul_(0.9)")
    one = tiny()
    one.optimizer.name = "strange"
    heard: list[Any] = []
    worker._train(SimpleNamespace(send=heard.append), Task((0,), (one,), ()), "cpu")  # type: ignore[arg-type]
    (failed,) = [event for event in heard if isinstance(event, Failed)]
    assert failed.error.startswith("optimizer strange: KeyError: 'mean' (update in ")
    assert "Traceback" in failed.error
