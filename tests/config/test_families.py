"""Every member of every family, and what is told of one that is not as it must be."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import composed, make, tiny, to_train
from hydra.errors import MissingConfigException

from initdist import catalogue, measures, names
from initdist.cli import messages
from initdist.config import families
from initdist.config.stops import in_order
from initdist.errors import ConfigError, DatasetError
from initdist.events import Failed, Task
from initdist.paths import conf_dir
from initdist.stacks import stack
from initdist.sweeps import planning
from initdist.testing import check
from initdist.workers import worker

OWN = [(family, name) for family in families.PACKAGES for name in families.found(family)]


@pytest.mark.parametrize(("family", "name"), OWN)
def test_a_member_is_what_its_family_needs(family: str, name: str) -> None:
    """Of measures `tests/measures/test_properties.py` asks more than `check`."""
    members = families.family(family)
    assert isinstance(members[name], members.base)
    if family != "measures":
        try:
            check(family, name)
        except DatasetError as absent:
            pytest.skip(f"set INITDIST_DATA to a folder that holds it: {absent}")


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
        for one in (
            families.found,
            families._all_points,
            families._taken,
            catalogue.entries,
            catalogue.check,
            in_order,
        ):
            one.cache_clear()
        stack._model.cache_clear()
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
    "unknown need": (a_measure("tight", needs="trees"), "measure tight: needs must be one of any,"),
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
    worker._train(SimpleNamespace(send=heard.append, poll=lambda: False), Task(tuple(to_train([one]))), "cpu")  # type: ignore[arg-type]
    (failed,) = [event for event in heard if isinstance(event, Failed)]
    assert failed.error.startswith("optimizer strange: KeyError: 'mean' (update in ")
    assert "Traceback" in failed.error


MODEL = (
    "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom initdist.models import ModelConfig\n"
    "@dataclass\nclass Config(ModelConfig):\n    name: str = 'strange'\n"
    "def build(config, shape, classes):\n    from torch import nn\n    class Own(nn.Module):\n"
    "        def __init__(self):\n            super().__init__()\n"
    "            self.first, self.second = nn.Linear(64, 64), nn.Linear(64, classes)\n"
    "        def forward(self, inputs):\n            inputs = inputs.flatten(1)\n            return self.second({})\n"
    "    return Own()\n"
)
DATASET = (
    "import numpy as np\nfrom initdist.data.datasets import Arrays, Description\n"
    "def describe(config):\n    return Description('strange', 'strange/1', 'tests', (1, 2, 2), 2, 100, 20)\n"
    "def load(config):\n    inputs = {}.random((120, 1, 2, 2)).astype('float32')\n"
    "    inputs[0], inputs[1], inputs[118], inputs[119] = 0, 1, 0, 1\n    labels = np.arange(120) % 2\n"
    "    return Arrays(inputs[:100], labels[:100], inputs[100:], labels[100:], scale=1.0)\n"
)
STOP = (
    "import dataclasses\n@dataclasses.dataclass\nclass Config: ...\nEXAMPLE = {{}}\ndef asked(stop): return True\n"
    "def met(stop, facts): return facts.train_loss < {}\ndef awaits(stop, batch_loss): return {}\n"
)
LOSS = "def loss(logits, labels):\n    return {}\n"
UPDATE = "import torch\ndef update(step):\n    {}\n"
# Family, what its module holds, and what `check` says; nothing where all is well.
CHECKED = {
    "model": ("models", MODEL.format("self.first(inputs)") + "CHAIN = True\n", ""),
    "no chain": (
        "models",
        MODEL.format("inputs + self.first(inputs)") + "CHAIN = True\n",
        "strange must have no CHAIN = True: what the images are passes by first.weight",
    ),
    "means of a batch": (
        "models",
        MODEL.format("inputs - inputs.mean(0)"),
        "strange must compute each sample by itself",
    ),
    "dropout": (
        "models",
        MODEL.format("nn.functional.dropout(inputs)"),
        "vmap: called random operation while in randomness error mode",
    ),
    "dataset": ("datasets", DATASET.format("np.random.default_rng(0)"), ""),
    "another dataset each time": (
        "datasets",
        DATASET.format("np.random"),
        "strange must load the same arrays each time",
    ),
    "dataset of another size": (
        "datasets",
        DATASET.format("np.random.default_rng(0)").replace("2, 100, 20", "2, 100, 30"),
        "test inputs of strange must be (30, 1, 2, 2) as described, got (20, 1, 2, 2)",
    ),
    "stop": ("stops", STOP.format(2.0, 2.0), ""),
    "stop that is not looked for": (
        "stops",
        STOP.format(2.0, -1.0),
        "awaits of strange must be at least the training loss",
    ),
    "stop that is never met": (
        "stops",
        STOP.format(0.0, "1e9"),
        "strange must be met by some losses",
    ),
    "loss that can be negative": ("losses", LOSS.format("-logits[:, 0]"), "strange must be finite and never negative"),
    "loss of all samples": (
        "losses",
        LOSS.format("logits.square().sum(1) / labels.sum()"),
        "strange must be of each sample by itself",
    ),
    "loss that rises": (
        "losses",
        LOSS.format("logits.square().sum(1)"),
        "strange must fall as the true class gains, got 0.0, 0.1",
    ),
    "noise of the global state": (
        "noises",
        "import numpy as np\ndef redraw(labels, classes, level, seed):\n"
        "    return np.where(np.random.random(len(labels)) < level, 0, labels)\n"
        "def error(clean, level, classes): ...\n",
        "strange must keep at a higher level what it changed",
    ),
    "noise with another error": (
        "noises",
        "from initdist.data.noise import labels as ours\nredraw = ours.redraw\n"
        "def error(clean, level, classes): return clean + level / classes\n",
        "the error of strange must be that counted at level 0.3, ",
    ),
    "optimizer": ("optimizers", UPDATE.format("step.parameter.sub_(0.1 * step.gradient)"), ""),
    "optimizer that writes nowhere": (
        "optimizers",
        UPDATE.format("step.parameter - 0.1 * step.gradient"),
        "strange must move the parameters, in place",
    ),
    "optimizer of the global state": (
        "optimizers",
        UPDATE.format("step.parameter.sub_(torch.randn_like(step.gradient))"),
        "a network with strange must be the same alone and in a stack",
    ),
    "measure": ("measures", "return subject.trained.parameters['1.bias'].sum(1)", ""),
    "measure of the whole stack": (
        "measures",
        "return subject.trained.parameters['1.bias'].sum(1).cumsum(0)",
        "a network with strange must be the same alone and in a stack",
    ),
}


@pytest.mark.parametrize(("family", "text", "message"), CHECKED.values(), ids=CHECKED)
def test_what_whoever_adds_a_member_can_have_checked(family: str, text: str, message: str, install: Install) -> None:
    if family == "measures":
        text = f"from initdist import measures\n{a_measure('own').replace('...', text)}"
    install(family, "strange", text)
    with pytest.raises(Exception, match=re.escape(message)) if message else nullcontext():
        check(family, "strange")
