"""Cuts a stream of server-sent events into what they say; the formats understand it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gateway.translation.events import Ended, Event, Failed
from gateway.wire import sse

LIMIT = 32 << 20
"""Bytes of one event: a picture may be in it."""
_LAST = (Ended, Failed)


class SseReader(ABC):
    """A StreamReader of server-sent events. Owns the unfinished rest of the stream."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter(LIMIT)
        self._over = False
        """Whatever follows is not read."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Return what happened in the next bytes."""
        return self._read(self._splitter.push(chunk)[1])

    def end(self) -> list[Event]:
        """Return what remained, and the end if the answer is known to be whole."""
        events = self._read(self._splitter.end())
        if not self._over and self.is_whole():
            self._over = True
            events.append(Ended())
        return events

    def _read(self, block: bytes) -> list[Event]:
        events: list[Event] = []
        for event in filter(None, _cut(block)):
            if self._over:
                break
            one_line = event.startswith(b"data: ") and sse.LF not in event and sse.CR not in event
            if data := event[6:] if one_line else sse.data_of(event):
                self.take(data, events)
                if events and isinstance(events[-1], _LAST):
                    self._over = True
        return events

    @abstractmethod
    def take(self, data: bytes, events: list[Event]) -> None:
        """Add what one event's data says; never raises."""

    def is_whole(self) -> bool:
        """Say whether nothing that matters is missing, although the format's own end was not seen."""
        return False


def _cut(block: bytes) -> list[bytes]:
    """Return the events of a block; one whose lines all end in the same way, as nearly all do, is cut at once."""
    if sse.CR not in block:
        return block.split(b"\n\n")
    ends = block.count(b"\r\n")
    if block.count(b"\r") == ends == block.count(b"\n"):
        return block.split(b"\r\n\r\n")
    events: list[bytes] = []
    at = 0
    while at < len(block):
        end = sse.end_of(block, at)
        events.append(block[at:end])
        at = end
    return events
