"""Requests for Anthropic: its rules are kept, and what it has no place for is told."""

from typing import Any

import msgspec
import pytest

from gateway.translation.anthropic.request_out import write_request
from gateway.translation.conversation import (
    Cache,
    Citation,
    Format,
    Media,
    Message,
    Reasoning,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.fakes.anthropic_conversations import LATER, LIVELY

HELLO = Message("user", (Text("Hello"),))
TOOL = Tool(name="look", schema='{"type":"object"}')


def written(*messages: Message, model: str = LIVELY, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    done = write_request(Request(messages=messages or (HELLO,), **fields), model=model)
    return msgspec.json.decode(done.body), done.lost


def roles(body: Any) -> list[str]:
    return [turn["role"] for turn in body["messages"]]


def user(*words: str) -> Message:
    return Message("user", tuple(map(Text, words)))


def assistant(*parts: Any) -> Message:
    return Message("assistant", parts)


def test_neighbours_become_one_and_blank_texts_are_left_out():
    body, lost = written(user("a"), user(" "), user("b", ""), assistant(Text("c")), assistant(Text("d")))

    assert [[block["text"] for block in turn["content"]] for turn in body["messages"]] == [
        ["a", "b"],
        ["c", "d"],
    ]
    assert lost == ()


def test_results_stand_first_in_the_message_after_the_calls():
    body, _ = written(
        user("go"),
        assistant(ToolCall(id="1", name="look"), ToolCall(id="2", name="look")),
        user("and?"),
        Message("user", (ToolResult(id="1", parts=(Text("x"),)), ToolResult(id="2", failed=True))),
    )

    assert roles(body) == ["user", "assistant", "user"]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "x"}]},
        {"type": "tool_result", "tool_use_id": "2", "is_error": True},
        {"type": "text", "text": "and?"},
    ]


def test_a_user_begins_even_if_nobody_said_so():
    assert roles(written(assistant(Text("Hi")), user("Hello"))[0]) == ["user", "assistant", "user"]
    assert roles(written(Message("system", (Text("Be kind."),)))[0]) == ["user"]


def test_words_that_the_model_is_to_go_on_from_end_without_blanks():
    assert written(HELLO, assistant(Text("So: \n")))[0]["messages"][1]["content"][0]["text"] == "So:"


def test_system_messages_go_before_all_others_on_models_that_take_them_nowhere_else():
    body, lost = written(
        HELLO, Message("system", (Text("Now German", Cache()),)), user("x"), system=(Text("Hi"),)
    )

    assert body["system"] == [
        {"type": "text", "text": "Hi"},
        {"type": "text", "text": "Now German", "cache_control": {"type": "ephemeral"}},
    ]
    assert (roles(body), lost) == (["user"], ())


def test_elsewhere_they_wait_for_the_user_to_finish():
    body, _ = written(
        user("a"),
        assistant(Text("b")),
        Message("system", (Text("Now German"),)),
        Message("system", (Text("and short"),)),
        user("c"),
        model=LATER,
    )

    assert roles(body) == ["user", "assistant", "user", "system"]
    assert [block["text"] for block in body["messages"][3]["content"]] == ["Now German", "and short"]


def test_one_after_which_no_user_speaks_goes_before_all_others():
    body, _ = written(
        user("a"),
        assistant(Text("b")),
        Message("system", (Text("Be kind"),)),
        assistant(Text("c")),
        model=LATER,
    )

    assert body["system"] == [{"type": "text", "text": "Be kind"}]
    assert roles(body) == ["user", "assistant"]


@pytest.mark.parametrize("odd", ["call.1", "call_a|fc_b", "", "ü"])
def test_ids_that_anthropic_refuses_are_replaced_the_same_way_everywhere(odd):
    body, _ = written(HELLO, assistant(ToolCall(id=odd, name="look")), Message("user", (ToolResult(id=odd),)))

    made = body["messages"][1]["content"][0]["id"]
    assert made.startswith("toolu_")
    assert made == body["messages"][2]["content"][0]["tool_use_id"]


def test_broken_arguments_are_wrapped():
    body, _ = written(HELLO, assistant(ToolCall(id="1", name="look", arguments='{"a":')))

    assert body["messages"][1]["content"][0]["input"] == {"INVALID_JSON": '{"a":'}


def test_thoughts_of_others_and_unsigned_ones_stay_away():
    body, lost = written(
        HELLO,
        assistant(
            Thinking(text="a", signature="s", origin="openai"),
            Thinking(text="b"),
            Thinking(text="c", signature="s", origin="anthropic"),
            Thinking(signature="d", hidden=True, origin="anthropic"),
            Text("e"),
        ),
    )

    assert [block["type"] for block in body["messages"][1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
    ]
    assert lost == ()


@pytest.mark.parametrize(
    ("media", "source"),
    [
        (
            Media(kind="image", data="/9j/4AAQ"),
            {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
        ),
        (
            Media(kind="document", media_type="text/csv", data="YSxi"),
            {"type": "text", "media_type": "text/plain", "data": "a,b"},
        ),
        (Media(kind="document", url="https://x/y.pdf"), {"type": "url", "url": "https://x/y.pdf"}),
    ],
)
def test_media_are_written_as_their_kind_allows(media, source):
    body, lost = written(Message("user", (media,)))

    assert body["messages"][0]["content"][0]["source"] == source
    assert lost == ()


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        (Media(kind="audio", data="YQ=="), "audio"),
        (Media(kind="video", url="https://x"), "video"),
        (Media(kind="image", file_id="file-1", origin="openai"), "image"),
        (Media(kind="document", media_type="application/zip", data="YQ=="), "document"),
        (Media(kind="document", media_type="text/plain", data="/w=="), "document"),
        (Media(kind="image", url="https://x", detail="low"), "detail"),
        (Text("x", None, (Citation(url="https://x", origin="openai"),)), "citations"),
    ],
)
def test_parts_that_cannot_be_said_are_told(part, lost):
    assert written(Message("user", (part,)))[1] == (lost,)


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"seed": 0}, "seed"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1.0}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"verbosity": "low"}, "verbosity"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"format": Format(kind="json_object")}, "format"),
        ({"stop": ("\n",)}, "stop"),
        ({"temperature": 1.5}, "temperature"),
        ({"temperature": 0.2, "top_p": 0.5}, "top_p"),
        ({"temperature": 0.2, "model": LATER}, "temperature"),
        ({"top_k": 1, "model": LATER}, "top_k"),
        ({"temperature": 0.2, "reasoning": Reasoning(effort="low")}, "temperature"),
        ({"top_p": 0.5, "reasoning": Reasoning(budget=2000)}, "top_p"),
    ],
)
def test_settings_that_cannot_be_said_are_told(fields, lost):
    assert written(**fields)[1] == (lost,)


@pytest.mark.parametrize(
    "fields",
    [
        {"frequency_penalty": 0.0, "logprobs": False, "service_tier": "auto", "parallel_tool_calls": True},
        {"temperature": 1.0, "top_p": 1.0, "model": LATER},
        {"temperature": 1.0, "reasoning": Reasoning(effort="high")},
    ],
)
def test_defaults_are_not_missed(fields):
    assert written(**fields)[1] == ()


def test_a_temperature_of_another_scale_is_the_highest_of_this_one():
    assert written(temperature=1.7)[0]["temperature"] == 1


@pytest.mark.parametrize(
    ("model", "tokens"), [("claude-sonnet-4-5", 64_000), (LATER, 128_000), ("kimi-k2", 8192)]
)
def test_without_a_limit_an_answer_may_be_as_long_as_the_model_can(model, tokens):
    assert written(model=model)[0]["max_tokens"] == tokens


def test_nobody_chooses_where_there_are_no_tools():
    assert "tool_choice" not in written(tool_choice=ToolChoice(mode="none"), parallel_tool_calls=False)[0]


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="required"), None, {"type": "any"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
        (
            ToolChoice(mode="tool", name="look"),
            False,
            {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_choices_are_written(choice, parallel, said):
    body, lost = written(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel)

    assert (body["tool_choice"], lost) == (said, ())


def test_a_model_that_cannot_be_made_to_call_may_choose():
    body, lost = written(tools=(TOOL,), tool_choice=ToolChoice(mode="required"), model="claude-opus-5-5")

    assert (body["tool_choice"], lost) == ({"type": "auto"}, ("tool_choice",))


def test_a_tool_without_a_schema_takes_no_arguments():
    assert written(tools=(Tool(name="now"),))[0]["tools"] == [
        {"name": "now", "input_schema": {"type": "object", "properties": {}}}
    ]


def test_a_refusal_was_words():
    assert written(HELLO, assistant(Refusal("No.")))[0]["messages"][1]["content"] == [
        {"type": "text", "text": "No."}
    ]
