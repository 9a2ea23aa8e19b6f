"""How many cores there are for a process, by what a system's files and SLURM's variables say."""

import os

import pytest

from initdist import cores

MOUNTS = """\
22 28 0:21 / /proc rw,nosuid shared:5 - proc proc rw
30 24 0:26 {root} {here}/two rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
31 24 0:27 {root} {here}/one,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 24 0:28 {root} {here}/set rw shared:11 - cgroup cgroup rw,cpuset
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """64 cores that any process may run on, and no word of SLURM's. Sets what the system's files say."""
    monkeypatch.setattr(cores, "_PROC", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)

    def says(group, root, files):
        (tmp_path / "cgroup").write_text(group)
        (tmp_path / "mountinfo").write_text(MOUNTS.format(root=root, here=tmp_path))
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    return says


def test_without_limits_a_process_may_use_the_cores_that_it_may_run_on(machine):
    assert cores.usable() == 64  # no such files: no Linux
    machine("0::/user.slice/me\n", "/", {"two/user.slice/me/cpu.max": "max 100000\n"})
    assert cores.usable() == 64


@pytest.mark.parametrize(
    ("group", "root", "files", "expected"),
    [
        ("0::/", "/", {"two/cpu.max": "200000 100000\n"}, 2),
        ("0::/", "/", {"two/cpu.max": "50000 100000\n"}, 1),
        ("0::/", "/", {"two/cpu.max": "150000 100000\n"}, 2),
        # of the groups around a process the tightest counts, and no other
        ("0::/a/b", "/", {"two/a/cpu.max": "300000 100000", "two/a/b/cpu.max": "max 100000"}, 3),
        ("0::/a/b", "/", {"two/a/cpu.max": "300000 100000", "two/a/b/cpu.max": "100000 100000"}, 1),
        ("0::/a/b", "/", {"two/a/c/cpu.max": "100000 100000", "two/ab/cpu.max": "100000 100000"}, 64),
        # version 1: in a container its own group is what is mounted
        (
            "4:cpu,cpuacct:/docker/x\n3:cpuset:/docker/x",
            "/docker/x",
            {"one,cpuacct/cpu.cfs_quota_us": "400000", "one,cpuacct/cpu.cfs_period_us": "100000"},
            4,
        ),
        (
            "4:cpu,cpuacct:/docker/x",
            "/docker/xy",
            {"one,cpuacct/cpu.cfs_quota_us": "-1", "one,cpuacct/cpu.cfs_period_us": "100000"},
            64,
        ),
        # both versions at once; `cpuset` is not `cpu`
        (
            "5:cpuset:/\n1:cpu:/slurm\n0::/",
            "/",
            {
                "two/cpu.max": "1000000 100000",
                "one,cpuacct/slurm/cpu.cfs_quota_us": "600000",
                "one,cpuacct/slurm/cpu.cfs_period_us": "100000",
                "set/cpu.max": "100000 100000",
            },
            6,
        ),
    ],
)
def test_a_quota_of_a_cgroup_limits_them(machine, group, root, files, expected):
    machine(group, root, files)
    assert cores.usable() == expected


def test_what_slurm_allots_limits_them_where_it_binds_no_processes(machine, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "8")
    assert cores.usable() == 8
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    assert cores.usable() == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert cores.usable() == 2
    machine("0::/", "/", {"two/cpu.max": "100000 100000"})
    assert cores.usable() == 1
