"""What OpenAI's own client makes of responses, and of streams of them."""

from __future__ import annotations

from typing import Any

import msgspec
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.wire import sse

_EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def document(body: bytes) -> Response:
    """The response, every field of its documented type."""
    return Response.model_validate(msgspec.json.decode(body), strict=True)


def split(stream: bytes) -> list[dict[str, Any]]:
    """The events' data; each is named as its type says."""
    events = []
    at = 0
    while at < len(stream):
        end = sse.end_of(stream, at)
        data = msgspec.json.decode(sse.data_of(stream[at:end]))
        assert stream[at:end].startswith(b"event: " + data["type"].encode() + b"\n")
        events.append(data)
        at = end
    return events


def streamed(stream: bytes) -> Response:
    """The last response of a stream whose events are all as documented and add up to it."""
    state = ResponseStreamState[Any](input_tools=omit, text_format=omit)
    events = [_EVENTS.validate_python(data, strict=True) for data in split(stream)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    for event in events[:-1]:
        state.handle_event(event)
    grown = state._ResponseStreamState__current_snapshot  # type: ignore[attr-defined]
    last = events[-1]
    assert last.type == "response.completed" or last.type == "response.incomplete"
    assert [item.type for item in grown.output] == [item.type for item in last.response.output]
    assert grown.output_text == last.response.output_text
    return last.response
