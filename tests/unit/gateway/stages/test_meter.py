"""Tokens and money of a call that is over."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from gateway.asgi import Client
from gateway.exchange import KEEP_BYTES, Exchange, Identity
from gateway.principal import Principal
from gateway.stages.meter import Meter
from gateway.wire.anthropic_count import AnthropicCount
from gateway.wire.anthropic_messages import AnthropicMessages
from gateway.wire.base import Wire
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_embeddings import OpenAIEmbeddings
from gateway.wire.openai_responses import KeptResponse, OpenAIResponses
from gateway.wire.passthrough import PassThrough
from telemetry.records import Attempt, Cost, Usage

ATTEMPT = Attempt(deployment="sandbox/echo", provider="sandbox", model="echo", http_status=200)
ANSWER = b'{"model": "echo", "choices": [{"message": {"content": "high tide"}, "finish_reason": "stop"}]%b}'
USAGE = b', "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}'
EVENT = b'data: {"choices": [{"delta": {"content": "eight by"}}]}\n\n'


def exchange(answer: bytes, *, wire: Wire | None = None, stream: bool = False) -> Exchange:
    """Return an exchange whose answer has passed."""
    made = Exchange(
        call_id="c",
        wire=wire or OpenAIChat(),
        headers={},
        body=b"x" * 40,
        client=cast("Client", None),
        started_at_us=1,
        started_ns=1,
        principal=Principal(key_id="k"),
        identity=Identity(event_id="e"),
    )
    made.attempts.append(ATTEMPT)
    made.reading = made.wire.reading(stream=stream, strip_usage=False)
    made.content_type = "text/event-stream" if stream else "application/json"
    made.reading.feed(answer)
    made.reading.end()
    made.answer, made.answer_bytes = [answer], len(answer)
    return made


def test_the_providers_usage_is_taken_as_it_is() -> None:
    call = exchange(ANSWER % USAGE)

    Meter().settle(call)

    assert (call.usage, call.usage_source) == (Usage(input_uncached=9, output_text=4), "provider")


def test_without_a_price_table_the_cost_is_unknown_and_says_why() -> None:
    call = exchange(ANSWER % USAGE)

    Meter().settle(call)

    assert (call.cost.total_nano_usd, call.cost.reason) == (None, "no_price_table")


def test_an_answer_without_usage_is_estimated_from_its_words() -> None:
    call = exchange(ANSWER % b"")

    Meter().settle(call)

    assert call.usage_source == "estimated"
    assert call.usage == Usage(input_uncached=10, output_text=3)


@pytest.mark.parametrize("drained", [0, 2])
def test_a_stream_that_was_left_is_estimated_from_all_that_came(drained: int) -> None:
    call = exchange(EVENT * 2, stream=True)
    call.drained = [EVENT] * drained

    Meter().settle(call)

    assert call.usage.output_text == 4 + 2 * drained


def test_of_a_long_answer_the_part_that_was_kept_stands_for_the_rest() -> None:
    call = exchange(EVENT * 2, stream=True)
    call.answer_bytes = KEEP_BYTES + 1

    Meter().settle(call)

    words, seen = len("eight by" * 2), len(EVENT * 2)
    assert call.usage.output_text == math.ceil(words * (KEEP_BYTES + 1) // seen / 4)


def test_embeddings_have_no_output() -> None:
    call = exchange(b'{"data": []}', wire=OpenAIEmbeddings())

    Meter().settle(call)

    assert call.usage == Usage(input_uncached=10)


def test_a_call_that_nobody_answered_has_no_tokens_and_no_cost() -> None:
    call = exchange(b"")
    call.reading = None

    Meter().settle(call)

    assert (call.usage, call.usage_source) == (Usage(), "none")
    assert call.cost.reason == "no_answer"


BEGUN = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"echo",'
    b'"usage":{"input_tokens":70,"cache_read_input_tokens":5,"output_tokens":1}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"eight by"}}\n\n'
)


def test_of_a_stream_that_ends_before_its_output_is_counted_only_the_output_is_estimated() -> None:
    call = exchange(BEGUN, wire=AnthropicMessages(), stream=True)

    Meter().settle(call)

    assert call.usage == Usage(input_uncached=70, cache_read=5, output_text=2)
    assert call.usage_source == "estimated"


def test_counting_tokens_takes_none_and_costs_nothing() -> None:
    call = exchange(b'{"input_tokens":14}', wire=AnthropicCount())

    Meter().settle(call)

    assert (call.usage, call.usage_source) == (Usage(), "none")
    assert (call.cost.total_nano_usd, call.cost.price_row, call.cost.reason) == (0, "free", "")


def test_what_a_background_response_used_is_not_known_yet() -> None:
    call = exchange(b'{"id":"r","status":"queued","usage":null}', wire=OpenAIResponses())

    Meter().settle(call)

    assert (call.usage, call.usage_source, call.cost) == (Usage(), "none", Cost(reason="no_usage"))


def test_what_an_earlier_call_has_counted_is_free() -> None:
    answer = b'{"id":"r","status":"completed","usage":{"input_tokens":9,"output_tokens":4}}'
    call = exchange(answer, wire=KeptResponse("retrieve", "GET"))

    Meter().settle(call)

    assert (call.usage, call.usage_source, call.cost.total_nano_usd) == (Usage(), "none", 0)


def test_a_response_that_breaks_off_is_estimated() -> None:
    event = b'data: {"type":"response.output_text.delta","delta":"eight by"}\n\n'
    call = exchange(event * 3, wire=OpenAIResponses(), stream=True)

    Meter().settle(call)

    assert (call.usage, call.usage_source) == (Usage(input_uncached=10, output_text=6), "estimated")


@pytest.mark.parametrize(
    ("due", "answer", "cost"),
    [
        ("untold", b'{"id": "modr-1"}', Cost(reason="no_usage")),
        ("untold", b'{"usage": {"type": "duration", "seconds": 9}}', Cost(reason="no_rate:units")),
        ("batch", b'{"id": "batch_1"}', Cost(reason="pending")),
        ("elsewhere", b'{"usage": {"prompt_tokens": 9}}', Cost(total_nano_usd=0, price_row="free")),
    ],
)
def test_what_is_only_passed_on_is_never_estimated(due: Any, answer: bytes, cost: Cost) -> None:
    call = exchange(answer, wire=PassThrough("openai", "other", due))

    Meter().settle(call)

    assert (call.usage, call.cost) == (Usage(), cost)
    assert call.usage_source == ("provider" if b"seconds" in answer else "none")
