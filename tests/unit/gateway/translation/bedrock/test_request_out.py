from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translation.base import Written
from gateway.translation.bedrock.request_out import write_request
from gateway.translation.conversation import (
    Cache,
    Format,
    Media,
    Message,
    Reasoning,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.fakes import conversations
from tests.fakes.clouds import check_converse

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
SONNET_5 = "anthropic.claude-sonnet-5"
NOVA = "amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
HELLO = (Message("user", (Text("Hello"),)),)
CALLS = (
    *HELLO,
    Message("assistant", (ToolCall(id="call|1", name="weather", arguments='{"at":"sea"}'),)),
    Message("user", (ToolResult(id="call|1", parts=(Text("windy"),)),)),
)


def written(
    model: str = CLAUDE, messages: tuple[Message, ...] = HELLO, **fields: Any
) -> tuple[dict[str, Any], Written]:
    """The request as Converse's own description accepts it, and all that was said of it."""
    result = write_request(Request(messages=messages, **fields), model=model)
    body = check_converse(result.body, model)
    return body, result


def test_words_system_and_settings_have_their_places():
    body, result = written(
        system=(Text("Be brief"),), max_tokens=10, temperature=0.5, top_p=0.9, stop=("|",), service_tier="flex",
        model=CLAUDE,
    )  # fmt: skip

    assert body == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "system": [{"text": "Be brief"}],
        "inferenceConfig": {"maxTokens": 10, "temperature": 0.5, "topP": 0.9, "stopSequences": ["|"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "serviceTier": {"type": "flex"},
    }
    assert result.lost == ()


def test_a_request_that_asks_for_nothing_else_is_nothing_else():
    body, _ = written()

    assert list(body) == ["messages"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, None),
        (ToolChoice(mode="auto"), {"auto": {}}),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="tool", name="weather"), {"tool": {"name": "weather"}}),
    ],
)
def test_functions_and_the_choice_among_them(choice, said):
    tool = Tool(name="weather", description="Of a place", schema='{"type":"object"}', cache=Cache())

    body, _ = written(tools=(tool,), tool_choice=choice)

    spec = {"name": "weather", "description": "Of a place", "inputSchema": {"json": {"type": "object"}}}
    assert body["toolConfig"]["tools"] == [{"toolSpec": spec}, {"cachePoint": {"type": "default"}}]
    assert body["toolConfig"].get("toolChoice") == said


def test_no_function_is_offered_that_may_not_be_called():
    none = ToolChoice(mode="none")
    body, result = written(tools=(Tool(name="f"),), tool_choice=none)

    assert "toolConfig" not in body
    assert result.lost == ()

    body, result = written(messages=CALLS, tools=(Tool(name="f"),), tool_choice=none)

    assert len(body["toolConfig"]["tools"]) == 1
    assert result.lost == ("tool_choice",)


def test_a_conversation_with_calls_names_its_functions_even_if_the_client_does_not():
    body, _ = written(messages=CALLS)

    (tool,) = body["toolConfig"]["tools"]
    assert tool["toolSpec"]["name"] == "weather"
    call, result = body["messages"][1]["content"][0], body["messages"][2]["content"][0]
    assert call["toolUse"] == {"toolUseId": "call_1", "name": "weather", "input": {"at": "sea"}}
    assert result["toolResult"] == {"toolUseId": "call_1", "content": [{"text": "windy"}]}


def test_what_the_system_says_later_comes_first_too():
    later = (*HELLO, Message("system", (Text("Now in French"),)))

    body, _ = written(messages=later, system=(Text("Be brief"),))

    assert body["system"] == [{"text": "Be brief"}, {"text": "Now in French"}]
    assert len(body["messages"]) == 1


def test_thoughts_are_asked_for_in_each_makers_words():
    def asked(model: str, **fields: Any) -> Any:
        body, result = written(model, reasoning=Reasoning(**fields), max_tokens=4096)
        return result.lost or body.get("additionalModelRequestFields")

    assert asked(CLAUDE, effort="high") == {"thinking": {"type": "enabled", "budget_tokens": 3276}}
    assert asked(CLAUDE, budget=2000) == {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    assert asked(CLAUDE, effort="none") is None
    assert asked(SONNET_5, effort="high", show=True) == {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
    }
    assert asked(SONNET_5, budget=0) == {"thinking": {"type": "disabled"}}
    assert asked(NOVA, effort="low") == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
    assert asked("openai.gpt-oss-120b-1:0", effort="minimal") == {"reasoning_effort": "low"}
    assert asked(LLAMA, effort="low") == ("reasoning",)
    assert asked("anthropic.claude-3-5-sonnet-20240620-v1:0", effort="low") == ("reasoning",)


def test_there_is_room_for_an_answer_behind_the_thoughts():
    body, _ = written(reasoning=Reasoning(budget=30_000))

    assert body["inferenceConfig"]["maxTokens"] > 30_000


def test_a_claude_that_thinks_is_spared_what_it_refuses():
    body, result = written(
        tools=(Tool(name="f"),), tool_choice=ToolChoice(mode="required"), reasoning=Reasoning(effort="low")
    )
    assert "additionalModelRequestFields" not in body
    assert result.lost == ("reasoning",)

    body, result = written(reasoning=Reasoning(effort="low"), temperature=0.2, top_k=5, max_tokens=9000)
    assert body["inferenceConfig"] == {"maxTokens": 9000}
    assert set(result.lost) == {"temperature", "top_k"}

    body, result = written(SONNET_5, temperature=1, top_p=0.2)
    assert "inferenceConfig" not in body
    assert result.lost == ("top_p",)


def test_top_k_goes_where_the_maker_looks_for_it():
    assert written(top_k=5)[0]["additionalModelRequestFields"] == {"top_k": 5}
    assert written(NOVA, top_k=5)[0]["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert written(LLAMA, top_k=5)[1].lost == ("top_k",)


def test_a_schema_of_the_answer_is_a_text():
    form = Format(kind="json_schema", name="boat", schema='{"type":"object"}', strict=True)

    body, _ = written(format=form)

    structure = {"jsonSchema": {"schema": '{"type":"object"}', "name": "boat"}}
    assert body["outputConfig"] == {"textFormat": {"type": "json_schema", "structure": structure}}
    assert written(format=Format(kind="json_object"))[1].lost == ("format",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 0),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -1.0),
        ("logprobs", True),
        ("top_logprobs", 2),
        ("verbosity", "low"),
        ("parallel_tool_calls", False),
        ("user", "ada"),
        ("service_tier", "scale"),
        ("temperature", 1.5),
    ],
)
def test_what_has_no_place_is_told(field, value):
    assert written(**{field: value})[1].lost == (field,)


@pytest.mark.parametrize(
    "neutral",
    [
        {"frequency_penalty": 0.0},
        {"logprobs": False},
        {"parallel_tool_calls": True},
        {"service_tier": "auto"},
    ],
)
def test_what_says_nothing_is_not_told(neutral):
    assert written(**neutral)[1].lost == ()


DATA = st.binary(min_size=1, max_size=9).map(lambda data: base64.b64encode(data).decode())
SAID = st.one_of(
    conversations.texts(),
    st.builds(Media, kind=st.just("image"), media_type=st.just("image/png"), data=DATA),
    st.builds(Media, kind=st.just("document"), text=conversations.words(), name=st.text(max_size=9)),
)


@given(
    conversations.requests(
        conversations.dialogues(
            said=SAID,
            thought=st.builds(
                Thinking,
                text=conversations.words(),
                signature=conversations.names(),
                origin=st.just("anthropic"),
            ),
            calls=conversations.calls(),
        ),
        tools=st.lists(conversations.tools(), max_size=2, unique_by=lambda tool: tool.name).map(tuple),
        **conversations.settings(*conversations.SETTINGS),
    ),
    st.sampled_from(
        [CLAUDE, SONNET_5, NOVA, LLAMA, "arn:aws:bedrock:us-east-1:123456789012:prompt-router/x"]
    ),
)
def test_whatever_is_asked_is_a_request_that_aws_describes(request, model):
    body = check_converse(write_request(request, model=model).body, model)

    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(a != b for a, b in itertools.pairwise(roles))
