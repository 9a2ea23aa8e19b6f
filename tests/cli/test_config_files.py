"""Files of the configuration that cannot be read, or say what cannot be: one line that names file, line and rule."""

import pytest

from tests.command import in_process

GLOBAL = "# @package _global_\n"
FAULTS = {
    "a tab": (GLOBAL + "model:\n\twidth: 12\n", "line 3: must be indented with spaces, got a tab"),
    "a key twice": (GLOBAL + "model:\n  width: 1\n  width: 2\n", "line 4: must have each key once, got width again"),
    "Latin-1": (GLOBAL.encode() + b"# gr\xfcn\n", "line 2: must be UTF-8, got the byte 0xfc; save the file as UTF-8"),
    "a control character": (GLOBAL + "model: \0\n", "line 2: must have no control characters, got '\\x00'"),
    "an open bracket": (GLOBAL + "seed: [1\nhistory: 3\n", "line 3: must be YAML: expected ',' or ']', but got ':'"),
    "an unknown alias": (GLOBAL + "seed: *one\n", "line 2: must be YAML: found undefined alias 'one'"),
    "a list": ("- model\n", "line 1: must have keys with their values at its top, as in `model:`, got a list"),
    "a number": ("12\n", "line 1: must have keys with their values at its top, as in `model:`, got a number"),
    "nothing": ("", "line 1: must begin with `# @package _global_`, got an empty file"),
    "no package": ("model:\n  width: 12\n", "line 1: must begin with `# @package _global_`, got 'model:'"),
    "a byte order mark": ("\ufeff" + GLOBAL, "line 1: must begin with `# @package _global_`, without the byte order"),
    "a typo": (
        GLOBAL + "model:\n  widht: 1\n",
        "line 3: model.widht must be a key of the config; did you mean model.w",
    ),
    "a wrong type": (GLOBAL + "seed: two\n", "line 2: seed must be a whole number: Value 'two' of type 'str'"),
    "another group": (
        GLOBAL + "defaults:\n  - model: cnn\n",
        ": Could not find 'experiment/model/cnn'; of another group: `override /model: NAME`",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path, name):
    text, message = FAULTS[name]
    file = tmp_path / "own" / "experiment" / "one.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = in_process(tmp_path, "--config-dir", "own", "experiment=one", check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"initdist: {file}" if "line" in message else "initdist: experiment/one.yaml: ")
    assert message in line
    assert not (tmp_path / "mlflow.db").exists()


def test_so_is_one_in_a_sweep_and_one_of_the_analysis(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "own.yaml").write_text("name: mlp\nwidth: [\n")
    where = f"{tmp_path}/model/own.yaml, line 3: must be YAML: "
    done = in_process(tmp_path, "-m", f"hydra.searchpath=[file://{tmp_path}]", "model=mlp,own", check=False)
    assert done.stderr.startswith(f"initdist: {where}")
    (tmp_path / "mine.yaml").write_text("defaults:\n  - analysis\n  - _self_\nout: 1\nout: 2\n")
    arguments = ("--config-dir", str(tmp_path), "--config-name", "mine")
    done = in_process(tmp_path, *arguments, module="multirun_analysis.__main__", check=False)
    assert done.returncode == 1
    assert done.stderr == f"initdist: {tmp_path}/mine.yaml, line 5: must have each key once, got out again\n"


def test_flags_that_do_not_go_together_are_refused_in_one_line(tmp_path):
    for flags, message in {
        ("--resolve",): "The --resolve flag can only be used in conjunction with --cfg or --help",
        ("--cfg", "job", "-m"): "Only one of --run, --multirun, --cfg, --info and --shell_completion can be specified",
        ("--config-dir", "away"): f"Additional config directory '{tmp_path}/away' not found",
        ("--config-name", "away"): "Cannot find primary config 'away'. Check that it's in your config search path.",
        ("hydra.nope=1",): "hydra.nope must be a key of the config, got hydra.nope=1; --cfg hydra shows those that",
    }.items():
        done = in_process(tmp_path, *flags, check=False)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"initdist: {message}")
