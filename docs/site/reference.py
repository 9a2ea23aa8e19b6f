"""Reference pages of what the code declares: config keys, names in MLflow, columns of runs.csv, commands."""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import omegaconf

from initdist.cli import compose
from initdist.config import schema
from initdist.paths import conf_dir

CONF = Path(conf_dir())
GROUPS = ("model", "dataset", "noise", "loss", "optimizer", "constraint", "measures")


def pages() -> dict[str, str]:
    """Name -> Markdown."""
    return {"config": config(), "mlflow": mlflow(), "python": python()}


# --- config keys -----------------------------------------------------------------------------------------------------


def config() -> str:
    """Every config key: its default, what may be given, and what it means, as the files in conf/ say it."""
    parts = [
        "# Config keys",
        "Set any key on the command line: `model.width=64`. With `-m`, several values make a sweep: "
        "`-m model.width=64,256`. `python -m initdist.train --help` prints the same keys with their values.",
        "A key marked * is no part of a network's [identity](../glossary.md#networks-and-data): a change of it trains "
        "nothing anew.",
    ]
    for group in GROUPS:
        parts += [f"## {group}", *_group(group)]
    said = comments(CONF / "config.yaml")
    for name, node in _sections():
        parts += [f"## {name}", table(_rows(node, f"{name}.", said, compose_defaults(name)))]
    parts += ["## Top level", table(_rows(schema.Config, "", said, compose_defaults("")))]
    parts += ["## Experiments", "Sweeps kept in `conf/experiment/`: `python -m initdist.train experiment=NAME`."]
    parts.append(_experiments())
    return "\n\n".join(parts) + "\n"


def _sections() -> Iterator[tuple[str, type]]:
    hints = get_type_hints(schema.Config)
    for spec in fields(schema.Config):
        if is_dataclass(hints[spec.name]) and spec.name not in GROUPS:
            yield spec.name, hints[spec.name]


def _group(group: str) -> Iterator[str]:
    choices = sorted((CONF / group).glob("*.yaml"))
    lines = [f"- `{group}={file.stem}`: {purpose(file)}" for file in choices]
    yield "\n".join(lines)
    hints = get_type_hints(schema.Config)
    nodes = compose.chosen().get(group) or {"": hints[group]}
    said: dict[str, str] = {}
    defaults: dict[str, dict[str, Any]] = {}
    first = _chosen_first(group, choices)
    for file in first:
        for key, comment in comments(file).items():
            said.setdefault(key, comment)
        for key, value in loaded(file).items():
            defaults.setdefault(key, {})[file.stem] = value
    rows: dict[str, tuple[str, ...]] = {}
    for node in nodes.values():
        for row in _rows(node, f"{group}.", {f"{group}.{key}": text for key, text in said.items()}, defaults):
            rows.setdefault(row[0], row)
    yield table(rows.values())


def _chosen_first(group: str, choices: list[Path]) -> list[Path]:
    """The default choice, whose comments speak for all, before the others."""
    listed = omegaconf.OmegaConf.load(CONF / "config.yaml")["defaults"]
    default = next(entry[group] for entry in listed if group in entry)
    return sorted(choices, key=lambda file: file.stem != default)


def _rows(
    node: type, prefix: str, said: dict[str, str], defaults: dict[str, Any]
) -> Iterator[tuple[str, str, str, str]]:
    hints = get_type_hints(node)
    for spec in fields(node):
        if is_dataclass(hints[spec.name]) or spec.name == "vary":
            continue
        rule = spec.metadata.get("rule")
        allowed = rule.words if rule is not None else kind(hints[spec.name])
        given = defaults.get(spec.name, _default(spec))
        star = "" if _in_identity(prefix, spec) else "*"
        yield f"`{prefix}{spec.name}`{star}", _shown(given), allowed, said.get(f"{prefix}{spec.name}", "")


def _in_identity(prefix: str, spec: Any) -> bool:
    section = prefix.rstrip(".")
    return (section in schema.RESULT_SECTIONS and spec.metadata.get("identity", True)) or spec.name == "seed"


def _default(spec: Any) -> Any:
    if spec.default is not NO_DEFAULT:
        return spec.default
    return spec.default_factory() if spec.default_factory is not NO_DEFAULT else omegaconf.MISSING


def _shown(given: Any) -> str:
    if isinstance(given, dict):  # by choice of the group
        if len({repr(value) for value in given.values()}) > 1:
            return ", ".join(f"{_shown(value)} ({name})" for name, value in given.items())
        given = next(iter(given.values()))
    text = {None: "null", True: "true", False: "false", omegaconf.MISSING: "must be set"}.get(
        given if isinstance(given, str | bool | None) else "", str(given)
    )
    return f"`{text}`"


def kind(hint: Any) -> str:
    """A type in words."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        return " or ".join("null" if one is type(None) else kind(one) for one in reversed(get_args(hint)))
    if typing.get_origin(hint) is list:
        return "a list"
    return names.get(hint, "any")


def compose_defaults(section: str) -> dict[str, Any]:
    """What conf/config.yaml sets in a section."""
    whole = loaded(CONF / "config.yaml")
    found = whole.get(section, {}) if section else whole
    return {key: value for key, value in found.items() if not isinstance(value, dict)}


def loaded(file: Path) -> dict[str, Any]:
    """What a file sets, not resolved."""
    return typing.cast(dict[str, Any], omegaconf.OmegaConf.to_container(omegaconf.OmegaConf.load(file), resolve=False))


def comments(file: Path) -> dict[str, str]:
    """Dotted key -> what the comment on its line says, or the comments on the lines right above it."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in file.read_text().splitlines():
        if match := re.match(r"^(\s*)#\s?(.*)", line):
            above.append(match[2])
        elif match := re.match(r"^(\s*)([\w/]+):(?:\s+(?:\"[^\"]*\"|[^#\"])*)?(?:#\s*(.*))?$", line):
            indent = len(match[1])
            path = [*((depth, key) for depth, key in path if depth < indent), (indent, match[2])]
            said = match[3] or " ".join(above)
            if said:
                found[".".join(key for _, key in path)] = said
            above = []
        else:
            above = []
    return found


def purpose(file: Path) -> str:
    """The comment that a file begins with."""
    lines = []
    for line in file.read_text().splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def _experiments() -> str:
    files = sorted((CONF / "experiment").rglob("*.yaml"))
    return "\n".join(f"- `{file.relative_to(CONF / 'experiment').with_suffix('')}`: {purpose(file)}" for file in files)


def table(rows: Any) -> str:
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return f"| key | default | may be | meaning |\n|---|---|---|---|\n{body}"


# --- names in MLflow --------------------------------------------------------------------------------------------------


def mlflow() -> str:
    """Metrics, params, tags and artifacts, from the constants of initdist/names.py and the comments beside them."""
    parts = [
        "# Names in MLflow",
        "One run a network, under one parent run a sweep. A run in SQLite or PostgreSQL is begun in one transaction "
        "and ended in another: each is written completely or not at all. Params are config keys that affect a result.",
        "Errors are fractions. An infinite value is stored as 1.8e308. A measure that is undefined for a network is "
        "absent.",
    ]
    head = "| name | meaning |\n|---|---|\n"
    for title, rows in names().items():
        parts += [f"## {title}", head + "\n".join(f"| `{name}` | {said.replace('|', 'or')} |" for name, said in rows)]
    return "\n\n".join(parts) + "\n"


def names() -> dict[str, list[tuple[str, str]]]:
    """Heading -> names and what is said of them."""
    import initdist.names as module

    source = Path(module.__file__ or "").read_text()
    lines = source.splitlines()
    found: dict[str, list[tuple[str, str]]] = {}
    heading = ""
    starts = {node.lineno: node for node in ast.parse(source).body if isinstance(node, ast.Assign)}
    for number, line in enumerate(lines, 1):
        if line.startswith("# "):
            heading = re.split(r"[.:(]", line[2:])[0].strip()
        if node := starts.get(number):
            target = node.targets[0]
            value = getattr(module, target.id) if isinstance(target, ast.Name) else None
            said = line.partition("  # ")[2]
            if isinstance(value, str) and said:
                found.setdefault(heading, []).append((value + ("..." if value.endswith("/") else ""), said))
    return found


# --- Python -----------------------------------------------------------------------------------------------------------


def python() -> str:
    """The public functions, by mkdocstrings."""
    import initdist
    import multirun_analysis

    parts = ["# Python"]
    for module in (initdist, multirun_analysis):
        parts.append(f"## {module.__name__}")
        where = {name: getattr(module, name) for name in module.__all__ if not name.startswith("__")}
        parts += [f"::: {value.__module__}.{value.__qualname__}" for value in where.values()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    import sys

    for name, text in pages().items():
        sys.stdout.write(f"<!-- {name} -->\n{text}\n")
