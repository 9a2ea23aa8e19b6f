"""Networks x steps per second: stacks of initdist against a plain PyTorch loop and the matrix products alone.

    python benchmarks/steps.py                      # every core of this machine, one single-threaded process each
    python benchmarks/steps.py --device cuda        # one GPU; needs only torch and numpy beside this repository
    python benchmarks/steps.py --widths 64 --stacks 1,16 --rounds 3 --compiled 64
    python benchmarks/steps.py --clock processor    # of each process alone, where others keep the machine busy

All contestants take turns in every round, the processes of one all at once, and each figure is the median over the
rounds. `plain` is one network after the other in each process, `threads` one process with all cores, and `products`
the matrix products that a step needs, in the shapes that it needs them in: what cannot be undercut on a CPU. On CUDA
they are launched one by one, which a graph of a small stack's steps undercuts. The MLPs have two hidden layers, 784
inputs and batches of 64, in float32. On CUDA, `limit` is the larger of the time that the operations
take at the rate of a large matrix product, and that which it takes to read the parameters twice and to write them once
at the rate of a large copy, both measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import machine

from initdist import cores

if TYPE_CHECKING:
    import torch

ROLES = ("stacked", "plain", "threads", "products")
TRAIN_SIZE, BATCH = 1024, 64


def epoch(case: dict[str, Any]) -> tuple[Callable[[], None], int]:
    """One epoch of a contestant, and the network-steps in it."""
    steps = TRAIN_SIZE // BATCH
    if case["role"] == "stacked":
        return _stacked(case), steps * case["stack"]
    if case["role"] == "products":
        return _products(case, steps), steps * case["stack"]
    return _plain(case), steps


def _stacked(case: dict[str, Any]) -> Callable[[], None]:
    import setting
    import torch

    from initdist.data import stack_data
    from initdist.stacks import capture, optim, precision, stack
    from initdist.stacks.losses import LOSSES
    from initdist.training.epochs import ActiveStack, Epochs, epoch_orders

    device = torch.device(case["device"])
    configs = [setting.config(case["model"], case["width"], seed, case["compiled"]) for seed in range(case["stack"])]
    precision.prepare(configs[0].numerics)
    built = stack.build(configs, setting.SHAPE, setting.CLASSES, device)
    live = ActiveStack(
        members=tuple(range(len(configs))),
        stack=built,
        data=stack_data.build(configs, device),
        optimizer=optim.build(configs, device),
        stops=tuple(one.stop for one in configs),
        seeds=tuple(one.seeds.order for one in configs),
        waiting=[()] * len(configs),
    )
    epochs = Epochs(live, BATCH, LOSSES["cross_entropy"].loss, capture.graphs(configs[0].numerics, device, waits=False))
    count, orders = 0, epoch_orders(live, 1)

    def run() -> None:
        """As in a training: the next epoch's orders are drawn while a GPU is still at work."""
        nonlocal count, orders
        count += 1
        losses = epochs.run(count, orders)
        orders = epoch_orders(live, count + 1)
        losses.cpu()

    return run


def limits(device: torch.device) -> tuple[float, float]:
    """Float32 operations and bytes a second, at best."""
    import torch

    size = 8192 if device.type == "cuda" else 1024
    a, b, c = (torch.randn(size, size, device=device) for _ in range(3))
    big = torch.empty(size * size * 8, device=device), torch.zeros(size * size * 8, device=device)
    flop = _best(lambda: torch.mm(a, b, out=c), device)
    copied = _best(lambda: big[0].copy_(big[1]), device)
    return 2 * size**3 / flop, 2 * 4 * big[0].numel() / copied


def _best(action: Callable[[], object], device: torch.device) -> float:
    """Seconds, the least of several."""
    import torch

    seconds = []
    for _ in range(12):
        started = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def steps_at_best(case: dict[str, Any], flop_rate: float, byte_rate: float) -> float:
    """Networks x steps per second of an MLP that no implementation exceeds."""
    width = case["width"]
    first, rest = 784 * width, width * width + 10 * width
    flop = 2 * BATCH * (2 * first + 3 * rest)  # the inputs need no gradient
    return 1 / max(flop / flop_rate, 3 * 4 * (first + rest) / byte_rate)


def _plain(case: dict[str, Any]) -> Callable[[], None]:
    import setting
    import torch
    from plain import Plain

    from initdist import models, rng
    from initdist.data import stack_data
    from initdist.stacks import precision

    device = torch.device(case["device"])
    config = setting.config(case["model"], case["width"], 0)
    precision.prepare(config.numerics)
    inputs, labels = (part[0] for part in stack_data.build([config], device).train_slice(0, TRAIN_SIZE))
    module = models.build(config.model, setting.SHAPE, setting.CLASSES).to(device)
    network = Plain(module, inputs, labels, config.optimizer.lr, BATCH)

    def run() -> None:
        run.count += 1  # type: ignore[attr-defined]
        network.epoch(torch.from_numpy(rng.epoch_order(0, run.count, TRAIN_SIZE)))  # type: ignore[attr-defined]

    run.count = 0  # type: ignore[attr-defined]
    return run


def _products(case: dict[str, Any], steps: int) -> Callable[[], None]:
    import torch

    n, width, device = case["stack"], case["width"], torch.device(case["device"])
    sizes = (784, width, width, 10)
    layers = [
        {
            "inputs": torch.randn(n, BATCH, fan_in, device=device),
            "weights": torch.randn(n, fan_out, fan_in, device=device),
            "outputs": torch.randn(n, BATCH, fan_out, device=device),
        }
        for fan_in, fan_out in pairwise(sizes)
    ]
    results = [{name: torch.empty_like(values) for name, values in layer.items()} for layer in layers]

    def run() -> None:
        for _ in range(steps):
            for layer, result in zip(layers, results, strict=True):
                torch.bmm(layer["inputs"], layer["weights"].transpose(1, 2), out=result["outputs"])
            for k, (layer, result) in reversed(list(enumerate(zip(layers, results, strict=True)))):
                torch.bmm(layer["outputs"].transpose(1, 2), layer["inputs"], out=result["weights"])
                if k:
                    torch.bmm(layer["outputs"], layer["weights"], out=result["inputs"])
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def serve(connection: Connection, threads: int) -> None:
    """A contestant's process: sets a case up, warms it up, then takes its turns."""
    import torch

    torch.set_num_threads(threads)
    run: Callable[[], None] = lambda: None  # noqa: E731
    amount, count, clock = 0, 1, time.perf_counter
    while True:
        message = connection.recv()
        if message is None:
            return
        if message == "limits":
            connection.send(limits(torch.device("cuda")))
            continue
        if isinstance(message, dict):
            run, amount = epoch(message)
            clock = time.process_time if message["clock"] == "processor" else time.perf_counter
            for _ in range(4):
                run()
            started = clock()
            run()
            count = max(1, round(message["seconds"] / (clock() - started)))
            connection.send(count)
            continue
        started = clock()
        for _ in range(count):
            run()
        connection.send(count * amount / (clock() - started))


class Contestant:
    """Processes that work at the same time on the same case."""

    def __init__(self, processes: int, threads: int, environment: dict[str, str]) -> None:
        kept = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        context = multiprocessing.get_context("spawn")
        self.ends: list[Connection] = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            context.Process(target=serve, args=(theirs, threads), daemon=True).start()
            self.ends.append(ours)
        for name, before in kept.items():
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before

    def _each(self, message: object) -> list[float]:
        for end in self.ends:
            end.send(message)
        return [end.recv() for end in self.ends]

    def set_up(self, case: dict[str, Any]) -> None:
        self._each(case)

    def turn(self) -> float:
        """Networks x steps per second, of all processes together."""
        return sum(self._each("turn"))

    def limits(self) -> tuple[float, float]:
        """Of the first process."""
        self.ends[0].send("limits")
        flop_rate, byte_rate = self.ends[0].recv()
        return flop_rate, byte_rate

    def close(self) -> None:
        for end in self.ends:
            end.send(None)


def contestants(device: str, cores: int) -> dict[str, Contestant]:
    import setting  # noqa: F401 - makes initdist importable from torch and numpy alone

    from initdist.workers.launching import ENVIRONMENT

    if device != "cpu":
        return {role: Contestant(1, 1, {}) for role in ("stacked", "plain", "products")}
    return {
        "stacked": Contestant(cores, 1, ENVIRONMENT),
        "plain": Contestant(cores, 1, {}),
        "threads": Contestant(1, cores, {}),
        "products": Contestant(cores, 1, ENVIRONMENT),
    }


def measure(case: dict[str, Any], field: dict[str, Contestant], rounds: int) -> dict[str, Any]:
    """Medians of a case over the rounds, and of the ratios within each round."""
    taking = {role: one for role, one in field.items() if role != "products" or case["model"] == "mlp"}
    for role, one in taking.items():
        one.set_up({**case, "role": role})
    turns: dict[str, list[float]] = {role: [] for role in taking}
    for _ in range(rounds):
        for role, one in taking.items():
            turns[role].append(one.turn())
    if case["model"] == "mlp" and case["device"] != "cpu":
        turns["limit"] = [steps_at_best(case, *field["products"].limits())] * rounds
    median = {role: statistics.median(values) for role, values in turns.items()}
    against = {
        role: statistics.median(a / b for a, b in zip(turns["stacked"], values, strict=True))
        for role, values in turns.items()
        if role != "stacked"
    }
    return {**case, "steps_per_second": median, "ratio": against}


def name(row: dict[str, Any]) -> str:
    return f"{row['model']} {row['width']}" + (", compiled" if row["compiled"] else "")


def line(row: dict[str, Any]) -> str:
    rate, ratio = row["steps_per_second"], row["ratio"]
    own = 1e3 / rate["stacked"]
    products = f"{1 / ratio['products']:.2f}" if "products" in ratio else "-"
    threads = f"{ratio['threads']:.2f}" if "threads" in ratio else "-"
    limit = f"{1 / ratio['limit']:.2f}" if "limit" in ratio else "-"
    return (
        f"| {name(row)} | {row['stack']} | {rate['stacked']:,.0f} | {own:.3f} | {rate['plain']:,.0f} "
        f"| {ratio['plain']:.2f} | {threads} | {products} | {limit} |"
    )


HEAD = (
    "| network | stack | networks x steps / s | ms each | plain loop / s "
    "| x plain | x plain, all threads | time / products | time / limit |\n|---|---|---|---|---|---|---|---|---|"
)


def main(arguments: Sequence[str] | None = None, kept: Callable[[], None] = lambda: None) -> None:
    """Measure and print; with --json written after each row, and `kept` called then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--widths", default="64,256,1024,4096", help="of the MLPs")
    parser.add_argument("--channels", default="16", help="of the convolutional networks; empty for none")
    parser.add_argument("--stacks", default="1,4,16,64,256", help="networks in the stack of one process")
    parser.add_argument("--parameters", type=float, default=3e7, help="leave out stacks of more parameters than this")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="of one turn")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="what counts as time")
    parser.add_argument("--compiled", default="", help="widths of the MLPs to measure with numerics.compile as well")
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args(arguments)
    field = contestants(chosen.device, cores.usable())
    if chosen.clock == "processor" and "threads" in field:  # the sum of all its threads' is not what one waits for
        field.pop("threads").close()
    stacks = [int(n) for n in chosen.stacks.split(",")]
    cases = [("mlp", int(w), False) for w in chosen.widths.split(",") if w]
    cases += [("mlp", int(w), True) for w in chosen.compiled.split(",") if w]
    cases += [("cnn", int(w), False) for w in chosen.channels.split(",") if w]
    print(HEAD, flush=True)
    rows = []
    for model, width, compiled in cases:
        size = 784 * width + width**2 + 10 * width if model == "mlp" else 8000
        for n in stacks:
            if n > 1 and n * size > chosen.parameters:
                continue
            case = {
                "model": model,
                "width": width,
                "stack": n,
                "device": chosen.device,
                "compiled": compiled,
                "clock": chosen.clock,
                "seconds": chosen.seconds,
            }
            rows.append(measure(case, field, chosen.rounds))
            print(line(rows[-1]), flush=True)
            if chosen.json:
                found = {"machine": machine(chosen.device), "clock": chosen.clock, "rows": rows}
                chosen.json.write_text(json.dumps(found, indent=1))
                kept()
    for one in field.values():
        one.close()


if __name__ == "__main__":
    main()
