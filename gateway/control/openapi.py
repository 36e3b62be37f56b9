"""The OpenAPI document of routes whose bodies are msgspec structs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

import msgspec

_REFERENCE = "#/components/schemas/{name}"


class Parameter(NamedTuple):
    """One of the query. `most`: it is a number from 1 to that."""

    name: str
    text: str
    most: int = 0


class Operation(NamedTuple):
    """A method at a path; `{id}` stands for a part of it. `takes` and `gives` are the shapes of the bodies."""

    method: str
    path: str
    text: str
    takes: type[msgspec.Struct] | None
    gives: type[msgspec.Struct] | None
    status: int = 200
    parameters: tuple[Parameter, ...] = ()
    most_bytes: int = 64 * 1024
    """Of the body."""


def document(title: str, operations: Iterable[Operation], problem: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the description of these operations; every error has the shape `problem`."""
    operations = list(operations)
    shapes = {shape: None for one in operations for shape in (one.takes, one.gives) if shape is not None}
    types = [*shapes, problem]
    references, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    by_type = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        answer = by_type[one.gives] if one.gives else {"type": "object"}
        said: dict[str, Any] = {
            "summary": one.text,
            "operationId": _name(one),
            "parameters": list(_parameters(one)),
            "responses": {
                str(one.status): {"description": "Done.", **_json(answer)},
                "default": {"description": "What was wrong.", **_json(by_type[problem])},
            },
        }
        if one.takes:
            needed = any(field.required for field in msgspec.structs.fields(one.takes))
            said["requestBody"] = {"required": needed, **_json(by_type[one.takes])}
        paths.setdefault(one.path, {})[one.method.lower()] = said
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("tidegate")},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    if "{id}" in operation.path:
        yield {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    for one in operation.parameters:
        schema: dict[str, Any] = (
            {"type": "integer", "minimum": 1, "maximum": one.most} if one.most else {"type": "string"}
        )
        yield {"name": one.name, "in": "query", "description": one.text, "schema": schema}


def _name(operation: Operation) -> str:
    words = operation.path.removeprefix("/api/").replace("{id}", "one").replace(".", "/").split("/")
    return "_".join((operation.method.lower(), *words))


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}
