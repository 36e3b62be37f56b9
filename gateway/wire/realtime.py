"""Reads what a session over a WebSocket uses: OpenAI's Realtime API and Gemini's Live API.

Each answer of a session tells its own usage, and the session's is their sum. OpenAI's stands in `response.done`
(https://platform.openai.com/docs/api-reference/realtime-server-events), Gemini's in `usageMetadata`, with
`responseTokenCount` where its other answers say `candidatesTokenCount` (https://ai.google.dev/api/live, 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire import gemini_usage
from gateway.wire.base import Finding
from gateway.wire.openai_answer import object_bytes, text
from gateway.wire.openai_usage import MOST
from gateway.wire.passthrough_paths import Family
from gateway.wire.sums import added
from gateway.wire.websocket_frames import CLOSE, FrameReader, close_code
from telemetry.records import Usage

RAW_BYTES = 64 * 1024
"""As much is kept of the usage objects of one session, the first ones."""

SETUP_BYTES = 256 * 1024
"""A longer first message is not looked at for its model."""

_ABSENT = msgspec.Raw(b"")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Details(msgspec.Struct):
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: _Details | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Details | None = None
    output_token_details: _Details | None = None


class _Named(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    usage: msgspec.Raw = _ABSENT


class _Event(msgspec.Struct):
    """What either API's server says."""

    session: _Named | None = None
    response: _Named | None = None
    usage_metadata: msgspec.Raw = msgspec.field(default=_ABSENT, name="usageMetadata")


class _Setup(msgspec.Struct):
    setup: _Named | None = None


_NOTHING = _Details()
_events = msgspec.json.Decoder(_Event)
_setups = msgspec.json.Decoder(_Setup)
_usages = msgspec.json.Decoder(_Usage, strict=False)


class RealtimeReading:
    """Reads both directions of one session. `gateway.wire.base.Reading` of what the provider says."""

    def __init__(self, family: Family) -> None:
        self.asked = FrameReader(most=SETUP_BYTES if family == "gemini" else 0)
        self.answered = FrameReader()
        self.model = ""
        """As the client's first message names it: Gemini's does."""
        self.close_code = 0
        """Of the first close frame, whoever sent it; 0: there was none."""
        self._family = family
        self._wants_model = family == "gemini"
        self._usage: Usage | None = None
        self._raw: list[bytes] = []
        self._raw_bytes = 0
        self._session = _Named()
        self.began = False

    def heard(self, chunk: bytes) -> None:
        """Take the next bytes of the client."""
        for opcode, payload in self.asked.feed(chunk):
            if opcode == CLOSE:
                self._note_close(payload)
            elif self._wants_model:
                self._wants_model = False
                self.model = _model_of(payload)

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the provider; return them as they are."""
        for opcode, payload in self.answered.feed(chunk):
            if opcode == CLOSE:
                self._note_close(payload)
            elif b'"response.done"' in payload or b'"session.created"' in payload or b'"usageMeta' in payload:
                self._note(payload)
            self.began = self.began or opcode != CLOSE
        return chunk

    def end(self) -> bytes:
        """Hold nothing back."""
        return b""

    def finding(self) -> Finding:
        """Say what was seen so far."""
        return Finding(
            complete=self.close_code > 0,
            usage=self._usage,
            raw_usage=b"[%b]" % b",".join(self._raw) if self._raw else b"",
            finish_reason=f"close_{self.close_code}" if self.close_code else "",
            response_model=text(self._session.model) or self.model,
            response_id=text(self._session.id),
            usage_due="untold",
        )

    def _note_close(self, payload: bytes) -> None:
        self.close_code = self.close_code or close_code(payload)

    def _note(self, payload: bytes) -> None:
        """Take what one message says; what does not parse says nothing."""
        try:
            said = _events.decode(payload)
        except _UNREADABLE:
            return
        if said.session is not None:
            self._session = said.session
        openai = self._family == "openai"
        told = said.response.usage if said.response is not None and openai else said.usage_metadata
        if found := object_bytes(told):
            usage = realtime_usage(found) if openai else live_usage(found)
            if usage is not None:
                self._usage = added(self._usage, usage)
            if self._raw_bytes + len(found) <= RAW_BYTES:
                self._raw_bytes += len(found)
                self._raw.append(found)


def realtime_usage(raw: bytes) -> Usage | None:
    """Return the buckets of an answer in OpenAI's Realtime API; a detail beyond its total is clipped."""
    try:
        said = _usages.decode(raw)
    except _UNREADABLE:
        return None
    prompt, answer = said.input_tokens or 0, said.output_tokens or 0
    if not (0 <= prompt <= MOST and 0 <= answer <= MOST):
        return None
    read, written = said.input_token_details or _NOTHING, said.output_token_details or _NOTHING
    cached = read.cached_tokens_details or _NOTHING
    cache_read, rest = _take(read.cached_tokens or 0, prompt)
    audio, rest = _take((read.audio_tokens or 0) - (cached.audio_tokens or 0), rest)
    image, rest = _take((read.image_tokens or 0) - (cached.image_tokens or 0), rest)
    spoken, said_in_words = _take(written.audio_tokens or 0, answer)
    return Usage(
        input_uncached=rest,
        cache_read=cache_read,
        input_audio=audio,
        input_image=image,
        output_text=said_in_words,
        output_audio=spoken,
    )


def live_usage(raw: bytes) -> Usage | None:
    """Return the buckets of an answer in Gemini's Live API."""
    usual = raw.replace(b'"responseTokenCount"', b'"candidatesTokenCount"')
    return gemini_usage.parse_usage(usual.replace(b'"responseTokensDetails"', b'"candidatesTokensDetails"'))


def _model_of(payload: bytes) -> str:
    try:
        setup = _setups.decode(payload).setup
    except _UNREADABLE:
        return ""
    return text(setup.model).removeprefix("models/") if setup is not None else ""


def _take(wanted: int, available: int) -> tuple[int, int]:
    taken = min(max(wanted, 0), available)
    return taken, available - taken
