"""Hydra's own ways: other sweepers, its callbacks, its logs, programs that use it themselves."""

import pickle
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.version import getbase

from initdist import network_configs
from initdist.cli.compose import composed
from tests.command import TINY, by_identity, in_process, runs, with_store

CALLBACK = "+hydra.callbacks={{one:{{_target_:hydra.experimental.callbacks.{}}}}}".format
SMALL = (*TINY, "model.width=4")


def test_a_sweeper_of_another_package_trains_each_job_and_is_told_its_objective(tmp_path):
    sweep = (*SMALL, "hydra/sweeper=basic", "objective=epochs")
    done = in_process(with_store(tmp_path), "-m", *sweep, "seed=0,1", CALLBACK("LogJobReturnCallback"))
    assert len(by_identity(tmp_path)) == 2
    assert [one.info.status for one in runs(tmp_path, "sweep")] == ["FINISHED", "FINISHED"]
    logs = "".join(file.read_text() for file in tmp_path.glob("multirun/*/*/*/train.log"))
    assert logs.count("Succeeded with return value: 2.0") == 2
    assert done.stdout.count("1 network: 1 finished") == 2


def test_its_job_that_fails_is_an_error_of_that_job(tmp_path):
    """Hydra says which job it was, and then why."""
    done = in_process(
        with_store(tmp_path),
        "-m",
        *SMALL,
        "hydra/sweeper=basic",
        "seed=0,1",
        "loss=squared_error",
        "noise.level=2",
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "initdist: noise.level must be between 0 and 1, got 2.0"
    sweeper = ("hydra/sweeper=basic", "tracking.sweep=abc")
    done = in_process(tmp_path, "-m", *SMALL, *sweeper, "seed=0,1", check=False)
    assert "tracking.sweep is set by the sweeper and must not be set by hand" in done.stderr.splitlines()[-1]


@pytest.mark.filterwarnings("ignore:Experimental rerun")
def test_a_job_that_hydra_kept_is_run_again(tmp_path):
    keep = CALLBACK("PickleJobInfoCallback")
    in_process(with_store(tmp_path), *SMALL, keep)
    in_process(tmp_path, "-m", *SMALL, "seed=1,2", keep)
    for kept, networks in (("outputs/*/*/.hydra", 1), ("multirun/*/*/0/.hydra", 2)):
        (file,) = tmp_path.glob(f"{kept}/config.pickle")
        done = in_process(tmp_path, "--experimental-rerun", str(file))
        assert f"{networks} network" in done.stdout
        assert f"0 finished (0 diverged), {networks} skipped (finished before)" in done.stdout
    assert len(runs(tmp_path)) == 3
    (tmp_path / "junk.pickle").write_bytes(b"junk")
    done = in_process(tmp_path, "--experimental-rerun", "junk.pickle", check=False)
    assert done.stderr.startswith("initdist: --experimental-rerun must be the config.pickle of a job that this version")


def test_a_composed_config_can_be_pickled():
    one = composed("model=cnn", "vary.seed=[1,2]")
    assert pickle.loads(pickle.dumps(one)) == one


def test_logs_and_folders_of_hydra_can_be_left_out(tmp_path):
    quiet = ("hydra/job_logging=disabled", "hydra/hydra_logging=disabled", "hydra.output_subdir=null")
    in_process(with_store(tmp_path), *SMALL, "hydra.mode=MULTIRUN", "seed=0,1", *quiet)
    in_process(tmp_path, *SMALL, "seed=2", "hydra/job_logging=none", "hydra.verbose=true")
    assert len(by_identity(tmp_path)) == 3


def test_configs_are_composed_within_a_program_that_uses_hydra(tmp_path, monkeypatch):
    monkeypatch.setitem(ConfigStore.instance().repo, "schema", {})
    (tmp_path / "theirs.yaml").write_text("defaults: [schema/root, _self_]\na: 1\n")
    ConfigStore.instance().store(group="schema", name="root", node={"b": 2}, package="_global_")
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        before = GlobalHydra.instance(), GlobalHydra.instance().hydra, getbase()
        assert [config.seed for config in network_configs("vary.seed=[3,4]")] == [3, 4]
        with pytest.raises(Exception, match=re.escape("model.widht")):
            network_configs("model.widht=3")
        assert (GlobalHydra.instance(), GlobalHydra.instance().hydra, getbase()) == before
        assert compose("theirs") == {"a": 1, "b": 2}
    assert not GlobalHydra.instance().is_initialized()
