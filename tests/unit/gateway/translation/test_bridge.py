"""Crossing from one format to another."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BrokenAnswer, NotCarried
from gateway.translation.bridge import StreamCrossing, reach
from gateway.translation.conversation import ToolCall
from gateway.translation.formats import PROVIDERS
from tests.fakes.crossings import (
    CALL_ID,
    CHAT,
    CLIENTS,
    CONVERSE,
    GENERATE,
    HELLO,
    MESSAGES,
    OWN_ID,
    RESPONSES,
    SAID,
    answer_of,
    cross,
)

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


def test_names_come_from_the_body_and_are_cut() -> None:
    body = {**HELLO[CHAT], **{f"{number:03}" * 100: 1 for number in range(100)}}

    dropped = cross(CHAT, MESSAGES, body, lenient=True).dropped

    assert (len(dropped), {len(name) for name in dropped}) == (64, {64})


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

    unbegun = reading.began
    assert (reading.feed(said[:9]), reading.feed(said[9:])) == (b"", b"")
    assert (unbegun, reading.began) == (False, True)
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
    unbegun = reading.began
    words = reading.feed(CLAUDES[2])
    assert (unbegun, reading.began) == (False, True)
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
