"""Google's schemas, a subset of OpenAPI's, as JSON Schema.

Types are in capitals, or numbers; a null is allowed by `nullable`; 64-bit numbers may be strings.
Source: https://ai.google.dev/api/caching#Schema (2026-11); numbers as recorded from Vertex's client, 2025-02.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from gateway.translation.gemini.asked import text_of, unreadable
from gateway.translation.gemini.tidy import camel

_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
_NAMES: dict[object, str] = {name: name.lower() for name in _TYPES} | {
    number: name.lower() for number, name in enumerate(_TYPES, 1)
}
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_INNER = frozenset({"items", "additionalProperties"})
_INNER_LISTS = frozenset({"anyOf", "prefixItems", "oneOf", "allOf"})
_INNER_NAMED = frozenset({"properties", "defs", "$defs"})
_RENAMED = {"defs": "$defs", "ref": "$ref"}
_values = msgspec.json.Decoder()


def to_json_schema(raw: Raw) -> str:
    """Return JSON Schema; one that is so already keeps its text. Raises BadRequest."""
    try:
        said = _values.decode(raw)
        schema = _schema(said)
        if schema == said:
            return text_of(raw)
        return msgspec.json.encode(schema).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable() from error


def _schema(said: object) -> object:
    if not isinstance(said, dict):
        return said
    schema: dict[str, object] = {}
    for written, value in said.items():
        name = camel(written)
        name = _RENAMED.get(name, name)
        if name not in ("nullable", "propertyOrdering") and not (name == "format" and value == "enum"):
            schema[name] = _value(name, value)
    if said.get("nullable") is True:
        _allow_null(schema)
    return schema


def _value(name: str, value: object) -> object:
    if name == "type" and isinstance(value, str | int):
        return _NAMES.get(value, value)
    if name in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value[:18])
    if name in _INNER:
        return _schema(value)
    if name in _INNER_LISTS and isinstance(value, list):
        return [_schema(one) for one in value]
    if name in _INNER_NAMED and isinstance(value, dict):
        return {key: _schema(one) for key, one in value.items()}
    return value


def _allow_null(schema: dict[str, object]) -> None:
    if isinstance(kind := schema.get("type"), str) and kind != "null":
        schema["type"] = [kind, "null"]
    if isinstance(values := schema.get("enum"), list) and None not in values:
        schema["enum"] = [*values, None]
    if isinstance(choices := schema.get("anyOf"), list) and {"type": "null"} not in choices:
        schema["anyOf"] = [*choices, {"type": "null"}]
