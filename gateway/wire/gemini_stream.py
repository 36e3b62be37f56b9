"""Reads Gemini's streams as they pass: server-sent events, or one JSON array that arrives piece by piece.

Most events say nothing but words, and count all tokens so far. So only those that a search finds remarkable are
decoded as they pass, and of the others that count tokens the last one at the end. A key can be searched for in
raw JSON because a quote inside a JSON string is always escaped.
"""

from __future__ import annotations

import re

from gateway.wire import sse
from gateway.wire.base import Finding
from gateway.wire.gemini_answer import Response, decode, reason
from gateway.wire.gemini_array import LIMIT, ArraySplitter
from gateway.wire.gemini_usage import parse_usage, service_tier

_BEGAN = re.compile(
    rb'"text"\s*:\s*"(?!")|"(?:functionCall|inlineData|fileData|executableCode|codeExecutionResult)"\s*:\s*\{'
)
_REMARKABLE = re.compile(
    rb'"(?:finishReason"\s*:\s*[^\sn]|blockReason"\s*:\s*[^\sn]|index"\s*:\s*[1-9]|error"\s*:\s*[^\sn])'
)
_COUNTS = b'"promptTokenCount"'
_BLANKS = (b"\n\r\n", b"\n\n", b"\r\r")
"""How a blank line may end; found as bytes, as an event may hold a picture."""


class _Story:
    """What the events of a stream have told so far."""

    def __init__(self) -> None:
        self.named = False
        """An event was decoded: which model answers is known."""
        self.began = False
        self._id = ""
        self._model = ""
        self._reason = ""
        self._blocked = ""
        self._error = ""
        self._seen: set[object] = {0}
        self._finished: set[object] = set()

    def take(self, event: bytes) -> None:
        """Take all that an event says, except its words and usage."""
        said = decode(event)
        if said is None:
            return
        self.named = True
        self._id = self._id or said.id
        self._model = self._model or said.model
        self._blocked = self._blocked or said.blocked
        self._error = self._error or said.failure
        self._take_candidates(said)

    def _take_candidates(self, said: Response) -> None:
        for candidate in said.candidates or ():
            index = candidate.index if isinstance(candidate.index, int) else 0
            self._seen.add(index)
            if found := reason(candidate.finish_reason):
                self._finished.add(index)
                if index == 0 or not self._reason:
                    self._reason = found

    def finding(self, *, counting: bytes, ended: bool) -> Finding:
        """Sum up, given the last event that counts tokens, and whether the stream's own frame has ended."""
        said = decode(counting) if counting else None
        raw_usage = said.usage if said is not None else b""
        usage = parse_usage(raw_usage) if raw_usage else None
        complete = ended and (bool(self._blocked) or self._finished >= self._seen)
        return Finding(
            complete=complete,
            usage=usage,
            raw_usage=raw_usage,
            output_uncounted=not complete and usage is not None and not usage.output_total,
            finish_reason=self._reason or self._blocked,
            response_model=self._model,
            response_id=self._id,
            error=self._error,
            service_tier=service_tier(raw_usage),
        )


class EventsReading:
    """Reads server-sent events (`alt=sse`)."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter(LIMIT)
        self._story = _Story()
        self._counting: tuple[bytes, int] = b"", 0
        """Where the last count of tokens was seen."""
        self._finding: Finding | None = None

    @property
    def began(self) -> bool:
        """Whether words, thoughts, a call of a function or a file have been seen."""
        return self._story.began

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        _, block = self._splitter.push(chunk)
        if block:
            self._read(block)
        return chunk

    def end(self) -> bytes:
        """Read an event that no blank line ended."""
        rest = self._splitter.end()
        if rest:
            self._read(rest)
        self._finding = self._sum_up()
        return b""

    def finding(self) -> Finding:
        """Say what was seen; complete once every candidate seen has finished, or the prompt was blocked."""
        return self._finding or self._sum_up()

    def _sum_up(self) -> Finding:
        block, place = self._counting
        return self._story.finding(counting=_event_around(block, place)[0] if block else b"", ended=True)

    def _read(self, block: bytes) -> None:
        """Read whole events."""
        story = self._story
        if not story.began:
            story.began = _BEGAN.search(block) is not None
        at = 0
        while at < len(block) and not story.named:
            event, at = _event_around(block, at)
            story.take(event)
        while (found := _REMARKABLE.search(block, at)) is not None:
            event, at = _event_around(block, found.start())
            story.take(event)
        counts = block.rfind(_COUNTS)
        if counts >= 0:
            self._counting = block, counts


def _event_around(block: bytes, place: int) -> tuple[bytes, int]:
    """Return the data of the event that holds this place, and where the event ends."""
    start, end = 0, len(block)
    for blank in _BLANKS if sse.CR in block else _BLANKS[1:2]:
        if (before := block.rfind(blank, start, place)) >= 0:
            start = before + len(blank)
        if (after := block.find(blank, place, end)) >= 0:
            end = after + len(blank)
    return sse.data_of(block[start:end]), end


class ArrayReading:
    """Reads a JSON array of events, as a stream without `alt=sse` is."""

    def __init__(self) -> None:
        self._splitter = ArraySplitter()
        self._story = _Story()
        self._counting = b""

    @property
    def began(self) -> bool:
        """Whether words, thoughts, a call of a function or a file have been seen."""
        return self._story.began

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        story = self._story
        for event in self._splitter.push(chunk):
            if not story.began:
                story.began = _BEGAN.search(event) is not None
            if not story.named or _REMARKABLE.search(event) is not None:
                story.take(event)
            if _COUNTS in event:
                self._counting = event
        return chunk

    def end(self) -> bytes:
        """Hold nothing back."""
        return b""

    def finding(self) -> Finding:
        """Say what was seen; complete once every candidate seen has finished and the array is closed."""
        return self._story.finding(counting=self._counting, ended=self._splitter.closed)
