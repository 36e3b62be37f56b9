"""Writes an answer for a client."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from gateway.translation.base import Answering
from gateway.translation.conversation import Media, Refusal, Reply, Text, Thinking, ToolCall
from gateway.translation.gemini import citing, counting, likelihood, media, signatures, stops
from gateway.translation.gemini.answered import Blob, Call, Candidate, Content, Part, Response
from gateway.translation.gemini.contents_out import arguments


def write_reply(reply: Reply, answering: Answering) -> bytes:
    """Return the answer as one document. There is always a part, as old clients look at the first."""
    cited: list[citing.Cited] = []
    text = ""
    for part in reply.parts:
        if isinstance(part, Text):
            cited += ((len(text), citation) for citation in part.citations)
        if isinstance(part, Text | Refusal):
            text += part.text
    result, average = likelihood.write(reply.logprobs)
    candidate = Candidate(
        content=Content(parts=[written(part) for part in reply.parts] or [Part(text="")], role="model"),
        finish_reason=stops.write(reply.stop),
        index=0,
        grounding_metadata=citing.write(cited, text),
        avg_logprobs=average,
        logprobs_result=result,
    )
    usage = reply.usage
    return msgspec.json.encode(
        Response(
            candidates=[candidate],
            usage_metadata=UNSET if usage is None else counting.write(usage, reply.service_tier),
            model_version=reply.model or answering.model,
            response_id=reply.id or answering.call_id,
        )
    )


def written(part: Text | Media | Thinking | ToolCall | Refusal) -> Part:
    """Return one part."""
    if isinstance(part, Text | Refusal):
        return Part(text=part.text)
    if isinstance(part, ToolCall):
        return called(part.id, part.name, part.arguments, signatures.write(part.signature, part.origin))
    if isinstance(part, Media):
        data, media_type = media.bytes_of(part)
        return Part(inline_data=Blob(mime_type=media_type, data=data))
    signed = signatures.write(part.signature, part.origin)
    return Part(text=part.text, thought=None if part.hidden else True, thought_signature=signed)


def called(id: str, name: str, said: str, signed: str | None) -> Part:  # noqa: A002 - as Call has it
    """Return the call of a function."""
    return Part(
        function_call=Call(name=name, args=arguments(said), id=id or None),
        thought_signature=signed,
    )
