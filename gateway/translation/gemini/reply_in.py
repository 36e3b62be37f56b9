"""Reads a provider's answer."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from gateway.translation.conversation import Reply, Text, ToolCall
from gateway.translation.events import Counted
from gateway.translation.gemini import answered, citing, likelihood, media, stops
from gateway.translation.gemini.answered import Candidate, Part, Response
from gateway.translation.gemini.turn import Turn, arguments_of
from gateway.wire.gemini_usage import parse_usage, service_tier


def read_reply(body: bytes) -> Reply:
    """Return the answer; raise ValueError if it is none."""
    said = answered.decode(body)
    if said.candidates is None and said.prompt_feedback is None:
        raise ValueError("it has no candidates")
    turn = Turn()
    candidate = answered.first(said) or Candidate()
    for part in candidate.content.parts or () if candidate.content else ():
        add(turn, part)
    _cite(turn, candidate)
    counted = counted_in(said)
    blocked = said.prompt_feedback.block_reason if said.prompt_feedback else None
    called = any(isinstance(part, ToolCall) for part in turn.parts)
    stop = stops.read(candidate.finish_reason, called=called)
    return Reply(
        id=said.response_id or "",
        model=model_of(said),
        parts=tuple(turn.parts),
        stop=stop or ("filter" if blocked else "other"),
        logprobs=likelihood.read(candidate.logprobs_result),
        usage=counted.usage if counted else None,
        raw_usage=counted.raw_usage if counted else b"",
        service_tier=counted.service_tier if counted else "",
    )


def model_of(said: Response) -> str:
    """Return the model that answered."""
    return (said.model_version or "").removeprefix("models/")


def counted_in(said: Response) -> Counted | None:
    """Return the usage, if any is told."""
    if said.usage_metadata is UNSET:
        return None
    raw = bytes(said.usage_metadata)
    usage = parse_usage(raw)
    if usage is None:
        return None
    return Counted(usage, raw, service_tier(raw), output_uncounted=not usage.output_total)


def add(turn: Turn, part: Part) -> None:
    """Add what a part says; code that the provider ran, and the like, is passed over."""
    call, blob = part.function_call, part.inline_data
    if call is not None:
        if call.name:
            turn.call(call.name, arguments_of(call.args), call.id or "", part.thought_signature)
    elif blob is not None and blob.data:
        turn.show(media.shown(blob.mime_type or "", blob.data), part.thought_signature)
    elif part.thought:
        turn.think(part.text or "", part.thought_signature, join=True)
    else:
        turn.say(part.text or "", part.thought_signature, join=True)


def _cite(turn: Turn, candidate: Candidate) -> None:
    """Give each citation to the text in which it begins, or to the last."""
    if candidate.grounding_metadata is None and candidate.citation_metadata is None:
        return
    places = [at for at, part in enumerate(turn.parts) if isinstance(part, Text)]
    starts: list[int] = []
    text = ""
    for part in turn.parts:
        if isinstance(part, Text):
            starts.append(len(text))
            text += part.text
    for citation in citing.read(candidate, text) if places else ():
        found = [n for n, start in enumerate(starts) if start <= citation.start]
        at = places[found[-1] if found else -1]
        cited = turn.parts[at]
        assert isinstance(cited, Text), "places are those of texts"
        placed = citing.placed(citation, starts[places.index(at)])
        turn.parts[at] = msgspec.structs.replace(cited, citations=(*cited.citations, placed))
