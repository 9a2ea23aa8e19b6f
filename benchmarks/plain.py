"""What initdist is measured against: a well-written loop over one network, its tensors on the device, torch.optim."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A network is not checked against the threshold before its mean batch loss is within ten times of it, as in initdist.
CHECK_FACTOR = 10.0


class Plain:
    """One network: its module, its optimizer, its ready training set."""

    def __init__(self, module: nn.Module, inputs: Tensor, labels: Tensor, lr: float, batch_size: int) -> None:
        self.module, self.inputs, self.labels, self.batch_size = module, inputs, labels, batch_size
        self.optimizer = torch.optim.SGD(module.parameters(), lr=lr, fused=True)

    def epoch(self, order: Tensor) -> float:
        """One pass in this order [m]; the mean loss while it was trained on."""
        total = torch.zeros((), dtype=torch.float64, device=self.inputs.device)
        for batch in order.to(self.inputs.device).split(self.batch_size):
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(self.module(self.inputs[batch]), self.labels[batch])
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(batch)
        return float(total) / len(order)

    @torch.no_grad()
    def evaluate(self, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
        """Mean loss and error."""
        logits = torch.cat([self.module(part) for part in inputs.split(1024)])
        return float(F.cross_entropy(logits, labels)), float((logits.argmax(-1) != labels).float().mean())
