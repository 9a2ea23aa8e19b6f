"""The old names of modules still lead to them, with a warning."""

import importlib
import sys

import pytest

from initdist import _moved


@pytest.fixture(autouse=True)
def _forgotten():
    """As in a process that has not imported an old name yet."""
    yield
    for name in [name for name in sys.modules if _moved.new_name(name)]:
        sys.modules.pop(name)


@pytest.mark.parametrize(("old", "new"), _moved.MOVED.items())
def test_an_old_name_gives_what_the_new_one_has(old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new}"):
        module = importlib.import_module(old)
    now = importlib.import_module(new)
    for name in dir(now):
        assert name.startswith("__") or getattr(module, name) is getattr(now, name)


def test_the_warning_names_the_file_that_imports():
    from initdist.config import rules

    with pytest.warns(DeprecationWarning, match="initdist.rules is now") as told:
        from initdist.rules import at_least
    assert at_least is rules.at_least
    assert [warning.filename for warning in told] == [__file__]


def test_no_old_name_hides_a_module():
    for old in _moved.MOVED:
        assert type(importlib.util.find_spec(old).loader) is _moved.Finder


def test_an_unknown_name_is_still_unknown():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("initdist.nowhere")
