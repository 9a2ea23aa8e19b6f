"""Every member of every family, and what is told of one that is not as it must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import make

from initdist.config import families
from initdist.errors import ConfigError
from initdist.paths import conf_dir
from initdist.sweeps import planning

# Of `conf`.
FOLDERS = {"models": "model", "datasets": "dataset", "noises": "noise", "losses": "loss", "optimizers": "optimizer"}
OWN = [(family, name) for family in families.PACKAGES for name in families.found(family)]


@pytest.mark.parametrize(("family", "name"), OWN)
def test_a_member_is_what_its_base_lists(family: str, name: str) -> None:
    members = families.family(family)
    assert isinstance(members[name], members.base)


@pytest.mark.parametrize("family", FOLDERS)
def test_every_member_has_its_file_of_defaults_and_every_file_its_member(family: str) -> None:
    files = {file.stem for file in (Path(conf_dir()) / FOLDERS[family]).glob("*.yaml")}
    assert files == set(families.found(family))


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package `elsewhere` of one module, which is to be a member of a family under a name."""
    caches = (families.found, families._all_points, families._taken)

    def installed(family: str, name: str, text: str, module: str = "elsewhere") -> None:
        info = tmp_path / "elsewhere-1.0.dist-info"
        info.mkdir()
        (tmp_path / "elsewhere.py").write_text(text)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[initdist.{family}]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(__import__("sys").modules, "elsewhere", raising=False)
        for one in caches:
            one.cache_clear()

    yield installed
    monkeypatch.undo()
    for one in caches:
        one.cache_clear()


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


def test_a_wrong_noise_of_another_package_is_told_before_anything_is_trained(install: Install) -> None:
    install("noises", "strange", "")
    one = make({"noise.name": "strange"})  # a name that is allowed, since the package offers it
    with pytest.raises(ConfigError, match=r"^noise\.name=strange: either redraw or change must be there"):
        planning.network(one)
