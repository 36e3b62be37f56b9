"""Reads an OpenAI response as it passes: a document, or a stream of typed events.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from gateway.wire import sse
from gateway.wire.base import Finding
from gateway.wire.openai_answer import error_message, object_bytes, text
from gateway.wire.openai_usage import MOST, parse_usage
from telemetry.records import Usage

LONGEST_EVENT = 64 << 20
"""The last event repeats the whole answer, pictures included; it must be read to know that it was the last."""

_FIRST_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\]{1,512})"')
_UNDER_WAY = frozenset({"queued", "in_progress"})
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_DELTA = re.compile(rb'\.(?:delta|done)"')
_KEYS = (b'"response"', b'"error"')
_ABSENT = msgspec.Raw(b"")


class _Response(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    status: Any = ""
    error: msgspec.Raw = _ABSENT
    incomplete_details: Any = None
    usage: msgspec.Raw = _ABSENT
    service_tier: Any = ""
    tool_usage: msgspec.Raw = _ABSENT


class _Search(msgspec.Struct):
    num_requests: int = 0


class _Tools(msgspec.Struct):
    web_search: _Search = msgspec.field(default_factory=_Search)


class _Event(msgspec.Struct):
    type: Any = ""
    response: _Response | None = None
    error: msgspec.Raw = _ABSENT
    message: Any = ""


_responses = msgspec.json.Decoder(_Response)
_events = msgspec.json.Decoder(_Event)
_tools = msgspec.json.Decoder(_Tools)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _usage(raw: bytes, tools: msgspec.Raw) -> Usage | None:
    """Return the buckets, with the searches, of which a response tells beside its usage."""
    usage = parse_usage(raw)
    if usage is None or b'"num_requests"' not in bytes(tools):
        return usage
    try:
        searches = _tools.decode(tools).web_search.num_requests
    except _UNREADABLE:
        return usage
    return msgspec.structs.replace(usage, web_searches=min(max(searches, 0), MOST))


class _Reading:
    """What a response and its stream have in common."""

    def __init__(self, *, counted: bool) -> None:
        self.counted = counted
        """Its usage is this call's; what an earlier call has counted is not counted again."""
        self._said = _Response()
        self._complete = False
        self._error = ""

    def finding(self) -> Finding:
        """Say what was seen so far."""
        said = self._said
        status = text(said.status)
        raw_usage = object_bytes(said.usage) if self.counted else b""
        details = said.incomplete_details
        reason = text(details.get("reason")) if isinstance(details, dict) else ""
        return Finding(
            complete=self._complete,
            usage=_usage(raw_usage, said.tool_usage) if raw_usage else None,
            raw_usage=raw_usage,
            finish_reason=reason or status,
            response_model=text(said.model),
            response_id=text(said.id),
            error=self._error or error_message(said.error),
            usage_due=self._usage_due(status),
            service_tier=text(said.service_tier),
        )

    def _usage_due(self, status: str) -> Literal["here", "later", "elsewhere"]:
        if not self.counted:
            return "elsewhere"
        return "later" if self._complete and status in _UNDER_WAY else "here"


class ResponseDocument(_Reading):
    """Reads a response that is one JSON document, once all of it is there."""

    def __init__(self, *, counted: bool = True) -> None:
        super().__init__(counted=counted)
        self._pieces: list[bytes] = []

    @property
    def began(self) -> bool:
        """Whether any byte of the document has been seen."""
        return bool(self._pieces)

    @property
    def tells_usage(self) -> bool:
        """Whether it is done and says what it used, counted or not."""
        return (
            self._complete
            and text(self._said.status) not in _UNDER_WAY
            and bool(object_bytes(self._said.usage))
        )

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        if chunk:
            self._pieces.append(chunk)
            if len(self._pieces) == 1 and (found := _FIRST_ID.match(chunk)) is not None:
                self._said.id = found[1].decode("utf-8", "replace")
        return chunk

    def end(self) -> bytes:
        """Read the document; hold nothing back."""
        try:
            self._said = _responses.decode(b"".join(self._pieces))
        except _UNREADABLE:
            return b""
        self._complete = True
        return b""


class ResponseStream(_Reading):
    """Looks for the few events that hold the response or an error; the others pass unread."""

    def __init__(self, *, counted: bool = True) -> None:
        super().__init__(counted=counted)
        self._splitter = sse.Splitter(LONGEST_EVENT)
        self._began = False

    @property
    def began(self) -> bool:
        """Whether a part of the answer has been seen."""
        return self._began

    def feed(self, chunk: bytes) -> bytes:
        """Return the whole events known so far: of a stream that breaks off no half event is passed on."""
        loose, block = self._splitter.push(chunk)
        if block:
            self._read(block)
        return loose + block if loose else block

    def end(self) -> bytes:
        """Read and return an event that no blank line ended."""
        rest = self._splitter.end()
        if rest:
            self._read(rest)
        return rest

    def _read(self, block: bytes) -> None:
        if not self._began:
            self._began = _DELTA.search(block) is not None
        if block.find(_KEYS[0]) >= 0 or block.find(_KEYS[1]) >= 0:  # twice as fast as `in`
            for event in _remarkable(block):
                self._note(event)

    def _note(self, event: bytes) -> None:
        try:
            said = _events.decode(sse.data_of(event))
        except _UNREADABLE:
            return
        kind = text(said.type)
        if said.response is not None and kind.startswith("response."):
            said.response.id = text(said.response.id) or self._said.id
            said.response.model = text(said.response.model) or self._said.model
            self._said = said.response
            self._complete = self._complete or kind in _LAST
        elif kind == "error" or (not kind and said.error is not _ABSENT):
            self._error = self._error or error_message(said.error) or text(said.message) or "error"


def _remarkable(block: bytes) -> Iterator[bytes]:
    """Yield the events that may hold the response or an error.

    A key can be searched for in raw JSON because a quote inside a JSON string is always escaped.
    """
    begin_of, end_of = (_begin, sse.end_of) if sse.CR in block else (_begin_of_lines, sse.end_of_lines)
    hits = [block.find(key) for key in _KEYS]
    at = 0
    while found := [hit for hit in hits if hit >= 0]:
        hit = min(found)
        end = end_of(block, hit)
        yield block[begin_of(block, at, hit) : end]
        at = end
        hits = [block.find(key, at) if 0 <= hit < at else hit for key, hit in zip(_KEYS, hits, strict=True)]


def _begin(block: bytes, at: int, hit: int) -> int:
    """Return where the event that `hit` is in begins; `at` is the beginning of this or an earlier one."""
    while (end := sse.end_of(block, at)) <= hit:
        at = end
    return at


def _begin_of_lines(block: bytes, at: int, hit: int) -> int:
    """Do as `_begin`, faster, for a block without carriage returns."""
    blank = block.rfind(b"\n\n", at, hit)
    return at if blank < 0 else blank + 2
