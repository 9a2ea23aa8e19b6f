"""`where.KEY=VALUE`: one language for the commands and for the analysis."""

from __future__ import annotations

import math
import re

import pytest

from initdist.cli.conditions import meets
from initdist.cli.overrides import in_full, quoted
from initdist.cli.where import matches
from initdist.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "wanted", "met"),
    [
        ("64", 64, True),
        ("64.0", "64", True),
        (64.0, [16, 64], True),
        ("64", [16, 32], False),
        ("0.25", "<0.5", True),
        ("0.5", "<0.5", False),
        ("0.5", "<=0.5", True),
        ("128", ">=64", True),
        ("relu", "<0.5", False),
        ("True", True, True),
        ("true", "True", True),
        ("None", None, True),
        (math.nan, None, True),
        ("mnist", ["digits", "mnist"], True),
        ("mnist", "digits", False),
        ("8", ["<4", ">6"], True),
    ],
)
def test_a_param_meets_a_value_one_of_several_or_a_limit(text: object, wanted: object, met: bool) -> None:
    assert meets(text, wanted) is met


def test_a_limit_must_be_a_number() -> None:
    with pytest.raises(ConfigError, match=re.escape("<x: < must be followed by a number, got 'x'")):
        meets("1", "<x")


def test_a_command_means_networks_within_a_limit() -> None:
    params = {"noise.level": "0.25", "model.width": "64"}
    assert matches(params, {"noise.level": ["<0.5"], "model.width": [64, 256]})
    assert not matches(params, {"noise.level": [">0.5"]})


def test_a_limit_is_written_as_hydra_reads_a_text() -> None:
    assert in_full("where.noise.level=<0.5") == 'where.noise.level="<0.5"'
    assert quoted('say "5\\') == r'"say \"5\\"'
    assert quoted("it's 5") == '"it\'s 5"'
    assert quoted([1, "a b", None, True]) == '[1,"a b",null,true]'
    assert quoted("null") == '"null"'
    assert quoted("1e5") == '"1e5"'
    assert quoted("0a3c96c02814") == "0a3c96c02814"
    assert quoted("sqlite:///a.db") == "sqlite:///a.db"
