"""Reads a response that is one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gateway.errors import BadRequest
from gateway.translation.conversation import Logprob, Media, Refusal, Reply, Stop, Text, Thinking, ToolCall
from gateway.translation.openai_responses.items_in import read_call, read_picture, read_thought, signed
from gateway.translation.openai_responses.parts import read_part
from gateway.translation.openai_responses.shapes import Item, Logprobs, Part, Response
from gateway.wire.openai_answer import error_message, object_bytes
from gateway.wire.openai_usage import parse_usage

ReplyPart = Text | Media | Thinking | ToolCall | Refusal

_responses = msgspec.json.Decoder(Response, strict=False)
_STOPS: dict[str | None, Stop] = {"max_output_tokens": "length", "content_filter": "filter"}


def read_reply(body: bytes) -> Reply:
    """Read an answer; raise ValueError if it is none, or says that it failed."""
    said = _responses.decode(body)
    if said.output is None or said.status == "failed":
        raise ValueError(error_message(said.error) or "a response without output")
    parts = list(_read_output(said.output))
    contents = [part for item in said.output for part in content_of(item)]
    raw_usage = object_bytes(said.usage)
    return Reply(
        id=said.id or "",
        model=said.model or "",
        parts=tuple(parts),
        stop=stop_of(
            said,
            called=any(isinstance(part, ToolCall) for part in parts),
            refused=any(isinstance(part, Refusal) for part in parts),
        ),
        logprobs=tuple(one for part in contents for one in read_logprobs(part.logprobs)),
        usage=parse_usage(raw_usage) if raw_usage else None,
        raw_usage=raw_usage,
        service_tier=said.service_tier or "",
    )


def _read_output(items: Iterable[Item]) -> Iterator[ReplyPart]:
    """Yield what the items say; what OpenAI's own tools did is passed over."""
    signature: Thinking | None = None
    for item in items:
        if item.type == "reasoning":
            thought, of_call = read_thought(item)
            if of_call:
                signature = thought
            else:
                yield thought
        elif (call := read_call(item)) is not None:
            yield signed(call, signature)
            signature = None
        elif item.type == "image_generation_call":
            if (picture := read_picture(item)) is not None:
                yield picture
        else:
            yield from read_content(content_of(item))


def content_of(item: Item) -> list[Part]:
    """Return the parts of a message."""
    return item.content if item.type == "message" and isinstance(item.content, list) else []


def read_content(parts: Iterable[Part]) -> Iterator[Text | Media | Refusal]:
    """Yield what the parts of a message say; those that nobody knows are passed over."""
    for part in parts:
        try:
            yield read_part(part, "")
        except BadRequest:
            continue


def read_logprobs(said: Iterable[Logprobs] | None) -> tuple[Logprob, ...]:
    """Read how likely tokens were."""
    return tuple(
        Logprob(token=one.token, logprob=one.logprob, top=read_logprobs(one.top_logprobs))
        for one in said or ()
    )


def stop_of(said: Response, *, called: bool, refused: bool) -> Stop:
    """Return why the model stopped."""
    if said.status == "incomplete" or said.incomplete_details is not None:
        details = said.incomplete_details
        return _STOPS.get(details.reason if details is not None else None, "other")
    if called:
        return "tool_calls"
    return "refusal" if refused else "end"
