"""A training process: owns one device, trains or measures the stacks it is sent, and sends back events.

On the CPU it uses one thread, which makes a network's result independent of the stack it trains in.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from initdist import provenance, retry
from initdist.config import families
from initdist.config.schema import Config
from initdist.data import datasets
from initdist.errors import ConfigError, DatasetError, DeviceError, UserError
from initdist.events import ENDING, Done, Failed, Leave, MeasureTask, Progress, Started, Task, ToTrain
from initdist.stacks import constraints, linearized, memory, optim, outline, stack, weights
from initdist.training import checkpoint, epochs, job, measuring, observer
from initdist.training.checkpoint import State

# Parameters, or activations of a batch, of one CPU stack: beyond this they leave the cache, and two smaller stacks are
# faster.
CPU_STACK_VALUES = 2_000_000
# Networks that are computed one by one anyway: as many as one likes to wait for.
SEPARATE_STACK = 16
CUDA_MEMORY_SHARE = 0.4
# Convolutions of several networks are one with groups, which costs more for each the more there are.
CUDA_CONVOLUTIONS = 32

CODE = provenance.code()  # at the import: what is edited later is not what trains here


def serve(connection: Connection, device: str) -> None:
    """Run until the connection closes. Signals that ask a command to end are the parent's to handle."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    torch.set_num_threads(1)
    try:
        while True:
            message = connection.recv()
            if isinstance(message, Task):
                _train(connection, message, device)
            elif isinstance(message, MeasureTask):
                _measure(connection, message, device)
            elif isinstance(message, Leave):  # it has just done what it was to leave
                continue
            else:
                question, config = message
                connection.send(_answered(question, config, device))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the parent is gone or has no more work


def _end_with_parent() -> None:
    """A stack whose parent was killed must not go on beside the command that follows."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)


def _answered(question: str, config: Config | None, device: str) -> int | str | UserError:
    """The answer, or why there is none: what a user can mend, or the traceback of anything else."""
    try:
        return _answer(question, config, device)
    except UserError as error:
        return error.with_traceback(None)
    except Exception as error:
        line = families.blame(error)
        return ConfigError(line) if line else traceback.format_exc()


def _answer(question: str, config: Config | None, device: str) -> int:
    if question == "cuda devices":
        # With a driver that is too old for this PyTorch devices are counted all the same; it says so by itself.
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if question == "usable":
        _used(device)
        return 1
    assert question == "capacity"
    assert config is not None
    return capacity(config, _used(device))


def _used(name: str) -> torch.device:
    """The device, made the one that CUDA's calls without a device mean. Raises DeviceError if it cannot be used."""
    device = torch.device(name)
    if device.type == "cuda":
        try:
            torch.cuda.set_device(device)
            torch.zeros(1, device=device)
        except (RuntimeError, torch.OutOfMemoryError) as error:
            why = next(iter(str(error).splitlines()), "")
            raise DeviceError(f"device must be one that can be used, got {name}: {why}; see nvidia-smi") from None
    return device


def capacity(config: Config, device: torch.device) -> int:
    """How many networks of this shape one stack should hold on a device."""
    job.check_options()  # the first that is asked of a process, before anything is trained
    about = datasets.describe(config.dataset)
    module = outline.module(config.model, about.input_shape, about.classes)
    job.check_results(config, module, about)
    parameters, activations = outline.parameters(module), outline.activations(module, about.input_shape)
    activations *= linearized.passes(config.model)
    batch = config.optimizer.batch_size or config.dataset.train_size
    if stack.separate(module, device):
        return SEPARATE_STACK
    if device.type == "cpu":
        return max(1, CPU_STACK_VALUES // max(parameters * linearized.passes(config.model), batch * activations))
    free, _ = torch.cuda.mem_get_info(device)
    room = int(free * CUDA_MEMORY_SHARE) // cuda_bytes(config, parameters, activations, about.input_shape)
    return max(1, min(room, CUDA_CONVOLUTIONS) if stack.convolves(module) else room)


def cuda_bytes(config: Config, parameters: int, activations: int, input_shape: tuple[int, ...]) -> int:
    """What a network of a stack takes of a CUDA device's memory, beside its training inputs.

    Its initial and its current parameters; the initial ones of those that are left, for a constraint on the way from
    them; what the optimizer keeps; two copies of both, where a captured step is held
    against the launched one; and twice what a step needs for a while, since a graph has memory of its own: gradients
    with their transients, a batch, and what each layer leaves behind on the ways there and back. A linearized one also
    needs how far it is from its initial parameters.
    """
    slots = len(optim.OPTIMIZERS[config.optimizer.name].slots)
    batch = min(config.optimizer.batch_size or config.dataset.train_size, epochs.ROWS)
    centre = constraints.CONSTRAINTS[config.constraint.name].centre == constraints.INIT
    kept = (2 + centre + slots) + 2 * (1 + slots)
    transients = 1 + linearized.passes(config.model)
    return 4 * (kept * parameters + 2 * (transients * parameters + batch * (math.prod(input_shape) + 3 * activations)))


def _train(connection: Connection, task: Task, name: str) -> None:
    waiting = [list(task.networks)]  # stacks still to train: the task's own, and its halves
    try:
        if not task.part:
            connection.send(Started(tuple(network.identity for network in task.networks)))
        device = _used(name)
        _check_data(task)
        while waiting:
            left = waiting.pop(0)
            states = [_state(network) for network in left]
            if len(alike := _alike(left, states)) > 1:
                waiting[:0] = alike
                continue
            try:
                if not _train_stack(connection, left, states, device):
                    break
            except Exception as error:
                if not memory.exhausted(error) or len(left) == 1:
                    waiting.insert(0, left)
                    raise
                waiting[:0] = [left[: len(left) // 2], left[len(left) // 2 :]]
            if device.type == "cuda":
                torch.cuda.empty_cache()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # whatever went wrong in one stack must not take the others with it
        connection.send(Failed(tuple(network.identity for part in waiting for network in part), _why(error)))
    connection.send(Done())


def _why(error: Exception) -> str:
    """Within an except clause: what a user is to read."""
    if isinstance(error, UserError):
        return str(error)
    return "\n".join(filter(None, (families.blame(error), traceback.format_exc())))


def _measure(connection: Connection, task: MeasureTask, name: str) -> None:
    left = {network.identity for network in task.networks}
    try:
        for event in measuring.afterwards(task, _used(name)):
            connection.send(event)
            left.discard(event.network)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        connection.send(Failed(tuple(sorted(left)), _why(error)))
    connection.send(Done())


def _check_data(task: Task) -> None:
    """Raises DatasetError if the data is no longer what the networks' identities were made from."""
    found = datasets.describe(task.networks[0].config.dataset)
    if task.fingerprint and found.fingerprint != task.fingerprint:
        raise DatasetError(
            f"dataset {found.name} must stay as it was when the command began, got other content in {found.source}"
        )


def _state(network: ToTrain) -> State | None:
    """Where a network stood when it was last written down; None for one that begins."""
    if not network.checkpoint:
        return None
    file = Path(network.checkpoint)
    try:
        return checkpoint.load(file, network.identity)
    except checkpoint.CheckpointError as error:
        print(f"initdist: {error}. The network is trained from its beginning", file=sys.stderr, flush=True)
        file.unlink(missing_ok=True)
        return None


def _alike(networks: Sequence[ToTrain], states: Sequence[State | None]) -> list[list[ToTrain]]:
    """Those that are equally far and take the same kind of step: these can train as one stack."""
    alike: dict[tuple[int, bool], list[ToTrain]] = {}
    for network, state in zip(networks, states, strict=True):
        key = state.epoch if state else 0, optim.descends(network.config)
        alike.setdefault(key, []).append(network)
    return list(alike.values())


def _train_stack(connection: Connection, left: list[ToTrain], states: list[State | None], device: torch.device) -> bool:
    """Train networks as one stack, and take from the list what has ended. False where the parent wants it left."""
    networks = tuple(left)
    configs = [network.config for network in networks]
    every = 60 * configs[0].checkpoint.every_minutes if networks[0].checkpoint else 0.0
    ended: list[Leave] = []

    def leave() -> bool:
        if connection.poll():  # nothing else is said to a process that trains
            ended.append(connection.recv())
        return bool(ended)

    for event in job.train(configs, device, [state for state in states if state], every, leave):
        if isinstance(event, job.Epoch):
            losses = {networks[i].identity: loss for i, loss in event.batch_loss.items()}
            connection.send(Progress(event.epoch, losses))
            continue
        network, code = networks[event.network], _codes(states[event.network])
        if isinstance(event, observer.Kept):
            if not _keep(network, event.state, code):
                ended = [one for one in ended if not one.to_divide]
            continue
        if network.weights:
            file, seconds = Path(network.weights), configs[0].tracking.patience
            retry.stored(partial(weights.save, event.parameters, event.result.theta0, file), seconds, file)
        connection.send(replace(event.result, network=network.identity, code=code, device=_model(device)))
        left.remove(network)
    return not ended


def _model(device: torch.device) -> str:
    """What a run says of the device: `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _codes(state: State | None) -> str:
    """The code of all that trained a network, from its beginning on."""
    before = str(state.record.get("code", CODE)).split("+") if state else []
    return "+".join(dict.fromkeys([*before, CODE]))


def _keep(network: ToTrain, state: State, code: str) -> bool:
    """Write a network down; whether it could be. Where the disk is full that is said, and its training goes on."""
    file = Path(network.checkpoint)
    try:
        checkpoint.save(file, network.identity, replace(state, record=state.record | {"code": code}))
    except OSError as error:
        if not retry.is_full(error):
            raise
        print(f"initdist: no checkpoint {file}: {error.strerror}. Its training goes on", file=sys.stderr, flush=True)
        return False
    return True
