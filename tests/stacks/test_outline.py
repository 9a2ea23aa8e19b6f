"""A model's module without values: what it has and does, counted by hand and against PyTorch's own meta device."""

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from initdist import models, network_configs
from initdist.stacks import outline

SHAPE, CLASSES = (1, 8, 8), 10


def built(*settings):
    (config,) = network_configs("dataset=digits", *settings)
    return outline.module(config.model, SHAPE, CLASSES)


def test_an_mlp_by_hand():
    module = built("model=mlp", "model.width=32", "model.depth=2")
    assert outline.parameters(module) == 64 * 32 + 32 + 32 * 32 + 32 + 32 * 10 + 10
    assert outline.operations(module, SHAPE) == 2 * (64 * 32 + 32 * 32 + 32 * 10)
    flat = 64
    assert outline.activations(module, SHAPE) == flat + 2 * (32 + 32) + 10  # flattened, each layer and its ReLU, logits


@pytest.mark.parametrize("name", sorted(models.schemas()))
def test_operations_are_those_that_pytorch_counts_on_the_meta_device(name):
    module = built(f"model={name}")
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, *SHAPE))
    assert outline.operations(module, SHAPE) == counter.get_total_flops() > 0
    assert all(p.is_meta for p in module.parameters())


def test_a_model_larger_than_memory():
    module = built("model=mlp", "model.width=400000", "model.depth=2")  # 160 billion parameters
    assert outline.parameters(module) > 1.6e11
    assert outline.operations(module, SHAPE) == 2 * (64 * 400_000 + 400_000**2 + 400_000 * 10)
    assert outline.activations(module, SHAPE) == 64 + 4 * 400_000 + 10


def test_a_model_with_constants():
    class Centered(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("middle", torch.ones(64, dtype=torch.float64))
            self.layer = torch.nn.Linear(64, 10)

        def forward(self, inputs):
            return self.layer((inputs.flatten(1) - self.middle).float())

    with torch.device("meta"):
        module = Centered()
    assert outline.operations(module, SHAPE) == 2 * 64 * 10


def test_the_compiler_stays_away():
    script = (
        "import sys; from initdist import network_configs; from initdist.stacks import outline\n"
        "(config,) = network_configs('dataset=digits')\n"
        "module = outline.module(config.model, (1, 8, 8), 10)\n"
        "outline.operations(module, (1, 8, 8)), outline.activations(module, (1, 8, 8))\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
