"""The URI of the store among what a command is given: its secrets are hidden before anybody can read them there.

An argument is in the list of processes, in Hydra's files and in its log; what a file of the config says is in Hydra's
files. There the URI is masked, and the whole one goes on in the environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write

from initdist.cli.overrides import quoted
from initdist.errors import ConfigError
from initdist.secrets import MASK, VARIABLE, masked, passed_on, secrets_in

KEY, SHOWN = "tracking.uri", "tracking.ui_url"
_INTERPOLATION = re.compile(r"\$\{[^}]*\}")


def hide(how: Callable[[str], str]) -> None:
    """Hide the secrets in this command's arguments, each by `how`. If the list of processes shows them, this process
    begins anew without them. Ends it with one line where that cannot be done."""
    given = sys.argv[1:]
    try:
        shown = [how(argument) if "://" in argument else argument for argument in given]
    except ConfigError as error:
        sys.exit(f"initdist: {error}")
    if shown == given:
        return
    sys.argv[1:] = shown
    own = sys.orig_argv[: len(sys.orig_argv) - len(given)]
    if [*own, *given] == sys.orig_argv:
        os.execv(sys.executable, [sys.executable, *own[1:], *shown])


def option(argument: str) -> str:
    """An argument such as `--uri=URI` or `URI`, without secrets."""
    found = re.fullmatch(r"(--\w+=)?(\w[\w+.-]*://.*)", argument, re.DOTALL)
    return (found[1] or "") + passed_on(found[2]) if found else masked(argument)


def override(argument: str) -> str:
    """An override of Hydra's, without secrets of a store. Raises ConfigError where these cannot be told apart."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, _, text = argument.partition("=")
    uri = text.strip("'\"")
    if not re.match(r"\+*(tracking|hydra\.sweeper)\b", key) or not _has_secret(uri):
        return argument
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:
        value = None
    name = key.lstrip("+")
    if name not in (KEY, SHOWN) or not isinstance(value, str) or _INTERPOLATION.search(value):
        raise ConfigError(
            f"a store with a password must be given in {VARIABLE}, or as \"{KEY}='URI'\", got {key}={masked(uri)}"
        )
    return f"{key}={quoted(passed_on(value) if name == KEY else masked(value))}"


def hide_in(config: DictConfig) -> str:
    """Hide the secrets of the store's URI in a composed config, wherever it has it from: the masked one, or nothing."""
    params: Any = OmegaConf.select(config, "hydra.sweeper.params")
    swept = str((params or {}).get(KEY, "")).strip("'\"")
    if _has_secret(swept):
        with read_write(params):
            params[KEY] = quoted(passed_on(swept))
    tracking = config.tracking
    if not _has_secret(str(OmegaConf.to_container(tracking)["uri"])):  # type: ignore[call-overload,index]
        return ""
    with read_write(tracking):
        tracking.uri = passed_on(str(tracking.uri))
    return str(tracking.uri)


class Hidden(Callback):
    """Called by Hydra before it writes its files; in a multirun also before it makes the sweeper."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        hide_in(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        hide_in(config)


def _has_secret(uri: str) -> bool:
    """Whether a URI has one written out; what OmegaConf fetches from elsewhere is none."""
    return bool(secrets_in(_INTERPOLATION.sub(MASK, uri)))
