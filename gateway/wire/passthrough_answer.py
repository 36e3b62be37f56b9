"""Reads what an answer used that is only passed on, if it says so.

Seen are OpenAI's images (`usage`), transcriptions (`usage` of type `tokens` or `duration`), speech and image streams
(`usage` of the last event that has one), Cohere's rerank (`meta.billed_units`), rerankers that only say
`usage.total_tokens`, and Gemini's `usageMetadata`. Source: their API references (2026-11).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.wire import gemini_usage, sse
from gateway.wire.base import Finding
from gateway.wire.openai_answer import error_message, object_bytes, text
from gateway.wire.openai_usage import parse_usage
from telemetry.records import Usage

MOST_READ = 32 << 20
"""A longer document, or event, passes unread."""

Due = Literal["untold", "elsewhere", "batch"]
"""Where the usage is counted that such an answer does not tell; it is never estimated."""

_MOST = 1 << 53
"""Tokens beyond this are nonsense, and more than a row can hold."""
_ABSENT = msgspec.Raw(b"")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Meta(msgspec.Struct):
    billed_units: msgspec.Raw = _ABSENT


class _Answer(msgspec.Struct):
    id: Any = ""
    name: Any = ""
    """What Gemini has for an id."""
    model: Any = ""
    type: Any = ""
    usage: msgspec.Raw = _ABSENT
    usage_metadata: msgspec.Raw = msgspec.field(default=_ABSENT, name="usageMetadata")
    meta: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


class _Details(msgspec.Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None
    audio_tokens: int | None = None


class _Split(msgspec.Struct):
    """What `parse_usage` does not read; transcriptions say `token_details` where others say `tokens_details`."""

    total_tokens: int | None = None
    input_token_details: _Details | None = None
    output_tokens_details: _Details | None = None
    output_token_details: _Details | None = None
    search_units: Any = None


_NOTHING = _Details()
_answers = msgspec.json.Decoder(_Answer)
_metas = msgspec.json.Decoder(_Meta)
_splits = msgspec.json.Decoder(_Split, strict=False)


class _Reading:
    """What documents and streams have in common."""

    def __init__(self, operation: str, due: Due) -> None:
        self._due = due
        self._counts = due == "untold"
        self._operation = operation
        self._said = _Answer()
        self._raw_usage = b""
        self._usage: Usage | None = None
        self._error = ""
        self._ended = False
        self.began = False

    def finding(self) -> Finding:
        """Say what was seen so far; `complete` once the answer has ended."""
        return Finding(
            complete=self._ended,
            usage=self._usage,
            raw_usage=self._raw_usage,
            response_model=text(self._said.model),
            response_id=text(self._said.id),
            error=self._error,
            usage_due=self._due,
        )

    def _note(self, document: bytes) -> None:
        """Take what one document says; what does not parse says nothing."""
        try:
            said = _answers.decode(document)
        except _UNREADABLE:
            return
        said.id, said.model = said.id or said.name or self._said.id, said.model or self._said.model
        self._said = said
        if self._counts:
            self._count(said)

    def _count(self, said: _Answer) -> None:
        for raw, read in (
            (said.usage, _usage),
            (said.usage_metadata, gemini_usage.parse_usage),
            (_billed(said.meta), _usage),
        ):
            if found := object_bytes(raw):
                self._raw_usage, self._usage = found, read(found)
                return


class PassedDocument(_Reading):
    """Keeps references to a document's pieces and reads it at its end, if it is JSON and not too long."""

    def __init__(self, operation: str, due: Due) -> None:
        super().__init__(operation, due)
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        if chunk:
            self.began = True
            self._size += len(chunk)
            if self._size <= MOST_READ:
                self._pieces.append(chunk)
            else:
                self._pieces.clear()
        return chunk

    def end(self) -> bytes:
        """Read the document; hold nothing back."""
        self._ended = True
        document = b"".join(self._pieces)
        self._pieces.clear()
        if document.lstrip(b" \t\r\n").startswith(b"{"):
            self._note(document)
        return b""


class PassedStream(_Reading):
    """Looks for the events that tell usage or an error; the others pass unread. Its end is the transport's."""

    def __init__(self, operation: str, due: Due) -> None:
        super().__init__(operation, due)
        self._splitter = sse.Splitter(MOST_READ)

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        _, block = self._splitter.push(chunk)
        if block:
            self._read(block)
        return chunk

    def end(self) -> bytes:
        """Read an event that no blank line ended; hold nothing back."""
        self._ended = True
        if rest := self._splitter.end():
            self._read(rest)
        return b""

    def _read(self, block: bytes) -> None:
        self.began = True
        if b'"usage' not in block and b'"error"' not in block:
            return
        at = 0
        while at < len(block):
            end = sse.end_of(block, at)
            event = block[at:end]
            at = end
            if b'"usage' in event or b'"error"' in event:
                self._note(sse.data_of(event))
                if self._said.error is not _ABSENT or self._said.type == "error":
                    self._error = self._error or error_message(self._said.error)


def _billed(meta: msgspec.Raw) -> msgspec.Raw:
    if meta is _ABSENT:
        return _ABSENT
    try:
        return _metas.decode(meta).billed_units
    except _UNREADABLE:
        return _ABSENT


def _usage(raw: bytes) -> Usage | None:
    """Return the buckets; None for what is counted in other units: seconds, searches."""
    try:
        said = _splits.decode(raw)
    except _UNREADABLE:
        return None
    if said.search_units:
        return None
    usage = parse_usage(raw)
    if usage is None:
        total = said.total_tokens or 0
        return Usage(input_uncached=total) if 0 < total <= _MOST else None
    read = said.input_token_details or _NOTHING
    written, heard = said.output_tokens_details or _NOTHING, said.output_token_details or _NOTHING
    audio = _part(read.audio_tokens, usage.input_uncached)
    painted = _part(written.image_tokens, usage.output_text)
    spoken = _part(heard.audio_tokens, usage.output_text - painted)
    return msgspec.structs.replace(
        usage,
        input_uncached=usage.input_uncached - audio,
        input_audio=usage.input_audio + audio,
        output_text=usage.output_text - painted - spoken,
        output_image=usage.output_image + painted,
        output_audio=usage.output_audio + spoken,
    )


def _part(wanted: int | None, available: int) -> int:
    return min(max(wanted or 0, 0), available)
