"""What a config accepts, what it refuses and with which words, and how a stack's config becomes its networks'."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import AROUND, OF_STOPS, axis_values, composed, make, unresolved
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from initdist import measures, models, names
from initdist.config import expansion, families, identity, registry, rules, schema, validation
from initdist.data import stack_data
from initdist.errors import ConfigError
from initdist.models import _blocks
from initdist.paths import conf_dir
from initdist.stacks import initialization, optim
from initdist.sweeps import planning
from initdist.training import job


def known(family: str) -> str:
    return ", ".join(sorted(families.found(family)))


BROKEN = [
    ("model.width", 0, "model.width must be at least 1, got 0"),
    ("model.width", -4, "model.width must be at least 1, got -4"),
    ("model.depth", -1, "model.depth must be at least 0, got -1"),
    (
        "model.activation",
        "sigmoid",
        "model.activation must be one of relu, tanh, gelu, identity, got 'sigmoid'",
    ),
    ("model.init", "kaiming", "model.init must be one of xavier, he, ntk, torch, got 'kaiming'"),
    ("model.init_scale", 0.0, "model.init_scale must be a finite number above 0, got 0.0"),
    ("model.output_scale", 0.0, "model.output_scale must be null or a finite number above 0, got 0.0"),
    ("model.init_scale", math.inf, "model.init_scale must be a finite number above 0, got inf"),
    ("dataset.name", "nowhere", f"dataset.name must be one of {known('datasets')}, got 'nowhere'"),
    ("dataset.train_size", 1, "dataset.train_size must be at least 2, got 1"),
    ("noise.level", 1.5, "noise.level must be between 0 and 1, got 1.5"),
    ("noise.level", -0.1, "noise.level must be between 0 and 1, got -0.1"),
    ("noise.level", math.nan, "noise.level must be between 0 and 1, got nan"),
    ("optimizer.lr", -0.1, "optimizer.lr must be a finite number above 0, got -0.1"),
    ("optimizer.lr", 0.0, "optimizer.lr must be a finite number above 0, got 0.0"),
    ("optimizer.lr", math.nan, "optimizer.lr must be a finite number above 0, got nan"),
    ("optimizer.lr", math.inf, "optimizer.lr must be a finite number above 0, got inf"),
    ("optimizer.batch_size", -1, "optimizer.batch_size must be at least 0, got -1"),
    ("optimizer.name", "nowhere", f"optimizer.name must be one of {known('optimizers')}, got 'nowhere'"),
    ("optimizer.momentum", 1.0, "optimizer.momentum must be at least 0 and below 1, got 1.0"),
    ("optimizer.momentum", math.nan, "optimizer.momentum must be at least 0 and below 1, got nan"),
    ("optimizer.beta1", -0.1, "optimizer.beta1 must be at least 0 and below 1, got -0.1"),
    ("optimizer.beta2", 1.0, "optimizer.beta2 must be at least 0 and below 1, got 1.0"),
    ("optimizer.eps", 0.0, "optimizer.eps must be a finite number above 0, got 0.0"),
    ("optimizer.weight_decay", -0.1, "optimizer.weight_decay must be at least 0, got -0.1"),
    ("optimizer.clip_norm", math.inf, "optimizer.clip_norm must be at least 0, got inf"),
    ("optimizer.schedule", "linear", "optimizer.schedule must be one of constant, cosine, step, got 'linear'"),
    (
        "numerics.precision",
        "float16",
        "numerics.precision must be one of float32, tf32, bfloat16, got 'float16'; did you mean bfloat16?",
    ),
    ("numerics.cuda_graphs", "yes", "numerics.cuda_graphs must be auto, true or false, got 'yes'"),
    ("optimizer.schedule_epochs", -1, "optimizer.schedule_epochs must be at least 0, got -1"),
    ("optimizer.schedule_factor", 0.0, "optimizer.schedule_factor must be a finite number above 0, got 0.0"),
    ("constraint.name", "nowhere", f"constraint.name must be one of {known('constraints')}, got 'nowhere'"),
    ("constraint.radius", -1.0, "constraint.radius must be null or a finite number above 0, got -1.0"),
    ("constraint.of_free", 0.0, "constraint.of_free must be null or a finite number above 0, got 0.0"),
    ("constraint.decay", math.inf, "constraint.decay must be null or a finite number above 0, got inf"),
    ("model.init_offset", -0.5, "model.init_offset must be at least 0, got -0.5"),
    ("noise.name", "nowhere", f"noise.name must be one of {known('noises')}, got 'nowhere'"),
    ("loss.name", "nowhere", f"loss.name must be one of {known('losses')}, got 'nowhere'"),
    ("tracking.patience", -1.0, "tracking.patience must be at least 0, got -1.0"),
    ("checkpoint.dir", "", "checkpoint.dir must be the path of a folder, got ''"),
    ("checkpoint.every_minutes", -1.0, "checkpoint.every_minutes must be at least 0, got -1.0"),
    ("loss.threshold", -1.0, "loss.threshold must be at least 0, got -1.0"),
    ("loss.sgd_lr", 0.0, "loss.sgd_lr must be a finite number above 0, got 0.0"),
    ("loss.momentum_lr", 0.0, "loss.momentum_lr must be a finite number above 0, got 0.0"),
    ("stop.train_loss", -0.01, "stop.train_loss must be at least 0, got -0.01"),
    ("stop.train_loss", math.nan, "stop.train_loss must be at least 0, got nan"),
    ("stop.train_loss", math.inf, "stop.train_loss must be at least 0, got inf"),
    ("dataset.image_size", -1, "dataset.image_size must be at least 0, got -1"),
    ("stop.margin", math.inf, "stop.margin must be null or a finite number, got inf"),
    ("stop.fraction", 1.01, "stop.fraction must be between 0 and 1, got 1.01"),
    ("stop.train_error", 1.0, "stop.train_error must be null or at least 0 and below 1, got 1.0"),
    ("stop.train_error", -0.1, "stop.train_error must be null or at least 0 and below 1, got -0.1"),
    ("stop.max_epochs", 0, "stop.max_epochs must be at least 1, got 0"),
    ("seed", -1, "seed must be at least 0, got -1"),
    ("seeds.init", -2, "seeds.init must be at least 0, got -2"),
    ("seeds.data", -2, "seeds.data must be at least 0, got -2"),
    ("seeds.noise", -2, "seeds.noise must be at least 0, got -2"),
    ("seeds.order", -2, "seeds.order must be at least 0, got -2"),
    ("measures.margin", "p20", "measures.margin must be one of p5, p10, median, got 'p20'; did you mean p10?"),
    ("measures.draws", 1, "measures.draws must be at least 2, got 1"),
    ("measures.subset", 1, "measures.subset must be at least 2, got 1"),
    ("measures.search_tolerance", 0.0, "measures.search_tolerance must be between 1e-06 and 0.5, got 0.0"),
    ("measures.ascent_steps", 0, "measures.ascent_steps must be at least 1, got 0"),
    ("measures.probes", 1, "measures.probes must be at least 2, got 1"),
    ("measures.lanczos_steps", 0, "measures.lanczos_steps must be at least 1, got 0"),
    ("measures.hessian_subset", 1, "measures.hessian_subset must be at least 2, got 1"),
    ("measures.ntk_subset", 1, "measures.ntk_subset must be at least 2, got 1"),
    ("measures.capacity_draws", 1, "measures.capacity_draws must be at least 2, got 1"),
    ("measures.capacity_starts", 0, "measures.capacity_starts must be at least 1, got 0"),
    ("measures.capacity_steps", 0, "measures.capacity_steps must be at least 1, got 0"),
    ("measures.capacity_subset", 1, "measures.capacity_subset must be at least 2, got 1"),
    ("measures.lazy_outputs", 1, "measures.lazy_outputs must be at least 2, got 1"),
    ("history", -1, "history must be at least 0, got -1"),
    ("workers", -1, "workers must be at least 0, got -1"),
    ("device", "gpu", "device must be auto, cpu, cuda or cuda:<index>, got 'gpu'"),
    ("device", "cuda:", "device must be auto, cpu, cuda or cuda:<index>, got 'cuda:'"),
    ("tracking.experiment", " ", "tracking.experiment must be a non-empty name, got ' '"),
    ("objective", "error", "objective must be one of test_error, test_loss, generalization_gap, train_error, "),
]


@pytest.mark.parametrize(("key", "value", "message"), BROKEN)
def test_a_value_that_breaks_its_rule_is_refused_with_key_rule_and_value(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make({key: value})


def test_every_rule_of_the_schema_has_a_case_above() -> None:
    """But those of single stopping rules, which are tested with these."""
    ruled = {key for key, _, metadata in validation.leaves(make()) if metadata.get("rule") is not None}
    assert ruled - set(OF_STOPS) == {key for key, _, _ in BROKEN} - set(OF_STOPS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"optimizer.momentum": 0.9},
            "optimizer.momentum must be 0.0 for optimizer.name=sgd, which does not use it, got 0.9",
        ),
        (
            {"optimizer.nesterov": True},
            "optimizer.nesterov must be False for optimizer.name=sgd, which does not use it, got True",
        ),
        (
            {"optimizer.name": "momentum", "optimizer.beta2": 0.9},
            "optimizer.beta2 must be 0.999 for optimizer.name=momentum, which does not use it, got 0.9",
        ),
        (
            {"optimizer.name": "momentum", "optimizer.nesterov": True},
            "optimizer.momentum must be above 0 for optimizer.nesterov=true, got 0.0",
        ),
        (
            {"optimizer.schedule_epochs": 5},
            "optimizer.schedule_epochs must be 0 for optimizer.schedule=constant, which does not use it, got 5",
        ),
        (
            {"optimizer.schedule": "cosine", "optimizer.schedule_factor": 0.5},
            "optimizer.schedule_factor must be 0.1 for optimizer.schedule=cosine, which does not use it, got 0.5",
        ),
        (
            {"optimizer.schedule": "step"},
            "optimizer.schedule_epochs must be at least 1 for optimizer.schedule=step, got 0",
        ),
        (
            {"optimizer.schedule": "cosine", "optimizer.schedule_epochs": 999},
            "optimizer.schedule_epochs must be at least stop.max_epochs=1000 for optimizer.schedule=cosine, "
            "whose rate is 0 from there on, or 0 for just that, got 999",
        ),
        (
            {"stop.fraction": 0.9},
            "stop.margin must be given where stop.fraction is above 0 (0.9), got None",
        ),
        (
            {"stop.margin": 1},
            "stop.fraction must be above 0 where stop.margin is given (1.0), got 0.0",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make(changes)


def test_values_that_go_together_are_accepted() -> None:
    make({"optimizer.schedule": "cosine"})
    make({"optimizer.schedule": "cosine", "optimizer.schedule_epochs": 1000})
    make({"optimizer.schedule": "step", "optimizer.schedule_epochs": 5, "optimizer.schedule_factor": 2.0})
    make({"optimizer.nesterov": True}, "optimizer=momentum")
    make({"stop.margin": -0.5, "stop.fraction": 1.0, "stop.train_error": 0.0})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.width", "wide", "Value 'wide' of type 'str' could not be converted to Integer"),
        ("model.width", 64.5, "Value '64.5' of type 'float' could not be converted to Integer"),
        ("model.width", True, "Value 'True' of type 'bool' could not be converted to Integer"),
        ("model.bias", "perhaps", "Value 'perhaps' is not a valid bool"),
        ("optimizer.lr", "fast", "Value 'fast' of type 'str' could not be converted to Float"),
        ("seed", 0.5, "Value '0.5' of type 'float' could not be converted to Integer"),
        ("vary.seed", ["x"], "Value 'x' of type 'str' could not be converted to Integer"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_key(key: str, value: Any, message: str) -> None:
    with pytest.raises(OmegaConfBaseException, match=re.escape(message)) as refused:
        unresolved({key: value})
    assert key in str(refused.value)


@pytest.mark.parametrize("override", ["model.wdith=64", "vary.model.width=[1,2]", "optimizer.dampening=0.9"])
def test_a_key_that_does_not_exist_is_refused(override: str) -> None:
    key = override.partition("=")[0]
    with pytest.raises(ConfigCompositionException, match=re.escape(f"Could not override '{key}'")):
        composed(override)


def test_a_reference_to_a_key_that_does_not_exist_is_refused_with_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^seeds\.init: .*sed"):
        expansion.networks(unresolved({"seeds.init": "${sed}"}))


def test_a_reference_to_a_value_of_another_type_is_refused_with_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^seeds\.init: .*'0\.5'.*Integer"):
        expansion.networks(unresolved({"seeds.init": "${noise.level}", "noise.level": 0.5}))


# The config and what it names


def _options(cls: type, name: str) -> set[str]:
    (spec,) = [spec for spec in dataclasses.fields(cls) if spec.name == name]
    return set(spec.metadata["rule"].options)


@pytest.mark.parametrize(
    ("cls", "field", "registered"),
    [
        (schema.OptimizerConfig, "schedule", optim.SCHEDULES),
        (schema.ModelConfig, "init", initialization.SCHEMES),
        (schema.ModelConfig, "activation", _blocks.ACTIVATIONS),
    ],
    ids=["schedule", "init", "activation"],
)
def test_what_the_schema_allows_is_what_there_is(cls: type, field: str, registered: Any) -> None:
    assert _options(cls, field) == set(registered)


def _choices() -> list[tuple[str, str, Any]]:
    """Of which schema, key, rule: every field of every schema whose names are written out in it."""
    schemas = {"Config": (schema.Config, "")} | {name: (one, "model.") for name, one in models.schemas().items()}
    every = [
        (name, key, rule) for name, (one, prefix) in schemas.items() for key, rule in registry.options(one, prefix)
    ]
    return [(name, key, rule) for name, key, rule in every if not isinstance(rule.options, families.Names)]


def test_every_field_of_names_is_among_those_that_are_checked() -> None:
    """Written out once, so that a field that the walk misses is missed by a test."""
    assert {key for _, key, _ in _choices()} == {
        "model.activation", "model.init", "model.downsample", "model.head", "model.norm",
        "optimizer.schedule", "numerics.precision", "measures.margin",
    }  # fmt: skip


@pytest.mark.parametrize(("owner", "key", "rule"), _choices(), ids=lambda part: part if isinstance(part, str) else "")
def test_every_name_that_a_schema_allows_is_implemented_and_the_other_way_round(
    owner: str, key: str, rule: Any
) -> None:
    there = registry.implemented(rule.registry)
    if (owner, key) == ("linear", "model.activation"):  # the one that narrows what its base allows
        assert set(rule.options) == {"identity"} < there
    else:
        assert set(rule.options) == there


@pytest.mark.parametrize(("owner", "key", "rule"), _choices(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_name_that_is_taken_out_of_the_code_is_refused_where_training_begins(
    owner: str, key: str, rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, attribute = rule.registry.rpartition(".")
    there = getattr(importlib.import_module(module), attribute)
    gone = rule.options[-1]
    rest = {name: there[name] for name in there if name != gone} if isinstance(there, dict) else ()
    monkeypatch.setattr(f"{module}.{attribute}", rest or tuple(name for name in there if name != gone))
    job.check_options.cache_clear()
    message = f"{key} must only allow what is implemented, got {gone} in its rule but not in {rule.registry}: implement"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        next(job.train([make()], torch.device("cpu")))
    monkeypatch.undo()
    job.check_options()


def test_a_name_that_is_in_the_schema_only_trains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer adds a name to the rule of a field in the schema, and nothing else."""
    (spec,) = [spec for spec in dataclasses.fields(schema.OptimizerConfig) if spec.name == "schedule"]
    rule = spec.metadata["rule"]
    more = rules.one_of(*rule.options, "nowhere", registry=rule.registry)
    monkeypatch.setattr(spec, "metadata", {**spec.metadata, "rule": more})
    job.check_options.cache_clear()
    one = make({"optimizer.schedule": "nowhere"})  # the schema lets it pass
    message = "optimizer.schedule must only allow what is implemented, got nowhere in its rule but not in"
    with pytest.raises(ConfigError, match=message):
        next(job.train([one], torch.device("cpu")))
    monkeypatch.undo()
    job.check_options.cache_clear()


def test_data_of_an_unknown_noise_is_never_clean_data() -> None:
    one = make({"noise.level": 0.5})
    one.noise.name = "nowhere"
    message = f"noise.name must be one of {known('noises')}, got 'nowhere'"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        stack_data.build([one], torch.device("cpu"))


def test_the_names_of_measure_groups_are_those_of_the_registry_and_of_the_files() -> None:
    groups = {one.group for one in measures.REGISTRY.values()}
    assert groups <= set(names.MEASURE_GROUPS)
    files = {file.stem for file in (Path(conf_dir()) / "measures").glob("*.yaml")}
    assert files == {*names.MEASURE_GROUPS, names.ALL_MEASURES}


CHOICES = [
    f"{file.parent.name}={file.stem}"
    for group in ("model", "dataset", "noise", "loss", "optimizer", "measures")
    for file in sorted((Path(conf_dir()) / group).glob("*.yaml"))
]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_file_of_a_config_group_gives_a_valid_network_of_its_name(choice: str) -> None:
    group, _, name = choice.partition("=")
    one = make(None, choice)
    if group != "measures":
        assert getattr(one, group).name == name
    validation.check_rules(one)


@pytest.mark.parametrize("choice", [c for c in CHOICES if c.startswith("model=")])
def test_every_model_is_of_its_own_config_class(choice: str) -> None:
    one = make(None, choice)
    assert type(one.model) is models.schemas()[one.model.name]


@pytest.mark.parametrize("file", sorted((Path(conf_dir()) / "experiment").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_experiment_composes_and_sweeps_keys_that_exist(file: Path) -> None:
    composed(f"experiment={file.stem}")
    plain = unresolved()
    for key in OmegaConf.load(file).hydra.sweeper.params:
        assert OmegaConf.select(plain, key, throw_on_missing=True) is not None, key


def test_the_loss_brings_its_threshold_and_learning_rate() -> None:
    crossed, squared = make(), make(None, "loss=squared_error")
    assert (crossed.stop.train_loss, crossed.optimizer.lr) == (0.01, 0.1)
    assert (squared.stop.train_loss, squared.optimizer.lr) == (0.1, 0.01)
    assert make(None, "optimizer=momentum").optimizer.lr == 0.01
    assert make(None, "optimizer=momentum", "loss=squared_error").optimizer.lr == 0.001
    assert make({"optimizer.lr": 0.5, "stop.train_loss": 0.0}, "loss=squared_error").optimizer.lr == 0.5


def test_the_defaults_are_those_of_the_contract() -> None:
    one = make()
    assert (one.model.name, one.model.width, one.model.depth, one.model.activation) == ("mlp", 256, 2, "relu")
    assert (one.model.bias, one.model.init, one.model.init_scale) == (True, "xavier", 1.0)
    assert (one.dataset.name, one.dataset.train_size, one.noise.name, one.noise.level) == ("digits", 1280, "labels", 0)
    assert (one.optimizer.name, one.optimizer.batch_size, one.stop.max_epochs) == ("sgd", 64, 1000)
    momentum, adam, adamw = (make(None, f"optimizer={name}").optimizer for name in ("momentum", "adam", "adamw"))
    assert (momentum.momentum, momentum.nesterov) == (0.9, False)
    assert {(own.lr, own.beta1, own.beta2, own.eps) for own in (adam, adamw)} == {(0.001, 0.9, 0.999, 1e-8)}
    assert [own.weight_decay for own in (one.optimizer, momentum, adam, adamw)] == [0, 0, 0, 0.01]
    assert (one.tracking.experiment, one.tracking.save_weights, one.resume) == ("initdist", True, True)


def test_the_data_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITDIST_DATA", "/somewhere/else")
    assert make(None, "dataset=mnist").dataset.root == "/somewhere/else"
    monkeypatch.delenv("INITDIST_DATA")
    assert make(None, "dataset=mnist").dataset.root == "data"


# Expansion


def test_a_config_without_varied_axes_is_one_network() -> None:
    assert len(expansion.networks(unresolved())) == 1


def test_a_stack_expands_into_the_product_of_its_axes_in_order() -> None:
    expanded = expansion.networks(unresolved({"vary.seed": [3, 4], "vary.noise.level": [0, 0.5, 1]}))
    assert [(one.seed, one.noise.level) for one in expanded] == [
        (3, 0.0), (3, 0.5), (3, 1.0), (4, 0.0), (4, 0.5), (4, 1.0)
    ]  # fmt: skip


def test_expansion_comes_before_interpolations_resolve() -> None:
    first, second = expansion.networks(unresolved({"vary.seed": [3, 4], "seeds.order": 7}))
    assert first.seeds == schema.SeedsConfig(init=3, data=3, noise=3, order=7)
    assert second.seeds == schema.SeedsConfig(init=4, data=4, noise=4, order=7)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer.lr": "${noise.level}"},
        {"optimizer.lr": "${stop.train_loss}", "stop.train_loss": "${noise.level}"},  # through another
        {"stop.train_loss": "${.train_error}", "stop.train_error": "${..noise.level}"},  # relative
        {"optimizer.lr": "${oc.select:noise.level}"},  # by a resolver that looks at keys
        {
            "optimizer.lr": "${loss.${tracking.experiment}}",
            "tracking.experiment": "sgd_lr",
        },  # by an expression for a name
        {"tracking.experiment": "of seed ${seed} at ${oc.env:HOME} and ${seeds.init}"},
        {"measures.names": ["core", "${loss.name}"]},
        {"dataset.root": "${oc.env:HOME}/${model.name}"},
        {"seeds.data": 5, "vary.optimizer.lr": [0.1, 0.2]},
    ],
    ids=str,
)
def test_a_stack_expands_as_if_each_of_its_networks_were_composed_alone(changes: dict[str, Any]) -> None:
    axes: dict[str, list[Any]] = {"noise.level": [0.25, 0.5], "seed": [3, 4]}
    axes |= {"optimizer.lr": changes["vary.optimizer.lr"]} if "vary.optimizer.lr" in changes else {}
    given = {key: value for key, value in changes.items() if not key.startswith("vary.")}
    expected = [make(given | dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]
    found = expansion.networks(unresolved(given | {f"vary.{key}": values for key, values in axes.items()}))
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_a_later_network_of_a_stack_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"noise\.level must be between 0 and 1, got 1\.5"):
        expansion.networks(unresolved({"vary.noise.level": [0.5, 1.5]}))
    with pytest.raises(ConfigError, match=r"optimizer\.lr must be a finite number above 0, got 0\.0"):
        expansion.networks(unresolved({"optimizer.lr": "${noise.level}", "vary.noise.level": [0.5, 0]}))


def test_networks_of_a_stack_share_no_values_that_can_be_changed() -> None:
    first, second = expansion.networks(unresolved({"vary.seed": [3, 4]}))
    first.dataset.train_size, first.measures.names[:] = 7, ["none"]
    assert (second.dataset.train_size, second.measures.names) == (make().dataset.train_size, make().measures.names)


@pytest.mark.parametrize("key", schema.STACKABLE)
def test_a_network_of_a_stack_has_the_config_it_would_have_alone(key: str) -> None:
    context, choices = AROUND.get(key, ({}, ()))
    value = axis_values(key)[0]
    (varied,) = expansion.networks(unresolved(context | {f"vary.{key}": [value]}, *choices))
    alone = make(context | {key: value}, *choices)
    assert varied == alone
    assert identity.identity(varied, "data") == identity.identity(alone, "data")
    assert identity.params(varied)[key] == value
    assert type(identity.params(varied)[key]) is schema.STACKABLE[key]


def test_a_value_that_breaks_its_rule_is_refused_within_a_stack_too() -> None:
    with pytest.raises(ConfigError, match=r"^noise\.level must be between 0 and 1, got 1\.5$"):
        expansion.networks(unresolved({"vary.noise.level": [0.5, 1.5]}))


def test_a_repeated_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^vary\.seed must not repeat a value, got \[1, 2, 1\]$"):
        expansion.networks(unresolved({"vary.seed": [1, 2, 1]}))


# The plan: a config against the world


def test_more_training_samples_than_there_are_is_refused() -> None:
    message = "dataset.train_size must be at most 1280, the training samples of digits, got 1281"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        planning.networks(unresolved({"dataset.train_size": 1281}))
    assert planning.networks(unresolved({"dataset.train_size": 1280}))[0].data.pool == 1280


def test_an_unknown_dataset_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"^dataset\.name must be one of .*, got 'digit'; did you mean digits\?$"):
        planning.networks(unresolved({"dataset.name": "digit"}))


def test_an_unknown_measure_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"^measures\.names must be .*got 'param_nrom'; did you mean param_norm\?$"):
        planning.networks(unresolved({"measures.names": ["core", "param_nrom"]}))


def test_a_model_name_that_is_not_the_chosen_model_is_refused() -> None:
    message = r"^model\.name must be that of the chosen model config, got 'linear'; choose the model with model=linear$"
    with pytest.raises(ConfigError, match=message):
        planning.networks(unresolved({"model.name": "linear"}))
    with pytest.raises(ConfigError, match=r"^model\.name must be one of .*, got 'mpl'; did you mean mlp\?$"):
        planning.networks(unresolved({"model.name": "mpl"}))


def test_the_name_for_people() -> None:
    (one,) = planning.networks(unresolved({"model.width": 64, "noise.level": 0.5, "seed": 3}))
    assert one.name == "mlp w64 n1280 p0.5 s3"
