from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.providers.sandbox_schema import instance

TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "minLength": 6, "maxLength": 7}, "textxx"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "exclusiveMinimum": 2, "multipleOf": 5}, 5),
        ({"type": "integer", "minimum": 0, "maximum": -3}, -3),
        ({"type": "number"}, 0.0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 0),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"default": [1]}, [1]),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 0),
        (
            {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]},
            {"a": 1, "b": 2},
        ),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"const": 1}}}, {"a": 1}),
        ({}, "text"),
        (None, None),
    ],
)
def test_an_instance_fits(schema, value):
    assert instance(schema) == value


def test_a_recursive_schema_ends():
    found = instance(TREE)

    assert isinstance(found, dict)
    assert found["name"] == "text"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": "x"},
        {"$ref": 7},
        {"$ref": "#/nowhere"},
        {"properties": 7},
        {"type": "array", "minItems": 20_000},
        {"type": "integer", "multipleOf": 0, "minimum": "a"},
        {"anyOf": 7},
    ],
)
def test_a_schema_that_cannot_be_read_is_refused(schema):
    with pytest.raises(BadRequest):
        instance(schema)
