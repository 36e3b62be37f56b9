"""Reads a provider's stream: each event is a whole response, its parts are what was added."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from typing_extensions import override

from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Ended,
    Event,
    Failed,
    Likely,
    MediaPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.gemini import answered, citing, likelihood, media, signatures, stops
from gateway.translation.gemini.answered import Candidate, Part, Response
from gateway.translation.gemini.reply_in import counted_in, model_of
from gateway.translation.gemini.turn import arguments_of
from gateway.translation.sse_reader import SseReader
from gateway.wire.gemini_answer import decode as decode_failure
from gateway.wire.gemini_answer import reason

_COUNTS = b"TokenCount"
"""Without it, usage tells no more than how Vertex serves the call."""


class GeminiStreamReader(SseReader):
    """Reads server-sent events. The answer is whole if it was told why it finished.

    Usage stands on every event: it is told when the answer begins and when it ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._blocked = False
        self._reason: object = None
        """To finish. Old models tell it in every event, so it means nothing before the end."""
        self._calls = 0
        self._last: type[Event] = Started
        """What kind of content was told last."""
        self._signed = ""
        """Of a text; held back, as what the text cites must be told before it."""
        self._texts: list[str] = []
        self._before = 0
        """Characters of the answer before the text that is being told."""
        self._uncounted: Response | None = None
        """The last event that counted, unless it was told."""

    @override
    def end(self) -> list[Event]:
        """Return what remained, why it stopped and what was counted last; and the end, if there was a reason."""
        events = self._read(self._splitter.end())
        if self._over:
            return events
        self._over = True
        self._sign(events)
        stop = "filter" if self._blocked else stops.read(self._reason, called=self._calls > 0)
        if stop is not None:
            events.append(Stopped(stop))
        self._count(events)
        if stop is not None:
            events.append(Ended())
        return events

    @override
    def take(self, data: bytes, events: list[Event]) -> None:
        try:
            said = answered.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if said.error is not UNSET and (failed := _failure(data)) is not None:
            events.append(failed)
            return
        began = self._started
        if not began:
            self._started = True
            events.append(Started(said.response_id or "", model_of(said)))
        if (candidate := answered.first(said)) is not None:
            self._candidate(candidate, events)
        if said.usage_metadata is not UNSET and _COUNTS in bytes(said.usage_metadata):
            self._uncounted = said
        if said.prompt_feedback is not None and reason(said.prompt_feedback.block_reason):
            self._blocked = True
        if not began:
            self._count(events)

    def _candidate(self, candidate: Candidate, events: list[Event]) -> None:
        for part in candidate.content.parts or () if candidate.content is not None else ():
            self._part(part, events)
        if candidate.grounding_metadata is not None or candidate.citation_metadata is not None:
            self._cite(candidate, events)
        if candidate.logprobs_result is not None:
            events.append(Likely(likelihood.read(candidate.logprobs_result)))
        if candidate.finish_reason is not None:
            self._reason = candidate.finish_reason

    def _part(self, part: Part, events: list[Event]) -> None:
        blob = part.inline_data
        if part.function_call is not None:
            self._call(part.function_call, part.thought_signature, events)
        elif blob is not None and blob.data:
            self._sign(events)
            medium = media.shown(blob.mime_type or "", blob.data)
            self._last = MediaPiece
            events.append(MediaPiece(medium.media_type, medium.data))
            self._signed = part.thought_signature or ""
        elif part.thought:
            self._thought(part, events)
        elif part.text:
            self._text(part.text, part.thought_signature, events)
        elif part.thought_signature:
            self._bare_signature(part.thought_signature, events)

    def _text(self, text: str, signed: str | None, events: list[Event]) -> None:
        if self._signed:
            self._sign(events)
        if self._last is not TextPiece:
            self._before = sum(map(len, self._texts))
            self._last = TextPiece
        self._texts.append(text)
        events.append(TextPiece(text))
        self._signed = signed or ""

    def _thought(self, part: Part, events: list[Event]) -> None:
        self._sign(events)
        if part.text:
            self._last = ThinkingPiece
            events.append(ThinkingPiece(part.text))
        signature, origin = signatures.read(part.thought_signature)
        if signature:
            self._last = ThinkingSigned
            events.append(ThinkingSigned(signature, origin))

    def _bare_signature(self, signed: str, events: list[Event]) -> None:
        """Sign the thought before, if it is not, or tell a hidden one."""
        self._sign(events)
        if self._last is ThinkingPiece:
            self._thought(Part(thought_signature=signed), events)
        else:
            self._signed = signed

    def _call(self, call: answered.Call, signed: str | None, events: list[Event]) -> None:
        try:
            arguments = arguments_of(call.args)
        except UnicodeDecodeError:
            return
        if not call.name:
            return
        self._sign(events)
        self._last = CallStarted
        events.append(CallStarted(self._calls, call.id or "", call.name, *signatures.read(signed)))
        events.append(CallPiece(self._calls, arguments))
        self._calls += 1

    def _sign(self, events: list[Event]) -> None:
        signature, origin = signatures.read(self._signed)
        self._signed = ""
        if signature:
            self._last = ThinkingSigned
            events.append(ThinkingSigned(signature, origin, hidden=True))

    def _cite(self, candidate: Candidate, events: list[Event]) -> None:
        """Tell what the words before cite; there is no place for it once something else was told."""
        if self._last is TextPiece:
            citations = citing.read(candidate, "".join(self._texts))
            events.extend(Cited(citing.placed(citation, self._before)) for citation in citations)

    def _count(self, events: list[Event]) -> None:
        counted = counted_in(self._uncounted) if self._uncounted is not None else None
        self._uncounted = None
        if counted is not None:
            events.append(counted)


def _failure(data: bytes) -> Failed | None:
    """Return the error that came in place of an answer."""
    said = decode_failure(data)
    if said is None or not said.failure:
        return None
    return Failed(said.failure, _code(bytes(said.error)))


class _Error(msgspec.Struct):
    status: str = ""


_errors = msgspec.json.Decoder(_Error)


def _code(error: bytes) -> str:
    try:
        return _errors.decode(error).status
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
