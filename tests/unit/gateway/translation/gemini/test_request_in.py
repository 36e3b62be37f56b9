from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.translation.conversation import Format, Reasoning, Request, Text, Tool, ToolChoice
from gateway.translation.gemini.request_in import read_request

HI = [{"role": "user", "parts": [{"text": "Hi"}]}]


def read(drop: frozenset[str] = frozenset(), **body: Any) -> Request:
    return read_request(msgspec.json.encode({"contents": HI, **body}), drop)


def test_settings_are_read_in_either_spelling_and_type():
    snake = read(
        generation_config={
            "max_output_tokens": "100",
            "top_k": 40.0,
            "stop_sequences": ["a"],
            "thinking_config": {"include_thoughts": True, "thinking_budget": 5},
            "response_logprobs": True,
            "logprobs": 2,
        }
    )
    camel = read(
        generationConfig={
            "maxOutputTokens": 100,
            "topK": 40,
            "stopSequences": ["a"],
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 5},
            "responseLogprobs": True,
            "logprobs": 2,
        }
    )

    assert snake == camel
    assert (camel.max_tokens, camel.top_k, camel.stop, camel.logprobs, camel.top_logprobs) == (
        100,
        40,
        ("a",),
        True,
        2,
    )
    assert camel.reasoning == Reasoning(budget=5, show=True)


@pytest.mark.parametrize(
    ("level", "effort"),
    [("HIGH", "high"), ("minimal", "minimal"), (1, "low"), ("THINKING_LEVEL_UNSPECIFIED", "")],
)
def test_a_level_of_thinking_is_an_effort(level, effort):
    assert read(generationConfig={"thinkingConfig": {"thinkingLevel": level}}).reasoning == Reasoning(
        effort=effort
    )


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({"responseMimeType": "application/json"}, Format(kind="json_object")),
        ({"responseMimeType": "text/plain"}, None),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            Format(kind="json_schema", schema='{"type":"string"}'),
        ),
        (
            {"responseJsonSchema": {"type": "object"}, "responseSchema": None},
            Format(kind="json_schema", schema='{"type":"object"}'),
        ),
    ],
)
def test_the_form_of_the_answer_is_read(config, form):
    assert read(generationConfig=config).format == form


@pytest.mark.parametrize(
    ("body", "others", "hints"),
    [
        ({"generationConfig": {"candidateCount": 1, "responseModalities": ["TEXT"], "speechConfig": None}}, (), ()),
        ({"generationConfig": {"candidateCount": 2}}, ("generationConfig.candidateCount",), ()),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, ("generationConfig.responseModalities",), ()),
        ({"generation_config": {"speech_config": {"a": 1}}}, ("generationConfig.speechConfig",), ()),
        ({"generationConfig": {"mediaResolution": "LOW"}}, ("generationConfig.mediaResolution",), ()),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, ("generationConfig.responseMimeType",), ()),
        ({"tools": [{"functionDeclarations": []}, {"google_search": {"a": 1}, "urlContext": {"b": 1}}]}, ("tools[1]",), ()),
        ({"tools": [{"codeExecution": {}}]}, ("tools[0]",), ()),
        ({"cachedContent": "cachedContents/x"}, ("cachedContent",), ()),
        ({"labels": {"team": "a"}}, (), ("labels",)),
        ({"safetySettings": [{"category": "X", "threshold": "BLOCK_NONE"}]}, (), ("safetySettings",)),
        ({"safetySettings": [{"category": "X", "threshold": "BLOCK_LOW_AND_ABOVE"}]}, ("safetySettings",), ()),
        ({"systemInstruction": {"parts": [{"fileData": {"fileUri": "gs://x"}}]}}, ("systemInstruction.parts[0]",), ()),
        ({"contents": [{"parts": [{"text": "a"}, {"executableCode": {"code": "1"}}]}]}, ("contents[0].parts[1].executableCode",), ()),
        ({"toolConfig": {"retrievalConfig": {"languageCode": "de"}}}, ("toolConfig.retrievalConfig",), ()),
        ({"model": "models/x", "serviceTier": "standard"}, (), ()),
    ],
)  # fmt: skip
def test_what_has_no_place_elsewhere_is_named(body, others, hints):
    request = read(**body)

    assert (request.others, request.hints) == (others, hints)


def test_what_is_to_be_dropped_is_not_read():
    request = read(
        frozenset({"safetySettings", "customer_identifier"}),
        safety_settings=[{"threshold": 1}],
        customer_identifier="a",
    )

    assert (request.others, request.hints) == ((), ())


@pytest.mark.parametrize(
    ("config", "choice", "tools"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), "ab"),
        ({"mode": "any"}, ToolChoice(mode="required"), "ab"),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["b"]}, ToolChoice(mode="auto"), "b"),
        ({"mode": "NONE"}, ToolChoice(mode="none"), "ab"),
        ({"mode": 2}, ToolChoice(mode="required"), "ab"),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, ToolChoice(mode="tool", name="b"), "ab"),
        ({"mode": "ANY", "allowedFunctionNames": ["b", "a", "c"]}, ToolChoice(mode="required"), "ab"),
        ({"mode": "MODE_UNSPECIFIED"}, None, "ab"),
        ({}, None, "ab"),
    ],
)
def test_who_may_choose_among_functions_is_read(config, choice, tools):
    declared = [{"functionDeclarations": [{"name": "a"}]}, {"functionDeclarations": [{"name": "b"}]}]

    request = read(tools=declared, toolConfig={"functionCallingConfig": config})

    assert request.tool_choice == choice
    assert "".join(tool.name for tool in request.tools) == tools


def test_schemas_of_both_kinds_are_read():
    functions = [
        {"name": "a", "description": None, "parameters": {"type": "OBJECT", "properties": {}}},
        {"name": "b", "description": "B", "parametersJsonSchema": {"type": "object"}, "parameters": None},
        {"name": "c", "response": {"type": "STRING"}},
    ]

    request = read(tools=[{"functionDeclarations": functions}])

    assert request.tools == (
        Tool(name="a", schema='{"type":"object","properties":{}}'),
        Tool(name="b", description="B", schema='{"type":"object"}'),
        Tool(name="c"),
    )
    assert request.hints == ("tools[0].functionDeclarations[2].response",)


@pytest.mark.parametrize(
    "said", ["Be brief.", {"parts": [{"text": "Be brief."}, {"text": ""}], "role": "user"}]
)
def test_instructions_are_read(said):
    assert read(systemInstruction=said).system == (Text("Be brief."),)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": None}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inline_data": {"data": 5}}]}]}, "contents[0].parts[0].inlineData.data"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"tools": [{"functionDeclarations": [{"description": "x"}]}]}, "tools"),
        ({"tools": {}}, "tools"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body, param):
    with pytest.raises(BadRequest) as caught:
        read(**body)

    assert caught.value.param == param
    assert param in str(caught.value)
