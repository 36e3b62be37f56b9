"""Tokens and money of a call that is over."""

from __future__ import annotations

import math
from typing import cast

import pytest

from gateway.asgi import Client
from gateway.exchange import KEEP_BYTES, Exchange, Identity
from gateway.principal import Principal
from gateway.stages.meter import Meter
from gateway.wire.base import Wire
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_embeddings import OpenAIEmbeddings
from telemetry.records import Attempt, Usage

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
