from __future__ import annotations

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from gateway.errors import BadRequest
from gateway.translation.gemini.schemas import to_json_schema


def converted(schema: object) -> object:
    return msgspec.json.decode(to_json_schema(msgspec.Raw(msgspec.json.encode(schema))))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": 6, "properties": {"a": {"type": 3}}}, {"type": "object", "properties": {"a": {"type": "integer"}}}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "INTEGER", "nullable": False}, {"type": "integer"}),
        (
            {"type": "STRING", "format": "enum", "enum": ["A"], "nullable": True},
            {"type": ["string", "null"], "enum": ["A", None]},
        ),
        (
            {"any_of": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]},
        ),
        (
            {"type": "ARRAY", "items": {"type": "BOOLEAN"}, "minItems": "2", "max_items": 3},
            {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
        ),
        ({"type": "OBJECT", "property_ordering": ["b", "a"]}, {"type": "object"}),
        (
            {"ref": "#/$defs/a", "defs": {"a": {"type": "STRING"}}},
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        ),
        (
            {"type": "OBJECT", "properties": {"type": {"type": "STRING"}, "nullable": {"type": "STRING"}}},
            {"type": "object", "properties": {"type": {"type": "string"}, "nullable": {"type": "string"}}},
        ),
        (
            {"type": "OBJECT", "properties": {"first_name": {"type": "STRING"}}, "required": ["first_name"]},
            {"type": "object", "properties": {"first_name": {"type": "string"}}, "required": ["first_name"]},
        ),
    ],
)  # fmt: skip
def test_googles_words_become_those_of_json_schema(said, meant):
    assert converted(said) == meant
    Draft202012Validator.check_schema(converted(said))


def test_what_is_json_schema_already_keeps_its_text():
    text = '{ "type": "object", "properties": {"n": {"type": ["integer", "null"], "minimum": 1.0}} }'

    assert to_json_schema(msgspec.Raw(text.encode())) == text


@pytest.mark.parametrize(
    "said", [b'{"items":' * 900 + b"{}" + b"}" * 900, b'{"title": "\xff", "type": "STRING"}']
)
def test_what_cannot_be_read_is_a_bad_request(said):
    with pytest.raises(BadRequest):
        to_json_schema(msgspec.Raw(said))
