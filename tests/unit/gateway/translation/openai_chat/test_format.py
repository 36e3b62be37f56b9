"""What is written is read again as the same; recorded requests and answers are understood; clients accept answers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.errors import BadRequest
from gateway.translation.base import Format
from gateway.translation.conversation import Refusal, Reply, Request, Text, Thinking, ToolCall
from gateway.translation.events import Ended, Stopped
from gateway.translation.openai_chat.format import OpenAIChatFormat
from gateway.wire.openai_usage import parse_usage
from tests.fakes.chats import ANSWERING, answered, asked, chunks_of, recordings
from tests.fakes.conversations import bare
from tests.fakes.event_streams import cut_off, events_of, reply_of, told, ways
from tests.golden.test_openapi import DESCRIPTION, check

FORMAT: Format = OpenAIChatFormat()
RECORDED = list(recordings())
ANSWERS = [(name, body) for name, _, status, body in RECORDED if status == 200 and b'"choices"' in body]
DOCUMENTS = [(name, body) for name, body in ANSWERS if body.lstrip().startswith(b"{")]
STREAMS = [(name, body) for name, body in ANSWERS if body.lstrip().startswith(b"data:")]
recorded = pytest.mark.skipif(not RECORDED, reason="no recordings beside the repository")
described = pytest.mark.skipif(not DESCRIPTION.exists(), reason="no description beside the repository")


def written(reply: Reply, *, size: int = 4, together: bool = True) -> bytes:
    writer = FORMAT.stream_writer(ANSWERING)
    events = events_of(reply, size=size, interleaved=True)
    return writer.write(events) if together else b"".join(writer.write([event]) for event in events)


# --- what is written is read again ------------------------------------------------------------------


@given(asked(), st.sampled_from(["gpt-5-mini", "llama-3.3-70b"]))
@settings(max_examples=80, deadline=None)
def test_a_request_is_read_as_it_was_written(request_, model):
    said = FORMAT.write_request(request_, model=model, usage=True)

    assert said.lost == ()
    assert FORMAT.read_request(said.body) == request_


@given(asked("gemini"))
@settings(max_examples=50, deadline=None)
def test_signatures_of_calls_go_to_googles_models_and_to_no_others(request_):
    signed = FORMAT.write_request(request_, model="google/gemini-3-pro", usage=False)
    plain = FORMAT.write_request(request_, model="gpt-4o", usage=False)

    assert FORMAT.read_request(signed.body) == request_
    assert b"thought_signature" not in plain.body


@given(answered())
@settings(max_examples=80, deadline=None)
def test_an_answer_is_read_as_it_was_written(reply):
    assert bare(FORMAT.read_reply(FORMAT.write_reply(reply, ANSWERING))) == reply


@given(answered(), st.integers(1, 9), st.booleans(), st.integers())
@settings(max_examples=50, deadline=None)
def test_a_stream_says_what_the_document_says_however_it_arrives(reply, size, together, seed):
    stream = written(reply, size=size, together=together)

    for chunks in ways(stream, seed):
        assert bare(reply_of(told(FORMAT.stream_reader(), chunks))) == reply


@given(answered(), st.integers())
@settings(max_examples=30, deadline=None)
def test_a_stream_that_was_cut_off_is_not_whole(reply, seed):
    for begun in cut_off(written(reply), seed):
        events = told(FORMAT.stream_reader(), [begun])
        if isinstance(events[-1] if events else None, Ended):
            assert any(isinstance(event, Stopped) for event in events)


@given(answered())
@settings(max_examples=40, deadline=None)
def test_a_client_brings_back_what_it_was_told_with_every_signature(reply):
    message = msgspec.json.decode(FORMAT.write_reply(reply, ANSWERING))["choices"][0]["message"]

    said = FORMAT.read_request(msgspec.json.encode({"model": "m", "messages": [message]})).messages[0]

    assert [part for part in said.parts if isinstance(part, Thinking | ToolCall | Refusal)] == [
        part for part in reply.parts if isinstance(part, Thinking | ToolCall | Refusal)
    ]


# --- clients --------------------------------------------------------------------------------------


@given(answered())
@settings(max_examples=40, deadline=None)
def test_openais_client_reads_the_answer(reply):
    read = ChatCompletion.model_validate_json(FORMAT.write_reply(reply, ANSWERING), strict=True)

    message = read.choices[0].message
    assert (message.content or "") == "".join(part.text for part in reply.parts if isinstance(part, Text))
    assert [call.id for call in message.tool_calls or ()] == ids_of(reply)
    if reply.usage is not None:
        assert read.usage is not None
        assert read.usage.total_tokens == reply.usage.input_total + reply.usage.output_total


@given(answered())
@settings(max_examples=40, deadline=None)
def test_openais_client_puts_the_stream_together(reply):
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks_of(written(reply)):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk, strict=True))

    message = state.current_completion_snapshot.choices[0].message

    assert (message.content or "") == "".join(part.text for part in reply.parts if isinstance(part, Text))
    assert [call.id for call in message.tool_calls or ()] == ids_of(reply)
    blocks: list[dict[str, Any]] = getattr(message, "thinking_blocks", None) or []
    signed = [part for part in reply.parts if isinstance(part, Thinking) and part.signature]
    assert [block.get("thinking", "") for block in blocks] == [part.text for part in signed]


@described
@given(answered(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_answers_are_what_openai_describes(reply, wants_usage):
    answering = msgspec.structs.replace(ANSWERING, wants_usage=wants_usage)

    check("CreateChatCompletionResponse", msgspec.json.decode(FORMAT.write_reply(reply, answering)))
    chunks = chunks_of(FORMAT.stream_writer(answering).write(events_of(reply)))
    for chunk in chunks:
        check("CreateChatCompletionStreamResponse", chunk)
    assert all(
        {"finish_reason", "logprobs"} <= set(choice) for chunk in chunks for choice in chunk["choices"]
    )
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert (not chunks[-1]["choices"]) == (wants_usage and reply.usage is not None)


def ids_of(reply: Reply) -> list[str]:
    return [part.id for part in reply.parts if isinstance(part, ToolCall)]


# --- recordings -----------------------------------------------------------------------------------


@recorded
@pytest.mark.parametrize("body", [body for _, body, _, _ in RECORDED], ids=[name for name, *_ in RECORDED])
def test_a_recorded_request_is_read_and_written_again(body):
    said = msgspec.json.decode(body)

    request = FORMAT.read_request(body)

    assert words_in(request) == [text for message in said["messages"] for text in words_of(message)]
    assert len(request.tools) == len(said.get("tools") or ())
    assert request.stream == bool(said.get("stream"))
    again = FORMAT.write_request(request, model="m", usage=True)
    assert again.lost == ()
    assert FORMAT.read_request(again.body) == msgspec.structs.replace(request, others=(), hints=())


@recorded
@pytest.mark.parametrize("body", [body for _, body in DOCUMENTS], ids=[name for name, _ in DOCUMENTS])
def test_a_recorded_answer_is_read_right(body):
    said = msgspec.json.decode(body)
    choice = said["choices"][0]
    reply = FORMAT.read_reply(body)

    assert (reply.id, reply.model) == (said["id"], said["model"])
    message = choice.get("message", {"content": ""})  # Azure leaves a filtered one out
    check_said(reply, message, choice["finish_reason"], said["usage"])
    again = bare(FORMAT.read_reply(FORMAT.write_reply(reply, ANSWERING)))
    assert again == msgspec.structs.replace(bare(reply), service_tier=again.service_tier)


@recorded
@pytest.mark.parametrize("body", [body for _, body in STREAMS], ids=[name for name, _ in STREAMS])
def test_a_recorded_stream_is_read_right(body):
    message, reason, usage = put_together(chunks_of(body))

    told_each_way = [told(FORMAT.stream_reader(), chunks) for chunks in ways(body)]

    events = told_each_way[0]
    reply = reply_of(events)
    assert all(other == events for other in told_each_way)
    check_said(reply, message, reason, usage)
    again = FORMAT.stream_writer(ANSWERING).write(events)
    after = reply_of(told(FORMAT.stream_reader(), [again]))
    assert bare(after) == msgspec.structs.replace(bare(reply), service_tier=after.service_tier)
    for begun in cut_off(body[: body.index(b'"finish_reason":"')]):
        assert not any(isinstance(event, Ended) for event in told(FORMAT.stream_reader(), [begun]))


def words_in(request: Request) -> list[str]:
    told = [part.text for part in request.system]
    for message in request.messages:
        for part in message.parts:
            told += [part.text] if isinstance(part, Text) else []
            told += [text.text for text in getattr(part, "parts", ()) if isinstance(text, Text)]
    return told


def words_of(message: dict[str, Any]) -> list[str]:
    content = message.get("content") or ""
    if isinstance(content, str):
        return [content] if content else []
    return [part["text"] for part in content if part["type"] == "text"]


def put_together(chunks: list[dict[str, Any]]) -> tuple[dict[str, Any], str, Any]:
    """Read a stream the slow way."""
    content, reason, usage = "", "", None
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for choice in chunk["choices"]:
            if choice["index"]:
                continue
            delta = choice.get("delta") or {}
            content += delta.get("content") or ""
            reason = choice.get("finish_reason") or reason
            for piece in delta.get("tool_calls") or ():
                call = calls.setdefault(
                    piece["index"], {"id": piece.get("id"), "function": {"arguments": ""}}
                )
                call["function"]["name"] = piece["function"].get("name") or call["function"]["name"]
                call["function"]["arguments"] += piece["function"].get("arguments") or ""
    return {"content": content, "tool_calls": list(calls.values())}, reason, usage


STOPS = {"stop": "end", "length": "length", "tool_calls": "tool_calls", "content_filter": "filter"}


def check_said(reply: Reply, message: dict[str, Any], reason: str, usage: Any) -> None:
    assert "".join(part.text for part in reply.parts if isinstance(part, Text)) == (message["content"] or "")
    calls = [part for part in reply.parts if isinstance(part, ToolCall)]
    said = [(call["id"], call["function"]) for call in message.get("tool_calls") or ()]
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        (id_, function["name"], function["arguments"]) for id_, function in said
    ]
    assert reply.stop == STOPS[reason]
    assert reply.usage == (parse_usage(msgspec.json.encode(usage)) if usage else None)


# --- nonsense ---------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "text", "role", "content", "function", "name", "id", "url"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
FIELDS = st.sampled_from(
    [
        *(
            "messages",
            "tools",
            "functions",
            "tool_choice",
            "function_call",
            "stop",
            "response_format",
            "seed",
            "n",
        ),
        *(
            "reasoning",
            "thinking",
            "max_tokens",
            "temperature",
            "stream",
            "logprobs",
            "user",
            "modalities",
            "audio",
        ),
    ]
)
MEMBERS = st.sampled_from(
    [
        *(
            "content",
            "tool_calls",
            "function_call",
            "reasoning_content",
            "thinking_blocks",
            "annotations",
            "images",
        ),
        *(
            "audio",
            "refusal",
            "index",
            "finish_reason",
            "logprobs",
            "delta",
            "message",
            "stop_reason",
            "extra_content",
        ),
    ]
)
ENTRIES = st.dictionaries(
    MEMBERS, JSON | st.lists(st.dictionaries(MEMBERS, JSON, max_size=3), max_size=2), max_size=5
)


@given(st.dictionaries(FIELDS, JSON, max_size=4), st.lists(JSON | st.dictionaries(st.sampled_from(
    ["role", "content", "tool_calls", "tool_call_id", "refusal", "thinking_blocks"]), JSON), max_size=2))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_no_request_raises_anything_but_bad_request(fields, messages):
    body = msgspec.json.encode({"model": "m", "messages": messages, **fields})
    with suppress(BadRequest):
        FORMAT.write_request(FORMAT.read_request(body), model="gpt-5", usage=True)


@given(st.binary(max_size=60) | st.lists(st.fixed_dictionaries({"choices": st.lists(ENTRIES, max_size=2)}, optional={"usage": JSON, "error": JSON, "id": JSON}), max_size=3).map(
    lambda chunks: b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks)))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_no_stream_makes_the_reader_raise(stream):
    FORMAT.stream_writer(ANSWERING).write(told(FORMAT.stream_reader(), [stream]))


@given(st.binary(max_size=60) | st.dictionaries(st.sampled_from(["id", "choices", "usage", "error"]), JSON | st.lists(
    st.fixed_dictionaries({"message": ENTRIES}, optional={"logprobs": JSON})), max_size=4).map(msgspec.json.encode))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_no_answer_raises_anything_but_value_error(body):
    with suppress(ValueError):
        FORMAT.write_reply(FORMAT.read_reply(body), ANSWERING)
