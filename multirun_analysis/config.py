"""The analysis' settings and their schema."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from initdist import names
from initdist.cli.overrides import in_full, quoted
from initdist.errors import nearest
from initdist.secrets import MASK, masked
from multirun_analysis.errors import AnalysisError

FOLDER = "analysis"  # under conf/, a root of its own: beside conf/measures, `measures=` would choose a file there
LISTS = r"measures|group|where\..*"  # keys whose value may be a list
TARGETS = (names.GAP, names.GAP_NOISY, names.TEST_ERROR)
REPORTS = "reports"
SLUG = 80  # characters of a folder's name; of a longer one the end becomes a hash
WIDTHS = (2.5, 20.0)  # inches of a figure
LOCAL_UI = "http://127.0.0.1:5000"  # where `make ui` opens it


@dataclass
class Tracking:
    """uri None: the SQLite store in the directory of the call. experiment: a name, or a list of names to compare.

    ui_url None: a tracking server's own address, else that of `make ui`.
    """

    uri: str | None = None
    experiment: Any = "initdist"
    ui_url: str | None = None


@dataclass
class Figures:
    """width: inches that no figure is wider than, for a column of a paper; None: as wide as a page of the report."""

    width: float | None = None


@dataclass
class AnalysisConfig:
    """target: the metric to explain; None: the proper gap where labels are noisy. sweep: an id, or None for all.

    out: the folder of the report; None: one in reports/ named after the experiment and the selection.

    measures: those that the league table ranks, None for all. group: the axes that comparisons hold fixed, None for
    data, noise and loss. where: config key -> the values that networks must have. refresh: write the report anew even
    if nothing has changed since it was written.
    """

    tracking: Tracking = field(default_factory=Tracking)
    sweep: str | None = None
    where: dict[str, Any] = field(default_factory=dict)
    measures: list[str] | None = None
    group: list[str] | None = None
    target: str | None = None
    out: str | None = None
    figures: Figures = field(default_factory=Figures)
    refresh: bool = False

    @property
    def experiments(self) -> list[str]:
        """The names of the experiments, one or several."""
        given = self.tracking.experiment
        return [str(name) for name in given] if isinstance(given, list | tuple) else [str(given)]

    @property
    def folder(self) -> str:
        """Where the report goes: a selection of networks, or another question, does not overwrite the whole."""
        return self.out if self.out is not None else f"{REPORTS}/{_slug(self)}"


def register() -> None:
    """Makes the schema known to Hydra, so that a typo in a key is refused; `where` takes any key."""
    node = OmegaConf.structured(AnalysisConfig)
    OmegaConf.set_struct(node.where, False)
    ConfigStore.instance().store(name="analysis_schema", node=node)


def validate(config: AnalysisConfig) -> None:
    """Raises AnalysisError that names the key, the rule and the value."""
    if config.target is not None and config.target not in TARGETS:
        hint = nearest(config.target, TARGETS)
        raise AnalysisError(f"target must be one of {', '.join(TARGETS)}, got {config.target!r}{hint}")
    if config.out is not None and not config.out.strip():
        raise AnalysisError("out must be the path of a folder, got an empty text")
    if config.figures.width is not None and not WIDTHS[0] <= config.figures.width <= WIDTHS[1]:
        raise AnalysisError(
            f"figures.width must be between {WIDTHS[0]:g} and {WIDTHS[1]:g} inches, got {config.figures.width:g}"
        )
    experiments = config.experiments
    if not experiments or not all(experiments) or isinstance(config.tracking.experiment, Mapping):
        raise AnalysisError("tracking.experiment must not be empty")
    if len(set(experiments)) != len(experiments):
        raise AnalysisError(f"tracking.experiment must name each experiment once, got {', '.join(experiments)}")
    if config.sweep is not None and len(experiments) > 1:
        raise AnalysisError(f"sweep={config.sweep} selects within one experiment: name one in tracking.experiment")
    for key, chosen in (("measures", config.measures), ("group", config.group)):
        if chosen is not None and len(set(chosen)) != len(chosen):
            raise AnalysisError(f"{key} must name each once, got {', '.join(chosen)}")
    if config.measures == []:
        raise AnalysisError("measures must name at least one measure, or be null for all")
    if config.tracking.ui_url and not re.match(r"https?://", config.tracking.ui_url):
        raise AnalysisError(f"tracking.ui_url must begin with http:// or https://, got {config.tracking.ui_url!r}")


def ui_url(config: AnalysisConfig, uri: str) -> str:
    """Where the MLflow UI of the store is, without a slash at its end or a login: a browser asks for that."""
    shown = masked(config.tracking.ui_url or (uri if uri.startswith("http") else LOCAL_UI))
    return shown.replace(f"{MASK}@", "").rstrip("/")


def command(config: AnalysisConfig, uri: str) -> str:
    """The shell line that makes the same analysis from anywhere; a password in the URI is masked."""
    from multirun_analysis.runs.where import flat

    experiments = config.experiments
    values: dict[str, Any] = {
        "tracking.uri": masked(uri),
        "tracking.experiment": experiments[0] if len(experiments) == 1 else experiments,
        "tracking.ui_url": config.tracking.ui_url and masked(config.tracking.ui_url),
        "sweep": config.sweep,
        "measures": config.measures,
        "group": config.group,
        "target": config.target,
        "out": config.out,
        "figures.width": config.figures.width,
    }
    overrides = [f"{key}={quoted(value)}" for key, value in values.items() if value is not None]
    overrides += [f"where.{key}={quoted(value)}" for key, value in flat(config.where).items()]
    return shlex.join(["python", "-m", "multirun_analysis", *overrides])


def _slug(config: AnalysisConfig) -> str:
    """`mnist`, or `mnist-model.width=64+256`: a folder's name that says what was selected, and needs no quotes."""
    from multirun_analysis.runs.where import flat

    chosen: dict[str, Any] = {"sweep": config.sweep, **flat(config.where), "target": config.target}
    chosen |= {"measures": config.measures, "group": config.group}
    parts = ["+".join(config.experiments)]
    for key, value in chosen.items():
        if value is not None or key in config.where:
            parts.append(f"{key}={'+'.join(map(str, value)) if isinstance(value, list | tuple) else value}")
    whole = "-".join(parts)
    name = re.sub(r"[^\w.,=+<> -]+", "-", whole).replace("<", "below ").replace(">", "above ").strip(" .-") or "report"
    if len(name) > SLUG or name != whole.replace("<", "below ").replace(">", "above "):  # others could have this name
        name = f"{name[:SLUG]}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
    return name


def unswept(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments as Hydra reads them: `key=a,b` is the list `key=[a,b]`, since there are no sweeps of
    analyses, and a comparison such as `where.key=<0.5` is a text.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Transformer
    from hydra.errors import HydraException

    rewritten = []
    for argument in arguments:
        argument = in_full(argument, LISTS)
        if "=" in argument and not argument.startswith("-") and ("," in argument or "range(" in argument):
            try:
                override = OverridesParser.create().parse_override(argument)
                if override.is_sweep_override():
                    items = ",".join(map(str, override.sweep_iterator(Transformer.encode)))
                    argument = f"{override.get_key_element()}=[{items}]"
            except HydraException:
                pass  # Hydra itself says what is wrong with it
        rewritten.append(argument)
    return rewritten
