"""The JSON Schema of statistics.json, made from the types of the results: python -m multirun_analysis.report.schema."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any

import pandas as pd

from multirun_analysis.report import SCHEMA_VERSION
from multirun_analysis.runs.read import Source
from multirun_analysis.stats import DERIVED, Results

NUMBER = {"type": ["number", "null"]}  # what is missing or infinite is null


def schema() -> dict[str, Any]:
    """Draft 2020-12; every dataclass is a definition, described by its docstring."""
    definitions: dict[str, Any] = {}
    texts = {"type": "array", "items": {"type": "string"}}
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    named = {"type": "object", "additionalProperties": {"type": "string"}}
    experiment = {
        "experiment": {"type": "string"},
        "answer": {"type": "string", "description": "what the regression on the distance says, in one sentence"},
        "verdict": {"type": "string", "description": "the pre-stated verdict on the distance, in one sentence"},
        "remarks": texts | {"description": "what qualifies the answer"},
        "source": _of(Source, definitions),
        "runs": {"type": "integer", "description": "runs read, after the filter"},
        "used": {"type": "integer", "description": "networks that the statistics rest on"},
        "left_out": counts | {"description": "reason -> runs"},
        "left_out_meaning": named | {"description": "reason -> what it means"},
        "left_out_by_cell": {"type": "array", "items": {"type": "object"}},
        "results": _of(Results, definitions),
        "figures": named | {"description": "figure -> its caption, or why it is left out"},
    }
    top = {
        "schema_version": {"const": SCHEMA_VERSION},
        "command": {"type": "string", "description": "the shell line that makes the same analysis"},
        "where": {"type": "object", "description": "the filter: config key -> what was asked for"},
        "versions": named,
        "experiments": {"type": "array", "minItems": 1, "items": _closed(experiment)},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "statistics.json of multirun_analysis",
        "description": "Targets and errors are fractions, distances raw; slopes are per unit of the measure; "
        "claims have units of their own (claim.unit).",
        **_closed(top),
        "$defs": dict(sorted(definitions.items())),
    }


def _closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type as stats.plain writes its values."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        rest = [_of(argument, definitions) for argument in arguments if argument is not type(None)]
        return rest[0] if rest == [NUMBER] else {"anyOf": [*rest, {"type": "null"}]}
    if is_dataclass(kind):
        return _dataclass(kind, definitions)
    if origin in (tuple, list, typing.get_origin(typing.Sequence[int])):
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    if kind is pd.DataFrame:
        return {"type": "array", "items": {"type": "object"}}
    simple: dict[Any, dict[str, Any]] = {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: NUMBER,
    }
    return simple.get(kind, {})


def _dataclass(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    reference = {"$ref": f"#/$defs/{kind.__name__}"}
    if kind.__name__ in definitions:
        return reference
    definitions[kind.__name__] = {}  # a type may hold itself
    hints = typing.get_type_hints(kind)
    properties = {field.name: _of(hints[field.name], definitions) for field in fields(kind)}
    for name in DERIVED:
        found = getattr(kind, name, None)
        if isinstance(found, property):
            properties[name] = _of(typing.get_type_hints(found.fget)["return"], definitions)
    definitions[kind.__name__] = _closed(properties, description=" ".join((kind.__doc__ or "").split()))
    return reference


if __name__ == "__main__":
    print(json.dumps(schema(), indent=1, ensure_ascii=False))
