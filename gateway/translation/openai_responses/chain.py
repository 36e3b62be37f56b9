"""Conversations that are told in pieces: a request that goes on from an earlier response, whoever made that.

Instructions and settings are not inherited. Source: OpenAI's OpenAPI description, `instructions` (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.wire import openai_body
from gateway.wire.sse import data_of, end_of

_LAST = frozenset({"response.completed", "response.incomplete"})
_ABSENT = msgspec.Raw(b"")
_MARKS = tuple(f'"{kind}"'.encode() for kind in _LAST)


class _Request(msgspec.Struct):
    input: str | list[msgspec.Raw] | None = None


class _Response(msgspec.Struct):
    output: list[msgspec.Raw]


class _Event(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = _ABSENT


_requests = msgspec.json.Decoder(_Request)
_responses = msgspec.json.Decoder(_Response)
_events = msgspec.json.Decoder(_Event)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


def input_items(request_body: bytes) -> list[msgspec.Raw]:
    """Return what a request says, as items; raise ValueError (msgspec's errors are)."""
    return _items(_requests.decode(request_body))


def final_response(answer: bytes) -> msgspec.Raw:
    """Return the response that an answer is, or, if that is a stream, ends with; raise ValueError if it has none."""
    if answer.lstrip().startswith(b"{"):
        return msgspec.Raw(answer)
    at = 0
    while at < len(answer):
        end = end_of(answer, at)
        data = data_of(answer[at:end])
        if any(mark in data for mark in _MARKS):
            event = _events.decode(data)
            if event.type in _LAST and event.response is not _ABSENT:
                return event.response
        at = end
    raise ValueError("the stream has no end")


def output_items(response: bytes) -> list[msgspec.Raw]:
    """Return what a response says, as items for a request; raise ValueError."""
    return _responses.decode(response).output


def with_history(body: bytes, items: Sequence[msgspec.Raw]) -> bytes:
    """Return the request with these items before its input, and without `previous_response_id`; raise BadRequest."""
    fields = openai_body.decode(_objects, body)
    new = _items(openai_body.decode(_requests, body))
    fields.pop("previous_response_id", None)
    fields["input"] = msgspec.Raw(_encode([*items, *new]))
    return _encode(fields)


def _items(said: _Request) -> list[msgspec.Raw]:
    if isinstance(said.input, str):
        return [msgspec.Raw(_encode({"type": "message", "role": "user", "content": said.input}))]
    return said.input or []
