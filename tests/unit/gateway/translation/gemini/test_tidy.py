from __future__ import annotations

import msgspec
import pytest

from gateway.translation.gemini.asked import Body
from gateway.translation.gemini.tidy import camel, tidy


def tidied(body: object) -> tuple[object, list[str]]:
    unknown: list[str] = []
    fields = msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])
    return msgspec.json.decode(tidy(fields, Body, unknown)), unknown


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("function_call", "functionCall"),
        ("functionCall", "functionCall"),
        ("_responseJsonSchema", "responseJsonSchema"),
        ("top_k", "topK"),
    ],
)
def test_names_are_camel_case(name, meant):
    assert camel(name) == meant


def test_names_are_set_right_but_not_inside_what_is_not_googles():
    body = {
        "contents": [
            {
                "parts": [
                    {"function_call": {"name": "f", "args": {"first_name": 1}}},
                    {
                        "functionResponse": {"id": "1", "response": {"file_data": {}}},
                        "thought_signature": "x",
                    },
                ]
            }
        ],
        "generation_config": {"response_json_schema": {"type": "object", "properties": {"a_b": {}}}},
    }

    said, unknown = tidied(body)

    assert said == {
        "contents": [
            {
                "parts": [
                    {"functionCall": {"name": "f", "args": {"first_name": 1}}},
                    {"functionResponse": {"id": "1", "response": {"file_data": {}}}, "thoughtSignature": "x"},
                ]
            }
        ],
        "generationConfig": {"responseJsonSchema": {"type": "object", "properties": {"a_b": {}}}},
    }
    assert unknown == []


def test_what_is_unknown_is_named_by_its_path_unless_it_says_nothing():
    body = {
        "contents": [{"parts": [{"text": "Hi", "video_metadata": {"fps": 1}}, {"executableCode": None}]}],
        "cached_content": "cachedContents/x",
        "labels": None,
        "storeAnswers": False,
        "systemInstruction": "As text",
    }

    said, unknown = tidied(body)

    assert unknown == ["contents[0].parts[0].videoMetadata", "cachedContent"]
    assert said == {"contents": [{"parts": [{"text": "Hi"}, {}]}], "systemInstruction": "As text"}
