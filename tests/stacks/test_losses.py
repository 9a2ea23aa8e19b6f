"""Every loss: a value a sample, of that sample alone, never negative."""

import pytest
import torch

from initdist.stacks.losses import LOSSES


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_a_value_for_each_sample_by_itself(name: str) -> None:
    loss = LOSSES[name].loss
    logits, labels = 3 * torch.randn(40, 10, dtype=torch.float64), torch.randint(10, (40,))
    values = loss(logits, labels)
    assert values.shape == (40,)
    assert torch.isfinite(values).all()
    assert (values >= 0).all()
    alone = torch.cat([loss(logits[k : k + 1], labels[k : k + 1]) for k in range(40)])
    torch.testing.assert_close(values, alone)
    torch.testing.assert_close(torch.vmap(loss)(logits.view(4, 10, 10), labels.view(4, 10)).flatten(), values)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_falls_as_the_true_class_gains(name: str) -> None:
    labels = torch.zeros(3, dtype=torch.long)
    logits = torch.zeros(3, 10)
    logits[:, 0] = torch.tensor([0.0, 0.4, 0.8])
    values = LOSSES[name].loss(logits, labels).tolist()
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 3
