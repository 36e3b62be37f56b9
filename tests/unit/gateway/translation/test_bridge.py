"""Crossing from one format to another: one call each, and conversations of twenty turns."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from gateway import surfaces
from gateway.errors import BrokenAnswer, NotCarried
from gateway.translation.base import Answering
from gateway.translation.bridge import Bridge, Crossing, StreamCrossing, reach
from gateway.translation.conversation import (
    Message,
    Reply,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.formats import PROVIDERS
from gateway.wire.base import Wire
from telemetry.records import Usage
from tests.fakes.clouds import check_converse
from tests.fakes.conversations import SCHEMAS

CALL_ID = "01a20024-2b15-73c7-94d1-c470f1de3982"
OWN_ID = "resp_01a200242b1573c794d1c470f1de3982"
CHAT, RESPONSES, MESSAGES, GENERATE, CONVERSE = (
    "openai.chat",
    "openai.responses",
    "anthropic.messages",
    "gemini.generate",
    "bedrock.converse",
)
CLIENTS = (CHAT, RESPONSES, MESSAGES, GENERATE)
MODELS = {
    CHAT: "llama-4",
    RESPONSES: "gpt-5",
    MESSAGES: "claude-sonnet-4-5",
    GENERATE: "gemini-3-flash",
    CONVERSE: "anthropic.claude-sonnet-4-5-v1:0",
}
HELLO: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "hello"}]},
    RESPONSES: {"input": "hello"},
    MESSAGES: {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 9},
    GENERATE: {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
}
SAID = Reply(id="x-1", model="m-1", parts=(Text("Hello!"),), usage=Usage(input_uncached=3, output_text=2))


def wire_of(surface: str, *, stream: bool = False) -> Wire:
    if surface == GENERATE:
        return surfaces.GEMINI["streamGenerateContent?alt=sse" if stream else "generateContent"]
    wires = {**surfaces.OPENAI, **surfaces.ANTHROPIC}
    return next(wire for wire in wires.values() if wire.surface == surface)


def cross(
    client: str,
    provider: str,
    body: dict[str, Any],
    *,
    stream: bool = False,
    lenient: bool = False,
    drop: tuple[str, ...] = (),
) -> Crossing:
    return Bridge(provider, lenient=lenient).cross(
        wire_of(client, stream=stream),
        msgspec.json.encode(body),
        model=MODELS[provider],
        stream=stream,
        wants_usage=True,
        include_usage=True,
        drop=drop,
        call_id=CALL_ID,
        created_s=1_790_000_000,
        previous="resp_before" if client == RESPONSES else "",
    )


def answer_of(provider: str, reply: Reply) -> bytes:
    """The document in which a provider says this."""
    if provider == CONVERSE:
        return _converse(reply)
    answering = Answering(call_id="c", created_s=1, model="m-1", request=Request(messages=()))
    form: Any = PROVIDERS[provider]
    written: bytes = form.write_reply(reply, answering)
    return written


def _converse(reply: Reply) -> bytes:
    content: list[dict[str, Any]] = []
    for part in reply.parts:
        match part:
            case Text():
                content.append({"text": part.text})
            case Thinking():
                said = {"text": part.text, "signature": part.signature}
                content.append({"reasoningContent": {"reasoningText": said}})
            case ToolCall():
                use = {"toolUseId": part.id, "name": part.name, "input": msgspec.Raw(part.arguments.encode())}
                content.append({"toolUse": use})
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    message = {"role": "assistant", "content": content}
    reason = "tool_use" if reply.stop == "tool_calls" else "end_turn"
    return msgspec.json.encode({"output": {"message": message}, "stopReason": reason, "usage": usage})


# --- where to ask, and what is lost ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("surface", "speaks", "native", "found"),
    [
        (CHAT, {MESSAGES, CHAT}, set(), MESSAGES),
        (MESSAGES, {CHAT, RESPONSES}, set(), CHAT),
        (MESSAGES, {CHAT, RESPONSES}, {RESPONSES}, RESPONSES),
        (RESPONSES, {CONVERSE}, set(), CONVERSE),
        ("openai.embeddings", {CHAT}, set(), ""),
        ("gemini.count", {MESSAGES}, set(), ""),
        (CHAT, {"openai.embeddings"}, set(), ""),
    ],
)
def test_a_provider_is_asked_where_the_most_survives(
    surface: str, speaks: set[str], native: set[str], found: str
) -> None:
    assert reach(surface, speaks, native) == found


def test_what_has_no_place_is_refused_in_the_clients_words() -> None:
    with pytest.raises(NotCarried, match="seed") as chat:
        cross(CHAT, MESSAGES, {**HELLO[CHAT], "seed": 7})
    with pytest.raises(NotCarried) as generate:
        cross(GENERATE, CHAT, {**HELLO[GENERATE], "generationConfig": {"topK": 3}})
    with pytest.raises(NotCarried) as bias:
        cross(CHAT, GENERATE, {**HELLO[CHAT], "logit_bias": {"1": 2}})

    assert (chat.value.param, chat.value.code, chat.value.status) == ("seed", "unsupported_parameter", 400)
    assert generate.value.param == "generationConfig.topK"
    assert bias.value.param == "logit_bias"


def test_what_has_no_place_is_left_out_and_told_where_that_is_allowed() -> None:
    body = {**HELLO[CHAT], "seed": 7, "logit_bias": {"1": 2}, "store": True}

    crossing = cross(CHAT, MESSAGES, body, lenient=True)

    assert set(crossing.dropped) == {"seed", "logit_bias", "store"}
    assert len(crossing.dropped) == 3
    assert b"seed" not in crossing.body


def test_what_changes_nothing_never_makes_a_request_fail() -> None:
    body = {**HELLO[CHAT], "metadata": {"a": "b"}, "store": True, "service_tier": "flex", "user": "ada"}

    crossing = cross(CHAT, CONVERSE, body)

    assert {"metadata", "store"} <= set(crossing.dropped)


def test_nothing_lost_is_nothing_said() -> None:
    for client in CLIENTS:
        for provider in set(PROVIDERS) - {client}:
            assert cross(client, provider, HELLO[client]).dropped == ()


def test_a_body_that_is_no_request_is_not_carried() -> None:
    with pytest.raises(NotCarried) as error:
        cross(CHAT, MESSAGES, {"messages": 5})

    assert error.value.param == "messages"


def test_the_gateways_own_fields_are_taken_out() -> None:
    body = {**HELLO[CHAT], "customer_identifier": "ada"}

    assert cross(CHAT, MESSAGES, body, drop=("customer_identifier",)).dropped == ()


@pytest.mark.parametrize("stream", [False, True])
def test_only_gemini_is_told_of_a_stream_in_the_query(*, stream: bool) -> None:
    asked = {client: {**HELLO[client], **({"stream": True} if stream else {})} for client in CLIENTS}

    assert cross(CHAT, GENERATE, asked[CHAT], stream=stream).query == (b"alt=sse" if stream else b"")
    assert cross(CHAT, MESSAGES, asked[CHAT], stream=stream).query == b""


# --- how an answer comes back ----------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_document_is_told_in_the_clients_format_once_all_of_it_is_there(client: str, provider: str) -> None:
    reading = cross(client, provider, HELLO[client]).reading(stream=False)
    said = answer_of(provider, SAID)

    assert not reading.began
    assert (reading.feed(said[:9]), reading.feed(said[9:])) == (b"", b"")
    assert reading.began
    assert not reading.finding().complete
    told = reading.end()
    found = reading.finding()

    assert b"Hello!" in told
    assert (found.complete, found.finish_reason) == (True, "end")
    assert found.usage is not None
    assert (found.usage.input_total, found.usage.output_total) == (3, 2)
    form: Any = PROVIDERS[client]
    assert "".join(part.text for part in form.read_reply(told).parts) == "Hello!"


@pytest.mark.parametrize("said", [b"", b"[]", b"<html>", b"{}", b'{"choices":', b"\xff", b"[" * 2000])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_that_is_none_is_broken_and_worth_another_try(provider: str, said: bytes) -> None:
    reading = cross(MESSAGES, provider, HELLO[MESSAGES]).reading(stream=False)
    reading.feed(said)

    with pytest.raises(BrokenAnswer) as error:
        reading.end()

    assert error.value.retryable


def test_responses_have_ids_of_ours_and_name_the_one_before() -> None:
    crossing = cross(RESPONSES, MESSAGES, HELLO[RESPONSES])
    reading = crossing.reading(stream=False)
    reading.feed(answer_of(MESSAGES, SAID))

    told = msgspec.json.decode(reading.end())

    assert (told["id"], told["previous_response_id"]) == (OWN_ID, "resp_before")
    assert reading.finding().response_id == OWN_ID


def test_others_keep_the_providers_id() -> None:
    reading = cross(CHAT, MESSAGES, HELLO[CHAT]).reading(stream=False)
    reading.feed(answer_of(MESSAGES, SAID))
    reading.end()

    assert reading.finding().response_id == "x-1"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_call_without_an_id_gets_one_where_results_name_theirs(client: str) -> None:
    calls = (ToolCall(id="", name="f"), ToolCall(id="", name="f"))
    reading = cross(client, GENERATE if client != GENERATE else CHAT, HELLO[client]).reading(stream=False)
    provider = GENERATE if client != GENERATE else CHAT
    reading.feed(answer_of(provider, msgspec.structs.replace(SAID, parts=calls, stop="tool_calls")))

    form: Any = PROVIDERS[client]
    found = form.read_reply(reading.end()).parts

    assert len({one.id for one in found if isinstance(one, ToolCall)}) == 2
    assert all(one.id for one in found)


def test_headers_of_the_body_are_not_the_providers_and_anthropics_clients_find_an_id() -> None:
    headers = [(b"content-type", b"x/y"), (b"content-length", b"5"), (b"x-ratelimit-remaining", b"7")]
    crossing = cross(MESSAGES, GENERATE, HELLO[MESSAGES])

    kept, content_type = crossing.answered(headers, stream=False)
    named, _ = crossing.answered([(b"request-id", b"req_1")], stream=False)

    assert content_type == "application/json"
    assert dict(kept) == {
        b"x-ratelimit-remaining": b"7",
        b"content-type": b"application/json",
        b"request-id": CALL_ID.encode(),
    }
    assert [value for name, value in named if name == b"request-id"] == [b"req_1"]


def test_a_stream_is_one_only_where_it_was_asked_for_and_comes() -> None:
    asked = cross(CHAT, CONVERSE, {**HELLO[CHAT], "stream": True}, stream=True)
    plain = cross(CHAT, CONVERSE, HELLO[CHAT])

    assert asked.streams("application/vnd.amazon.eventstream")
    assert not asked.streams("application/json")
    assert not plain.streams("application/vnd.amazon.eventstream")


# --- streams ---------------------------------------------------------------------------------------

CLAUDES = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"m-1","usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo!"}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Slow down."}}\n\n'
LASTS = {CHAT: b"[DONE]", RESPONSES: b"response.completed", GENERATE: b'"finishReason"'}


def streaming(client: str) -> StreamCrossing:
    body = {**HELLO[client], **({} if client == GENERATE else {"stream": True})}
    reading = cross(client, MESSAGES, body, stream=True).reading(stream=True)
    assert isinstance(reading, StreamCrossing)
    return reading


@pytest.mark.parametrize("client", LASTS)
def test_a_streams_last_event_is_held_back_until_its_end(client: str) -> None:
    reading = streaming(client)

    begun = reading.feed(CLAUDES[0] + CLAUDES[1])
    assert not reading.began
    words = reading.feed(CLAUDES[2])
    assert reading.began
    assert b"Hel" in words
    rest = b"".join(map(reading.feed, CLAUDES[3:]))
    assert LASTS[client] not in begun + words + rest
    assert LASTS[client] in reading.end()
    found = reading.finding()
    assert (found.complete, found.finish_reason, found.response_model) == (True, "end", "m-1")
    assert found.usage is not None
    assert (found.usage.input_total, found.usage.output_total) == (3, 2)
    assert found.response_id == (OWN_ID if client == RESPONSES else "msg_1")


@pytest.mark.parametrize("client", LASTS)
def test_a_stream_that_was_cut_has_no_last_event(client: str) -> None:
    reading = streaming(client)
    told = b"".join(map(reading.feed, CLAUDES[:4])) + reading.end()

    assert LASTS[client] not in told
    assert not reading.finding().complete
    assert not reading.finding().error
    usage = reading.finding().usage
    assert usage is not None
    assert usage.input_total == 3


@pytest.mark.parametrize("client", LASTS)
def test_an_error_of_the_providers_is_told_as_the_clients_api_would(client: str) -> None:
    reading = streaming(client)
    told = b"".join(map(reading.feed, (*CLAUDES[:3], ERROR))) + reading.end()

    assert reading.finding().error == "Slow down."
    assert not reading.finding().complete
    assert b"Slow down." in told
    assert LASTS[client] not in told


def test_the_id_of_a_response_is_known_with_its_first_event() -> None:
    reading = streaming(RESPONSES)
    told = reading.feed(CLAUDES[0])

    assert OWN_ID.encode() in told
    assert reading.finding().response_id == OWN_ID


# --- twenty turns ----------------------------------------------------------------------------------

TURNS = 20
CACHED = {"cache_control": {"type": "ephemeral"}}


class Turn(NamedTuple):
    """What is unique in a turn."""

    question: str
    image: str
    signature: str
    answer: str
    calls: tuple[tuple[str, str], ...]
    """Arguments and result of each."""


def turn(number: int) -> Turn:
    calls = tuple((f"call-{number:02}{one}", f"result-{number:02}{one}") for one in "ab")
    return Turn(
        f"question-{number:02}",
        _base64(f"image {number:04}"),
        _base64(f"signature {number:05}"),
        f"answer-{number:02}",
        calls,
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode().ljust(3 * (len(text) // 3 + 1), b".")).decode()


def reply_to(asked: Turn, provider: str, *, last: bool) -> Reply:
    """A thought, then words and calls of two functions at once."""
    family = PROVIDERS[provider].family
    thought = Thinking(text="Hm.", signature=asked.signature if signs(provider) else "", origin=family)
    calls = tuple(
        ToolCall(id=_id(provider, one), name="look_up", arguments=f'{{"q":"{one}"}}')
        for one, _ in asked.calls
    )
    if last:
        return Reply(parts=(thought, Text(asked.answer)), usage=Usage())
    return Reply(parts=(thought, *calls), stop="tool_calls", usage=Usage())


def _id(provider: str, name: str) -> str:
    return "" if provider == GENERATE else f"{'toolu' if provider == MESSAGES else 'call'}_{name[-3:]}"


def signs(provider: str) -> bool:
    return provider != CHAT


class Talk:
    """A client's conversation in its own format."""

    def __init__(self, client: str) -> None:
        self.said: list[Any] = []
        self._tell, self._ask, self._return = HABITS[client]

    def ask(self, asked: Turn) -> None:
        self.said.append(self._ask(asked))

    def take(self, answer: Any, asked: Turn) -> None:
        """Put the answer into the conversation as it is, and what its calls returned after it."""
        self.said += self._tell(answer)
        self.said += self._return(answer, asked)


Habit = tuple[Callable[[Any], list[Any]], Callable[[Turn], Any], Callable[[Any, Turn], list[Any]]]


def _results(asked: Turn, ids: list[str]) -> Iterator[tuple[str, str]]:
    return zip(ids, [result for _, result in asked.calls], strict=True) if ids else iter(())


def _return_to_chat(answer: Any, asked: Turn) -> list[Any]:
    ids = [one["id"] for one in answer["choices"][0]["message"].get("tool_calls") or ()]
    return [{"role": "tool", "tool_call_id": one, "content": said} for one, said in _results(asked, ids)]


def _return_to_responses(answer: Any, asked: Turn) -> list[Any]:
    ids = [one["call_id"] for one in answer["output"] if one["type"] == "function_call"]
    return [
        {"type": "function_call_output", "call_id": one, "output": said} for one, said in _results(asked, ids)
    ]


def _return_to_messages(answer: Any, asked: Turn) -> list[Any]:
    ids = [one["id"] for one in answer["content"] if one["type"] == "tool_use"]
    content = [
        {"type": "tool_result", "tool_use_id": one, "content": said} for one, said in _results(asked, ids)
    ]
    return [{"role": "user", "content": content}] if content else []


def _return_to_generate(answer: Any, asked: Turn) -> list[Any]:
    parts = answer["candidates"][0]["content"]["parts"]
    ids = [one["functionCall"].get("id", "") for one in parts if "functionCall" in one]
    responses = [
        {"functionResponse": {"name": "look_up", "response": {"output": said}} | ({"id": one} if one else {})}
        for one, said in _results(asked, ids)
    ]
    for one in responses:
        one["functionResponse"].update({"name": "look_up"})
    return [{"role": "user", "parts": responses}] if responses else []


HABITS: dict[str, Habit] = {
    CHAT: (
        lambda answer: [answer["choices"][0]["message"]],
        lambda asked: {
            "role": "user",
            "content": [
                {"type": "text", "text": asked.question},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{asked.image}"}},
            ],
        },
        _return_to_chat,
    ),
    RESPONSES: (
        lambda answer: list(answer["output"]),
        lambda asked: {
            "role": "user",
            "content": [
                {"type": "input_text", "text": asked.question},
                {"type": "input_image", "image_url": f"data:image/png;base64,{asked.image}"},
            ],
        },
        _return_to_responses,
    ),
    MESSAGES: (
        lambda answer: [{"role": "assistant", "content": answer["content"]}],
        lambda asked: {
            "role": "user",
            "content": [
                {"type": "text", "text": asked.question},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": asked.image},
                },
            ],
        },
        _return_to_messages,
    ),
    GENERATE: (
        lambda answer: [answer["candidates"][0]["content"]],
        lambda asked: {
            "role": "user",
            "parts": [
                {"text": asked.question},
                {"inlineData": {"mimeType": "image/png", "data": asked.image}},
            ],
        },
        _return_to_generate,
    ),
}
SCHEMA = msgspec.json.decode(SCHEMAS[0])


def body_of(client: str, said: list[Any]) -> dict[str, Any]:
    """The request that holds the conversation so far."""
    tool = {"name": "look_up", "description": "Look it up."}
    match client:
        case "openai.chat":
            function = {**tool, "parameters": SCHEMA}
            return {
                "messages": [{"role": "system", "content": "Be brief."}, *said],
                "tools": [{"type": "function", "function": function}],
                "reasoning_effort": "low",
            }
        case "openai.responses":
            function = {"type": "function", **tool, "parameters": SCHEMA, "strict": False}
            return {
                "input": said,
                "instructions": "Be brief.",
                "tools": [function],
                "store": False,
                "include": ["reasoning.encrypted_content"],
                "reasoning": {"effort": "low"},
            }
        case "anthropic.messages":
            return {
                "messages": said,
                "system": [{"type": "text", "text": "Be brief.", **CACHED}],
                "tools": [{**tool, "input_schema": SCHEMA, **CACHED}],
                "max_tokens": 4096,
                "thinking": {"type": "enabled", "budget_tokens": 1024},
            }
        case _:
            return {
                "contents": said,
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "tools": [{"functionDeclarations": [{**tool, "parametersJsonSchema": SCHEMA}]}],
                "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
            }


def hold(client: str, provider: str) -> tuple[bytes, list[str]]:
    """Hold the whole conversation; return the last request, and in their order what must be in it."""
    talk, marks = Talk(client), list[str]()
    for number in range(TURNS):
        asked = turn(number)
        talk.ask(asked)
        marks += [asked.question, asked.image]
        for last in (False, True):
            crossing = cross(client, provider, body_of(client, talk.said))
            reading = crossing.reading(stream=False)
            reading.feed(answer_of(provider, reply_to(asked, provider, last=last)))
            talk.take(msgspec.json.decode(reading.end()), asked)
            marks += [asked.signature] if signs(provider) else []
            marks += (
                [asked.answer]
                if last
                else [words for pair in zip(*asked.calls, strict=True) for words in pair]
            )
    talk.ask(turn(TURNS))
    return cross(client, provider, body_of(client, talk.said)).body, marks


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_twenty_turns_with_parallel_tools_thoughts_and_images_lose_nothing(
    client: str, provider: str
) -> None:
    body, marks = hold(client, provider)

    assert b"Be brief." in body
    at = 0
    for mark in marks:
        found = body.find(mark.encode(), at)
        assert found >= 0, f"{mark} is not where it was said"
        at = found + len(mark)
    if provider == CONVERSE:
        check_converse(body, MODELS[CONVERSE])
        return
    form: Any = PROVIDERS[provider]
    _check_results(form.read_request(body).messages)


def _check_results(messages: tuple[Message, ...]) -> None:
    """Every call has its own result in the message after it."""
    open_: list[ToolCall] = []
    count = 0
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for call, result in zip(open_[: len(results)], results, strict=True):
            assert call.id == result.id
            (said,) = result.parts
            assert isinstance(said, Text)
            assert said.text.removeprefix("result") in call.arguments.replace("call", "")
            count += 1
        open_ = open_[len(results) :]
        open_ += [part for part in message.parts if isinstance(part, ToolCall)]
    assert not open_
    assert count == 2 * TURNS


@pytest.mark.parametrize("provider", [CONVERSE])
def test_cache_points_of_a_long_conversation_stand_where_they_stood(provider: str) -> None:
    talk = Talk(MESSAGES)
    for number in range(TURNS):
        asked = turn(number)
        talk.ask(asked)
        talk.said.append({"role": "assistant", "content": [{"type": "text", "text": asked.answer}]})
    talk.ask(turn(TURNS))
    talk.said[-3]["content"][-1].update(CACHED)
    talk.said[-1]["content"][0]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}

    said = msgspec.json.decode(cross(MESSAGES, provider, body_of(MESSAGES, talk.said)).body)

    point = {"cachePoint": {"type": "default"}}
    assert said["system"] == [{"text": "Be brief."}, point]
    assert said["toolConfig"]["tools"][-1] == point
    assert said["messages"][-3]["content"][-1] == point
    assert said["messages"][-1]["content"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert msgspec.json.encode(said).count(b"cachePoint") == 4
