"""What the file of an optimizer holds.

Only elementwise operations: they round the same at every position of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from initdist.config.schema import OptimizerConfig

if TYPE_CHECKING:
    from torch import Tensor

Coefficients = Mapping[str, Any]  # name -> Tensor [N], or a view of it that broadcasts against a parameter
Slots = Mapping[str, Any]  # what is kept for a parameter, name -> Tensor [N, ...]


@dataclass(slots=True)
class Update:
    """What the update of one parameter works on. Fresh tensors of its size cost as much as the arithmetic."""

    parameter: Tensor  # [N, ...]
    gradient: Tensor  # [N, ...] to be left as it is, unless it is the scratch
    scratch: Tensor  # [N, ...] free to be overwritten
    slots: Slots
    coefficients: Coefficients
    nesterov: bool


def the_rate(coefficients: Coefficients) -> Coefficients:
    return {"lr": coefficients["lr"]}


@dataclass(frozen=True)
class UpdateRule:
    """An optimizer.

    update: in place on the parameter and the slots.
    prepare: from the coefficients [N] in float64 to what `update` reads of them, once a step.
    Config: the config of this optimizer, where it has fields that no other has.
    coefficients: numbers of the config that it reads, beside the learning rate, the weight decay and the clipping norm.
    switches: the fields that it reads and that are no numbers.
    powers: those coefficients whose t-th power is wanted at step t, under the name with a `^t`.
    slots: what it keeps for each parameter; all start at zero.
    coupled_decay: whether the weight decay is part of the gradient, as a penalty's, or left to `update`.
    descent: whether the update is theta <- theta - lr g, which can be done without ever holding g in memory.
    namesake: the class of torch.optim that the tests hold it against.
    """

    update: Callable[[Update], None]
    prepare: Callable[[Coefficients], Coefficients] = the_rate
    Config: type[OptimizerConfig] = OptimizerConfig
    coefficients: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    coupled_decay: bool = True
    descent: bool = False
    namesake: str = ""

    def __post_init__(self) -> None:
        known = self.Config.__dataclass_fields__
        if odd := [name for name in (*self.coefficients, *self.switches) if name not in known]:
            raise ValueError(f"COEFFICIENTS and SWITCHES must be fields of its config, got {', '.join(odd)}")
        if odd := [name for name in self.powers if name not in self.coefficients]:
            raise ValueError(f"POWERS must be among COEFFICIENTS, got {', '.join(odd)}")
