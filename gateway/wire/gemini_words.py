"""The words of a Gemini body: what was asked last, or what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gateway.wire import sse
from gateway.wire.gemini_array import ArraySplitter


class _Call(msgspec.Struct):
    name: Any = ""
    args: msgspec.Raw = msgspec.Raw(b"")


class _Part(msgspec.Struct):
    text: Any = ""
    thought: Any = False
    function_call: _Call | None = msgspec.field(default=None, name="functionCall")

    def words(self, *, thoughts: bool) -> str:
        if isinstance(self.text, str) and self.text:
            return self.text if thoughts or self.thought is not True else ""
        if self.function_call is not None:
            return f"{self.function_call.name}({bytes(self.function_call.args).decode(errors='replace')})"
        return ""


class _Content(msgspec.Struct):
    role: Any = ""
    parts: list[_Part] | None = None

    def words(self, *, thoughts: bool = False) -> Iterator[str]:
        return (said for part in self.parts or () if (said := part.words(thoughts=thoughts)))


class _Candidate(msgspec.Struct):
    content: _Content | None = None


class _Request(msgspec.Struct):
    content: _Content | None = None


class _Body(msgspec.Struct):
    contents: list[_Content] | None = None
    content: _Content | None = None
    requests: list[_Request] | None = None
    candidates: list[_Candidate] | None = None


_decode = msgspec.json.Decoder(_Body).decode


def words(content_type: str, body: bytes, *, thoughts: bool = False) -> str:
    """Return the words of a document or a stream, as far as it makes sense; of all candidates with `thoughts`."""
    if content_type.startswith("text/event-stream"):
        return "".join(_streamed(_events(body), thoughts=thoughts))
    if body.lstrip()[:1] == b"[":
        return "".join(_streamed(ArraySplitter().push(body), thoughts=thoughts))
    try:
        return _whole(_decode(body), thoughts=thoughts)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _whole(body: _Body, *, thoughts: bool) -> str:
    if body.candidates:
        return "".join(_answered(body, thoughts=thoughts))
    for content in reversed(body.contents or ()):
        if content.role in ("user", "", None) and (said := " ".join(content.words())):
            return said
    asked = [body.content, *(request.content for request in body.requests or ())]
    return " ".join(said for content in asked if content is not None for said in content.words())


def _answered(body: _Body, *, thoughts: bool) -> Iterator[str]:
    candidates = (body.candidates or [])[: None if thoughts else 1]
    for candidate in candidates:
        if candidate.content is not None:
            yield from candidate.content.words(thoughts=thoughts)


def _events(body: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(body):
        end = sse.end_of(body, start)
        if (data := sse.data_of(body[start:end])).startswith(b"{"):
            yield data
        start = end


def _streamed(events: Iterable[bytes], *, thoughts: bool) -> Iterator[str]:
    for event in events:
        try:
            said = _decode(event)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # cut off
        yield from _answered(said, thoughts=thoughts)
