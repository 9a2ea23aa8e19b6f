"""Radii as multiples of a free network's distance: looked up, refused where it is missing, and the arms of a sweep."""

from __future__ import annotations

import shlex

import pytest

from initdist import names
from initdist.api import load_network, network_configs, train_networks
from initdist.errors import ConfigError
from tests.command import TINY, in_process, runs, with_store

OWN = ("model.width=8", "optimizer.lr=0.5", *TINY)
FREE = ("-m", "seed=0,1", *OWN)
ARMS = ("constraint=init_ball", "constraint.of_free=0.5,0.92")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two free networks and, of each, two in balls."""
    folder = with_store(tmp_path_factory.mktemp("free"))
    in_process(folder, *FREE)
    printed = in_process(folder, *FREE, *ARMS).stdout
    return folder, printed


def free_and_held(folder):
    held = {}
    for one in runs(folder):
        held.setdefault(one.data.params["seed"], {})[one.data.params["constraint.of_free"]] = one
    return held


def test_a_radius_is_a_multiple_of_the_same_networks_own_distance(trained):
    folder, printed = trained
    assert "1 job of 4 networks (4 in all); 4 to train" in printed  # one stack, whatever the radii
    for each in free_and_held(folder).values():
        free = each["None"].data.metrics[names.DISTANCE]
        for times in (0.5, 0.92):
            one = each[str(times)]
            assert float(one.data.params["constraint.radius"]) == times * free
            assert one.data.metrics[names.DISTANCE] == pytest.approx(times * free, rel=1e-5)
            assert one.info.run_name.endswith(f"init_ball of_free={times}")
            assert one.data.tags[names.THETA0] == each["None"].data.tags[names.THETA0]


def test_the_number_is_the_identity_wherever_it_came_from(trained):
    folder, _ = trained
    radius = free_and_held(folder)["1"]["0.92"].data.params["constraint.radius"]
    shown = in_process(folder, *OWN, "seed=1", "constraint=init_ball", f"constraint.radius={radius}", "dry_run=true")
    assert "0 to train, 1 finished before" in shown.stdout
    shown = in_process(folder, *FREE, *ARMS, "dry_run=true")
    assert "0 to train, 4 finished before" in shown.stdout


def test_its_run_can_be_measured_and_loaded(trained):
    folder, _ = trained
    where = ("where.constraint.name=init_ball", "where.constraint.of_free=0.5")
    done = in_process(folder, *where, "measures=rescaled_distance", module="initdist.measure")
    assert "2 networks: 2 lack measures" in done.stdout
    one = free_and_held(folder)["0"]["0.5"]
    assert one.data.metrics["measure/rescaled_distance"] > 2 * one.data.metrics[names.DISTANCE]
    module, initial = load_network(one.info.run_id, f"sqlite:///{folder / 'mlflow.db'}")
    pairs = zip(module.parameters(), initial.parameters(), strict=True)
    moved = sum((p - q).detach().square().sum().item() for p, q in pairs) ** 0.5
    assert moved == pytest.approx(one.data.metrics[names.DISTANCE], rel=1e-5)


def refused(folder, *arguments):
    done = in_process(folder, *arguments, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


def test_a_network_that_was_never_trained_is_refused_with_the_command_that_trains_it(trained, tmp_path):
    folder, _ = trained
    line = refused(folder, *FREE, *ARMS, "noise.level=0.5")
    assert "constraint.of_free must be of a network that has finished without constraint, got 0.5 of mlp w8" in line
    assert "p0.5 s0 and 3 more: experiment 'initdist' of sqlite:///" in line
    command = shlex.split(line.partition("Train it first: ")[2])
    assert command == ["python", "-m", "initdist.train", *FREE, "noise.level=0.5", "constraint=none"]
    shown = in_process(folder, *command[3:], "dry_run=true")
    assert "2 networks, 2 to train" in shown.stdout
    line = refused(tmp_path, *OWN, *ARMS[:1], "constraint.of_free=0.5")
    assert "must be a store that is there" in line
    assert list(tmp_path.glob("mlflow.db*")) == []


def test_from_python_there_is_no_store_to_look_it_up_in():
    (config,) = network_configs(*OWN, "constraint=init_ball", "constraint.of_free=0.5")
    with pytest.raises(ConfigError, match=r"^constraint\.of_free must be looked up in a tracking store, got 0\.5"):
        train_networks([config], progress=False)


def test_the_arms_of_an_experiment(trained):
    """Grids of their own beside the parameters; with the constraint on the command line they are one."""
    folder, _ = trained
    small = (
        "experiment=intervention",
        "tracking.experiment=initdist",
        "dataset=digits",
        "noise.level=0",
        "model.width=8",
        "seed=0,1",
        "dry_run=true",
    )
    small += tuple(one for one in OWN if not one.startswith("model.width"))
    shown = in_process(folder, *small, "constraint=none").stdout
    assert "1 job of 2 networks (2 in all)" in shown
    assert "dry run: 2 networks, 0 to train, 2 finished before" in shown
    shown = in_process(folder, *small).stdout
    assert "4 jobs of 2 to 6 networks (20 in all)" in shown
    assert "dry run: 20 networks, 16 to train, 4 finished before" in shown
