"""A stack against single modules: initial values, logits, gradients, selection; and the losses by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import CPU, make
from torch import nn

from initdist import models, rng
from initdist.config.schema import Config
from initdist.stacks import initialization, stack
from initdist.stacks.initialization import fans, xavier_std
from initdist.stacks.losses import LOSSES

MODELS = list(models.MODELS)
IMAGES = ("cnn", "resnet")  # depth counts blocks of convolutions
SHAPE, CLASSES = (1, 4, 3), 5


def _configs(model: str, count: int = 3, **changes: object) -> list[Config]:
    small = {"model.width": 4 if model == "resnet" else 7, "model.depth": 1 if model in IMAGES else 2} | changes
    return [make(small | {"seed": seed}, f"model={model}") for seed in range(count)]


def _module(built: stack.Stack, config: Config, index: int) -> nn.Module:
    """One network as an ordinary module."""
    module = models.build(config.model, SHAPE, CLASSES)
    module.load_state_dict(built.network(index))
    return module


def _batch(networks: int, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(networks, size, *SHAPE, generator=generator)
    return inputs, torch.randint(0, CLASSES, (networks, size), generator=generator)


@pytest.mark.parametrize("model", MODELS)
def test_logits_are_those_of_single_modules(model: str) -> None:
    configs = _configs(model)
    built = stack.build(configs, SHAPE, CLASSES, CPU)
    inputs, _ = _batch(len(configs))
    logits = built.forward(inputs)
    assert logits.shape == (3, 6, CLASSES)
    for index, config in enumerate(configs):
        expected = _module(built, config, index)(inputs[index])
        assert logits[index].numpy() == pytest.approx(expected.detach().numpy(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_those_of_each_networks_own_mean_loss(model: str, loss: str) -> None:
    configs = _configs(model)
    built = stack.build(configs, SHAPE, CLASSES, CPU)
    inputs, labels = _batch(len(configs))
    gradients, losses = built.gradients(LOSSES[loss].loss, inputs, labels)
    for index, config in enumerate(configs):
        module = _module(built, config, index)
        expected = LOSSES[loss].loss(module(inputs[index]), labels[index]).mean()
        expected.backward()
        assert losses[index].item() == pytest.approx(expected.item(), rel=1e-5)
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None
            atol = 2e-5 * max(1.0, parameter.grad.abs().max().item())
            torch.testing.assert_close(gradients[name][index], parameter.grad, rtol=1e-4, atol=atol, msg=name)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "identity"])
def test_a_network_is_what_its_activation_says(activation: str) -> None:
    function = {"relu": torch.relu, "tanh": torch.tanh, "gelu": nn.functional.gelu, "identity": lambda x: x}[activation]
    (config,) = _configs("mlp", 1, **{"model.activation": activation, "model.depth": 1})
    built = stack.build([config], SHAPE, CLASSES, CPU)
    first, bias, second, last_bias = built.network(0).values()
    inputs, _ = _batch(1)
    expected = function(inputs[0].flatten(1) @ first.T + bias) @ second.T + last_bias
    assert built.forward(inputs)[0].numpy() == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("model", ["mlp", "linear"])
@pytest.mark.parametrize(
    ("depth", "bias", "parameters"), [(0, True, 65), (2, True, 187), (2, False, 168), (3, True, 243)]
)
def test_depth_counts_hidden_layers(model: str, depth: int, bias: bool, parameters: int) -> None:
    """12 inputs, width 7, 5 classes: 12*5+5; (12+7+5)*7 weights + 7+7+5 biases; one more layer has 7*7+7."""
    (config,) = _configs(model, 1, **{"model.depth": depth, "model.bias": bias})
    built = stack.build([config], SHAPE, CLASSES, CPU)
    assert sum(p[0].numel() for p in built.parameters.values()) == parameters
    assert sum(p.dim() == 3 for p in built.parameters.values()) == depth + 1


@pytest.mark.parametrize("model", MODELS)
def test_a_networks_initial_values_do_not_depend_on_its_stack(model: str) -> None:
    configs = _configs(model)
    together = stack.build(configs, SHAPE, CLASSES, CPU)
    for index, config in enumerate(configs):
        alone = stack.build([config], SHAPE, CLASSES, CPU)
        for name in together.parameters:
            assert torch.equal(together.parameters[name][index], alone.parameters[name][0]), name
    first, second = (together.network(index) for index in (0, 1))
    assert all(not torch.equal(first[name], second[name]) for name in first if first[name].dim() > 1)


def test_weights_are_xavier_normal_and_biases_zero() -> None:
    drawn = initialization.draw(make({"seed": 2}), {"a": (400, 300), "b": (400,), "c": (300, 400), "d": (20, 400)})
    assert torch.equal(drawn["b"], torch.zeros(400))
    for name, parameters in (("a", 120_000), ("c", 120_000), ("d", 8_000)):
        out, into = drawn[name].shape
        expected = math.sqrt(2 / (into + out))
        weights = drawn[name].double().numpy()
        assert weights.std() == pytest.approx(expected, rel=5 / math.sqrt(2 * parameters))
        assert abs(weights.mean()) < 5 * expected / math.sqrt(parameters)
        assert (weights**4).mean() / (weights**2).mean() ** 2 == pytest.approx(3, abs=5 * math.sqrt(96 / parameters))


def test_the_standard_deviation_is_that_of_torch() -> None:
    for shape in ((5, 7), (8, 3, 3, 5)):
        reference = nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
        assert fans(shape) == reference
        assert xavier_std(shape) == pytest.approx(math.sqrt(2 / sum(reference)))


def test_init_scale_multiplies_the_weights() -> None:
    shapes = {"a": (9, 8), "b": (9,)}
    plain, scaled = (initialization.draw(make({"model.init_scale": scale}), shapes) for scale in (1.0, 3.0))
    assert scaled["a"].numpy() == pytest.approx(3 * plain["a"].numpy(), rel=1e-6)


def test_initial_values_follow_from_their_own_seed_alone() -> None:
    shapes = {"a": (9, 8)}
    base = initialization.draw(make({"seeds.init": 4}), shapes)["a"]
    others = {"seeds.data": 5, "seeds.noise": 5, "seeds.order": 5, "noise.level": 0.5, "optimizer.lr": 0.5}
    assert torch.equal(initialization.draw(make({"seeds.init": 4} | others), shapes)["a"], base)
    drawn = rng.stream(4, rng.INITIALIZATION).standard_normal((9, 8), dtype=np.float32)
    assert base.numpy() == pytest.approx(drawn * math.sqrt(2 / 17), rel=1e-6)


def test_building_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    stack.build(_configs("mlp"), SHAPE, CLASSES, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_selections_and_clones_are_copies() -> None:
    built = stack.build(_configs("mlp"), SHAPE, CLASSES, CPU)
    before = {name: values.clone() for name, values in built.parameters.items()}
    part, whole, one = built.select(torch.tensor([2, 0])), built.clone(), built.network(1)
    assert (len(built), len(part), len(whole)) == (3, 2, 3)
    for name, values in before.items():
        assert torch.equal(part.parameters[name], values[[2, 0]])
        assert torch.equal(whole.parameters[name], values)
        assert torch.equal(one[name], values[1])
        for copy in (part.parameters[name], whole.parameters[name], one[name]):
            copy.add_(1)
        assert torch.equal(built.parameters[name], values)


# Losses


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_one_value_a_sample_from_nothing_else_and_never_negative(name: str) -> None:
    loss = LOSSES[name].loss
    logits = 5 * torch.randn(3, 40, CLASSES, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(120).view(3, 40) % CLASSES
    values = loss(logits[0], labels[0])
    assert values.shape == (40,)
    assert (values >= 0).all()
    for sample in range(40):
        part = slice(sample, sample + 1)
        torch.testing.assert_close(loss(logits[0, part], labels[0, part]), values[part], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(torch.vmap(loss)(logits, labels)[0], values, rtol=1e-6, atol=1e-6)
    assert torch.autograd.functional.jacobian(lambda one: loss(one, labels[0]).sum(), logits[0]).isfinite().all()


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [2.0, 2.0]])
    values = LOSSES["cross_entropy"].loss(logits, torch.tensor([0, 1]))
    assert values.tolist() == pytest.approx([math.log(4), math.log(2)], rel=1e-6)


def test_squared_error_by_hand() -> None:
    """sum_c (f_c - 1[y = c])^2, without a factor 1/2 and without a mean over classes."""
    logits = torch.tensor([[0.5, 2.0, -1.0], [1.0, 0.0, 0.0]])
    values = LOSSES["squared_error"].loss(logits, torch.tensor([1, 0]))
    assert values.tolist() == [0.25 + 1.0 + 1.0, 0.0]
    assert LOSSES["squared_error"].loss(logits, torch.tensor([2, 2])).tolist() == [0.25 + 4.0 + 4.0, 1.0 + 1.0]
