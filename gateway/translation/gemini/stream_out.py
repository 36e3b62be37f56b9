"""Writes a client's stream, as server-sent events or as one JSON array."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET, Raw

from gateway.translation.base import Answering
from gateway.translation.conversation import Logprob, Media, Stop
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Likely,
    MediaPiece,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.gemini import citing, counting, likelihood, signatures, stops
from gateway.translation.gemini.answered import Candidate, Content, Grounding, Part, Response
from gateway.translation.gemini.media import kind_of
from gateway.translation.gemini.reply_out import called, written

_encode = msgspec.json.encode


class GeminiStreamWriter:
    """Writes a whole response for every piece. A call is written once all its arguments are there."""

    def __init__(self, answering: Answering, *, array: bool) -> None:
        self._answering = answering
        self._array = array
        self._begin = b"[" if array else b"data: "
        """What stands before the next response."""
        self._id = answering.call_id
        self._model = answering.model
        self._after = b""
        self._name_answer()
        self._calls: dict[int, tuple[CallStarted, list[str]]] = {}
        """Those that follow each other, with the pieces of their arguments."""
        self._texts: list[str] = []
        self._in_text = False
        self._before = 0
        """Characters of the answer before the text that is being written."""
        self._cited: list[citing.Cited] = []
        self._logprobs: list[Logprob] = []
        self._stop: Stop = "end"
        self._counted: Counted | None = None
        self._takes: dict[type[Event], Callable[..., bytes]] = {
            TextPiece: self._text,
            RefusalPiece: self._text,
            ThinkingPiece: self._thought,
            ThinkingSigned: self._signed,
            CallStarted: self._call_started,
            CallPiece: self._call_piece,
            MediaPiece: self._media,
            Ended: self._ended,
        }

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes that say this."""
        out = b""
        takes = self._takes
        for event in events:
            take = takes.get(type(event))
            if take is not None:
                out += take(event)
            else:
                self._note(event)
        return out

    def _note(self, event: Event) -> None:
        match event:
            case Started():
                self._id = event.id or self._id
                self._model = event.model or self._model
                self._name_answer()
            case Cited():
                self._cited.append((self._before, event.citation))
            case Likely():
                self._logprobs.extend(event.logprobs)
            case Stopped():
                self._stop = event.stop
            case Counted():
                self._counted = event
            case _:
                pass

    def _name_answer(self) -> None:
        named = _encode(Response(model_version=self._model, response_id=self._id))
        end = b"" if self._array else b"\r\n\r\n"
        self._after = b'],"role":"model"},"index":0}],%b%b' % (named[1:], end)

    def _piece(self, part: bytes) -> bytes:
        """Return the response that adds one part."""
        out = b'%b{"candidates":[{"content":{"parts":[%b%b' % (self._begin, part, self._after)
        if self._array:
            self._begin = b",\r\n"
        return out

    def _text(self, event: TextPiece | RefusalPiece) -> bytes:
        out = b""
        if not self._in_text:
            out = self._close()
            self._in_text = True
            self._before = sum(map(len, self._texts))
        self._texts.append(event.text)
        return out + self._piece(b'{"text":%b}' % _encode(event.text))

    def _thought(self, event: ThinkingPiece) -> bytes:
        return self._close() + self._piece(b'{"text":%b,"thought":true}' % _encode(event.text))

    def _signed(self, event: ThinkingSigned) -> bytes:
        signed = signatures.write(event.signature, event.origin)
        if signed is None:
            return b""
        part = Part(text="", thought=None if event.hidden else True, thought_signature=signed)
        return self._close() + self._piece(_encode(part))

    def _call_started(self, event: CallStarted) -> bytes:
        out = b"" if self._calls else self._close()
        self._calls[event.call] = event, []
        return out

    def _call_piece(self, event: CallPiece) -> bytes:
        if (call := self._calls.get(event.call)) is not None:
            call[1].append(event.arguments)
        return b""

    def _media(self, event: MediaPiece) -> bytes:
        medium = Media(kind=kind_of(event.media_type), media_type=event.media_type, data=event.data)
        return self._close() + self._piece(_encode(written(medium)))

    def _close(self) -> bytes:
        """End the text or the calls before, and return what is to be said of them."""
        self._in_text = False
        grounding = self._grounding()
        out = self._response(Candidate(grounding_metadata=grounding)) if grounding else b""
        for call, pieces in self._calls.values():
            signed = signatures.write(call.signature, call.origin)
            out += self._piece(_encode(called(call.id, call.name, "".join(pieces), signed)))
        self._calls.clear()
        return out

    def _grounding(self) -> Grounding | None:
        cited, self._cited = self._cited, []
        return citing.write(cited, "".join(self._texts)) if cited else None

    def _ended(self, event: Ended) -> bytes:  # noqa: ARG002 - called as the others are
        grounding = self._grounding()
        out = self._close()
        result, average = likelihood.write(self._logprobs)
        counted = self._counted
        out += self._response(
            Candidate(
                finish_reason=stops.write(self._stop),
                grounding_metadata=grounding,
                avg_logprobs=average,
                logprobs_result=result,
            ),
            UNSET if counted is None else counting.write(counted.usage, counted.service_tier),
        )
        return out + b"]" if self._array else out

    def _response(self, candidate: Candidate, usage: Raw | msgspec.UnsetType = UNSET) -> bytes:
        """Return a response whose candidate says more than a part. An empty part is there as clients look for one."""
        candidate.content = Content(parts=[Part(text="")], role="model")
        candidate.index = 0
        response = Response(
            candidates=[candidate], usage_metadata=usage, model_version=self._model, response_id=self._id
        )
        out = self._begin + _encode(response)
        if self._array:
            self._begin = b",\r\n"
            return out
        return out + b"\r\n\r\n"
