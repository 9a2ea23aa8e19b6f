"""How the networks of a job are divided into stacks, so that all processes end at about the same time."""

from __future__ import annotations

from collections.abc import Sequence

from initdist.config.schema import Config

# On a CPU: so many stacks for each process, as long as so many networks are in each of them. Larger stacks train hardly
# faster.
STACKS, ENOUGH = 4, 4


def stacks(configs: Sequence[Config], most: int, devices: Sequence[str]) -> list[tuple[int, ...]]:
    """Positions of the networks of each stack, at most `most` in one; those to begin with come first."""
    each = -(-len(configs) // len(devices))
    longest_first = sorted(range(len(configs)), key=lambda i: (-configs[i].noise.level, configs[i].optimizer.lr))
    if devices[0] == "cpu":
        # Alike in one stack, so that none waits long for the last of its neighbours; the short ones fill up the end.
        size = min(most, max(min(each, ENOUGH), -(-each // STACKS)))
        return [tuple(longest_first[start : start + size]) for start in range(0, len(configs), size)]
    # One stack a device if it fits; dealt out, so that they take equally long.
    count = -(-len(configs) // min(most, each))
    return [tuple(longest_first[k::count]) for k in range(count)]
