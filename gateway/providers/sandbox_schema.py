"""An instance of a JSON schema: always the same one, and the smallest that is not silly."""

from __future__ import annotations

from typing import Any

from gateway.errors import BadRequest

_DEEPEST = 12
_DEEP = 6
"""From here on, what may be left out is left out: recursive schemas have to end."""
_MOST_VALUES = 10_000
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: object) -> object:
    """Return a value that fits the schema; patterns and `not` are not looked at. Raises BadRequest."""
    try:
        return _Maker(schema if isinstance(schema, dict) else {}).make(schema, 0)
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise BadRequest("The JSON schema cannot be read.", code="invalid_schema") from error


class _Maker:
    """Makes one instance. Owns the count of what it has made."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._made = 0

    def make(self, schema: object, depth: int) -> object:
        """Return a value for this part of the schema."""
        self._made += 1
        if self._made > _MOST_VALUES:
            raise ValueError("too many values")
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return None
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if schema.get("enum"):
            return schema["enum"][0]
        part = self._part(schema, depth)
        return self._of_type(schema, depth) if part is None else self.make(part, depth + 1)

    def _part(self, schema: dict[str, Any], depth: int) -> object:
        """Return the schema that stands for this one, if one does."""
        if "$ref" in schema:
            return self._resolve(schema["$ref"]) or {}
        for key in ("anyOf", "oneOf"):
            if choices := schema.get(key):
                nulls = [c for c in choices if c.get("type") == "null"] if depth > _DEEP else []
                return (nulls or choices)[0]
        return self._merged(schema) if "allOf" in schema else None

    def _of_type(self, schema: dict[str, Any], depth: int) -> object:
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = "null" if depth > _DEEP and "null" in kind else kind[0]
        value: object
        match kind:
            case "object":
                value = self._object(schema, depth)
            case "array":
                count = schema.get("minItems", 0 if depth > _DEEP else 1)
                value = [self.make(schema.get("items", {}), depth + 1) for _ in range(count)]
            case "integer":
                value = _number(schema)
            case "number":
                value = float(_number(schema))
            case "boolean":
                value = True
            case "string":
                value = _string(schema)
            case _:
                value = None
        return value

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, object]:
        properties = schema.get("properties", {})
        wanted = schema.get("required", ()) if depth > _DEEP else properties
        return {name: self.make(properties[name], depth + 1) for name in wanted if name in properties}

    def _merged(self, schema: dict[str, Any]) -> dict[str, Any]:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            found = self._resolve(part["$ref"]) if "$ref" in part else part
            properties = {**merged.get("properties", {}), **found.get("properties", {})}
            merged = {**merged, **found}
            if properties:
                merged["properties"] = properties
        return merged

    def _resolve(self, ref: str) -> dict[str, Any]:
        """Follow a reference within the document, `#/$defs/Name`."""
        found = self._root
        for part in ref.lstrip("#").strip("/").split("/"):
            if part:
                found = found[part.replace("~1", "/").replace("~0", "~")]
        return found


def _number(schema: dict[str, Any]) -> int:
    exclusive = schema.get("exclusiveMinimum")
    value = schema.get("minimum", 0) if exclusive is None else exclusive // 1 + 1
    value = -(-value // 1)
    highest = schema.get("maximum", schema.get("exclusiveMaximum"))
    if highest is not None and value > highest:
        value = highest // 1
    multiple = schema.get("multipleOf")
    return int(-(-value // multiple) * multiple) if multiple else int(value)


def _string(schema: dict[str, Any]) -> str:
    value = _FORMATS.get(str(schema.get("format")), str(schema.get("title") or "text"))
    value = value.ljust(min(schema.get("minLength", 0), _MOST_VALUES), "x")
    longest = schema.get("maxLength")
    return value if longest is None else value[:longest]
