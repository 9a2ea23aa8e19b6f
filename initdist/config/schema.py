"""The typed configuration: what can be set, with which default and under which rule.

The dataclasses are Hydra's structured configs; `conf/` fills them. Each field says by `option(...)` which rule its
value obeys, whether it affects results (and so belongs to a network's identity), and, when it was added after runs
existed, the neutral value that is left out of the identity. A model file adds its own fields by subclassing
`ModelConfig`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, make_dataclass
from typing import Any

from omegaconf import MISSING

from initdist import names
from initdist.config import stops
from initdist.config.families import member_of
from initdist.config.rules import above, at_least, between, from_below, matching, one_of, option, unset_or


@dataclass
class ModelConfig:
    name: str = MISSING
    width: int = option(256, at_least(1))
    depth: int = option(2, at_least(0))
    activation: str = option(
        "relu", one_of("relu", "tanh", "gelu", "identity", registry="initdist.models._blocks.ACTIVATIONS")
    )
    bias: bool = option(True)
    init: str = option(
        "xavier", one_of("xavier", "he", "ntk", "torch", registry="initdist.stacks.initialization.SCHEMES")
    )
    init_scale: float = option(1.0, above(0))
    # alpha of f = alpha (f_theta - f_theta0); null = plain f_theta, which alpha = 1 is not.
    output_scale: float | None = option(None, unset_or(above(0)), neutral=None)
    # The network's linearized twin: f_theta0 + J(theta_0) (theta - theta_0) in place of f_theta.
    linearize: bool = option(False, neutral=False)
    # rho: training starts at theta_0 + rho u, u uniform on the sphere. Distances are measured from theta_0.
    init_offset: float = option(0.0, at_least(0), neutral=0.0)


@dataclass
class DatasetConfig:
    name: str = option(MISSING, member_of("datasets"))
    train_size: int = option(MISSING, at_least(2))
    root: str = option("data", identity=False)
    download: bool = option(True, identity=False)
    balanced: bool = option(False, neutral=False)  # as many training samples of every class
    image_size: int = option(0, at_least(0), neutral=0)  # of images: 0 = as they are
    grayscale: bool = option(False, neutral=False)  # of images
    cache: str = option("~/.cache/initdist", identity=False)  # of images, decoded


@dataclass
class OptimizerConfig:
    """Fields of several optimizers. One that no other has is in the optimizer's own file."""

    name: str = option(MISSING, member_of("optimizers"))
    lr: float = option(MISSING, above(0))
    batch_size: int = option(64, at_least(0))  # 0 = the whole training set
    momentum: float = option(0.0, from_below(0, 1), neutral=0.0)
    nesterov: bool = option(False, neutral=False)
    beta1: float = option(0.9, from_below(0, 1), neutral=0.9)
    beta2: float = option(0.999, from_below(0, 1), neutral=0.999)
    eps: float = option(1e-8, above(0), neutral=1e-8)
    weight_decay: float = option(0.0, at_least(0), neutral=0.0)
    clip_norm: float = option(0.0, at_least(0), neutral=0.0)  # 0 = no clipping
    schedule: str = option(
        "constant", one_of("constant", "cosine", "step", registry="initdist.stacks.optim.SCHEDULES"), neutral="constant"
    )
    schedule_epochs: int = option(0, at_least(0), neutral=0)  # 0 = stop.max_epochs
    schedule_factor: float = option(0.1, above(0), neutral=0.1)


@dataclass
class NoiseConfig:
    name: str = option(MISSING, member_of("noises"))
    level: float = option(0.0, between(0, 1))


@dataclass
class LossConfig:
    name: str = option(MISSING, member_of("losses"))
    threshold: float = option(MISSING, at_least(0), identity=False)  # the default of stop.train_loss
    sgd_lr: float = option(MISSING, above(0), identity=False)  # the default of optimizer.lr for sgd
    momentum_lr: float = option(MISSING, above(0), identity=False)  # the same for momentum


@dataclass
class ConstraintConfig:
    """An intervention on the distance. `of_free` is resolved to a radius before a network has an identity."""

    name: str = option("none", member_of("constraints"), neutral="none")
    radius: float | None = option(None, unset_or(above(0)), neutral=None)
    # The radius as a multiple of how far the same network moves without constraint.
    of_free: float | None = option(None, unset_or(above(0)), identity=False, shown=True, neutral=None)
    decay: float | None = option(None, unset_or(above(0)), neutral=None)


@dataclass
class StopConfig(*stops.configs()):  # type: ignore[misc]
    """The fields of every rule of `config/stops`, and the limit where none is met."""

    max_epochs: int = option(1000, at_least(1))


@dataclass
class SeedsConfig:
    init: int = option(MISSING, at_least(0))
    data: int = option(MISSING, at_least(0))
    noise: int = option(MISSING, at_least(0))
    order: int = option(MISSING, at_least(0))


def is_switch(text: str) -> bool:
    """Whether this is a word for automatic, on or off; YAML's own words come as Python writes them."""
    return text.lower() in ("auto", "true", "false")


@dataclass
class NumericsConfig:
    precision: str = option(
        "float32",
        one_of("float32", "tf32", "bfloat16", registry="initdist.stacks.precision.PRECISIONS"),
        neutral="float32",
    )
    compile: bool = option(False, neutral=False)
    cuda_graphs: str = option("auto", matching("auto, true or false", is_switch), identity=False)


@dataclass
class MeasuresConfig:
    names: list[str] = option(["core"], identity=False)
    history: bool = option(True, identity=False)  # the cheapest of them along training too
    margin: str = option(
        "p10", one_of("p5", "p10", "median", registry="initdist.measures._inputs.PARTS"), identity=False
    )  # gamma: this quantile of the margins
    draws: int = option(8, at_least(2), identity=False)  # of weight noise
    subset: int = option(256, at_least(2), identity=False)  # training samples of a draw and of the ascent
    search_tolerance: float = option(0.05, between(1e-6, 0.5), identity=False)  # relative width of a final bracket
    ascent_steps: int = option(4, at_least(1), identity=False)
    probes: int = option(32, at_least(2), identity=False)  # of the Hessian's trace
    lanczos_steps: int = option(16, at_least(1), identity=False)  # of its largest eigenvalue, and of its trace
    hessian_subset: int = option(512, at_least(2), identity=False)
    ntk_subset: int = option(128, at_least(2), identity=False)
    capacity_draws: int = option(10, at_least(2), identity=False)  # of random signs
    capacity_starts: int = option(2, at_least(1), identity=False)  # of the ascent, for each draw
    capacity_steps: int = option(16, at_least(1), identity=False)  # of the ascent
    capacity_subset: int = option(256, at_least(2), identity=False)  # training samples
    lazy_outputs: int = option(5000, at_least(2), identity=False)  # samples times classes at most, of lazy_distance


@dataclass
class CheckpointConfig:
    every_minutes: float = option(10.0, at_least(0), identity=False)  # 0 = never
    grace: float = option(20.0, at_least(0), identity=False)  # seconds that a command which is to end waits for them
    dir: str = option("checkpoints", matching("the path of a folder", lambda v: bool(v.strip())), identity=False)


@dataclass
class TrackingConfig:
    uri: str = MISSING
    experiment: str = option("initdist", matching("a non-empty name", lambda v: bool(v.strip())))
    save_weights: bool = True
    patience: float = option(300.0, at_least(0))  # seconds to wait for a store that does not answer
    sweep: str | None = None


# The axes that change no tensor shape: networks that differ only in these train in one stack.
STACKABLE: dict[str, type] = {
    "seed": int,
    "seeds.init": int,
    "seeds.data": int,
    "seeds.noise": int,
    "seeds.order": int,
    "noise.level": float,
    "optimizer.lr": float,
    "optimizer.momentum": float,
    "optimizer.beta1": float,
    "optimizer.beta2": float,
    "optimizer.eps": float,
    "optimizer.weight_decay": float,
    "optimizer.clip_norm": float,
    "optimizer.schedule_epochs": int,
    "optimizer.schedule_factor": float,
    "model.init_scale": float,
    "model.init_offset": float,
    "constraint.radius": float,
    "constraint.of_free": float,
    "constraint.decay": float,
    **stops.axes(),
}


def _vary_schema(axes: dict[str, type], name: str = "Vary") -> type:
    """Dataclass with an optional list for each stackable axis, nested by the dots of its key.

    Each has a name of its own here: a config is pickled, by launchers and callbacks, with the names of its classes.
    """
    sections: dict[str, dict[str, type]] = {}
    fields: list[Any] = []
    for key, kind in axes.items():
        section, _, leaf = key.rpartition(".")
        if section:
            sections.setdefault(section, {})[leaf] = kind
        else:
            fields.append((leaf, list[kind], field(default_factory=list)))  # type: ignore[valid-type]
    for section, leaves in sections.items():
        node = _vary_schema(leaves, f"{name}_{section}")
        fields.append((section, node, field(default_factory=node)))
    globals()[name] = made = make_dataclass(name, fields, namespace={"__module__": __name__})
    return made


Vary = _vary_schema(STACKABLE)


def is_device(name: str) -> bool:
    return re.fullmatch(r"auto|cpu|cuda(:\d+)?", name) is not None


@dataclass
class Config:
    """Root of the training configuration."""

    model: ModelConfig = MISSING
    dataset: DatasetConfig = MISSING
    noise: NoiseConfig = MISSING
    loss: LossConfig = MISSING
    optimizer: OptimizerConfig = MISSING
    constraint: ConstraintConfig = field(default_factory=ConstraintConfig)
    stop: StopConfig = field(default_factory=StopConfig)
    seed: int = option(0, at_least(0))
    seeds: SeedsConfig = field(default_factory=SeedsConfig)
    vary: Any = field(default_factory=Vary)
    numerics: NumericsConfig = field(default_factory=NumericsConfig)
    measures: MeasuresConfig = field(default_factory=MeasuresConfig)
    history: int = option(25, at_least(0))
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    device: str = option("auto", matching("auto, cpu, cuda or cuda:<index>", is_device))
    workers: int = option(0, at_least(0))
    resume: bool = True
    dry_run: bool = False
    objective: str = option(
        names.TEST_ERROR, one_of(*names.OBJECTIVES, registry="initdist.names.OBJECTIVES"), identity=False
    )


# The sections whose leaves decide a network's result.
RESULT_SECTIONS = ("model", "dataset", "noise", "loss", "optimizer", "constraint", "stop", "seeds", "numerics")
