"""Every model under every noise and optimizer, ten steps: it composes, has one identity, and does not see its stack."""

import math
from pathlib import Path

import pytest

from initdist.config import expansion, identity
from initdist.paths import conf_dir
from initdist.stacks import recording
from tests.helpers import assert_same, make, train, unresolved


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in Path(conf_dir(), group).glob("*.yaml"))


# Five batches of 14, twice.
TEN_STEPS = {
    "model.width": 8,
    "dataset.train_size": 70,
    "optimizer.batch_size": 14,
    "stop.max_epochs": 2,
    "noise.level": 0.5,
}
LOSSES = choices("loss")


@pytest.mark.parametrize("model", choices("model"))
@pytest.mark.parametrize("noise", choices("noise"))
@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_ten_steps(model, noise, optimizer, monkeypatch):
    monkeypatch.setattr(recording, "WORTHWHILE", 4)  # the stack and the single networks come to it at different steps
    loss = LOSSES[(choices("noise").index(noise) + choices("optimizer").index(optimizer)) % len(LOSSES)]
    groups = (f"model={model}", f"noise={noise}", f"optimizer={optimizer}", f"loss={loss}")
    networks = [make({**TEN_STEPS, "seed": seed}, *groups) for seed in range(3)]
    varied = expansion.networks(unresolved({**TEN_STEPS, "vary.seed": [0, 1, 2]}, *groups))
    identities = [identity.identity(one, "digits/1") for one in networks]
    assert [identity.identity(one, "digits/1") for one in varied] == identities
    assert len(set(identities)) == 3

    wild = make({**TEN_STEPS, "optimizer.lr": 1e30}, *groups)
    together = train([networks[0], wild, *networks[1:]])
    assert together[1].result.stop_reason == "diverged"
    for place, network in zip((0, 2, 3), networks, strict=True):
        (alone,) = train([network])
        assert alone.result.step == 10
        assert alone.result.metrics["distance_from_init"] > 0
        assert all(math.isfinite(value) for value in alone.result.metrics.values())
        assert_same(alone, together[place])
