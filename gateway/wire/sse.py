"""Server-sent events as bytes: where one ends, and what it says.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (2026-11).
"""

from __future__ import annotations

import re

LIMIT = 1 << 20
"""Bytes of one event that are held back at most; a longer one passes unread."""
BLANK = (b"\n\n", b"\n\r\n")
"""How the last event of a chunk ends, nearly always."""
LF, CR, TAB = b"\n\r\t"
"""As numbers: looking for one in bytes takes a tenth of the time that it takes to look for bytes."""

_END = rb"(?>\r\n|\n|\r(?!\Z))"  # a last \r may be half of a \r\n that is still on its way
_BLANK_LINE = re.compile(_END + _END)
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Splitter:
    """Cuts a stream into blocks of whole events, however its bytes arrive. Owns the unfinished rest."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.between = True
        """Whether all events so far are whole, so that what comes next begins one."""
        self._limit = limit
        self._rest = bytearray()
        self._edge = b""
        self._overlong = False

    def push(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Return bytes of an overlong event to pass unread, then the whole events that follow them."""
        if self.between and chunk.endswith(BLANK):
            return b"", chunk
        loose, block = self._cut(chunk)
        self.between = not self._rest and not self._overlong
        return loose, block

    def _cut(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Do as `push`, whatever was before, and wherever the chunk ends."""
        loose = b""
        if self._overlong:
            loose, chunk = self._leave(chunk)
        rest = self._rest
        start = max(0, len(rest) - 3)
        rest += chunk
        cut = _last_blank_line(rest, start)
        if cut:
            block = bytes(rest[:cut])
            del rest[:cut]
            return loose, block
        if len(rest) > self._limit:
            loose += bytes(rest)
            self._edge = loose[-3:]
            self._overlong = True
            rest.clear()
        return loose, b""

    def _leave(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Look for the end of an overlong event; return what belongs to it and what follows."""
        data = self._edge + chunk
        found = _BLANK_LINE.search(data)
        if found is None:
            self._edge = data[-3:]
            return chunk, b""
        self._overlong = False
        cut = max(0, found.end() - len(self._edge))
        return chunk[:cut], chunk[cut:]

    def end(self) -> bytes:
        """Return an event that no blank line ended."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


def _last_blank_line(data: bytearray, start: int) -> int:
    """Return where the last whole event ends, 0 if none does."""
    if data.find(b"\r", start) < 0:
        return data.rfind(b"\n\n", start) + 2 if data.find(b"\n\n", start) >= 0 else 0
    cut = 0
    for found in _BLANK_LINE.finditer(data, start):
        cut = found.end()
    return cut


def event_at(block: bytes, start: int) -> tuple[bytes, bytes, int]:
    """Return the data of the event that begins at `start`, the event itself if it is more than that, and its end."""
    end = block.find(b"\n\n", start)
    line = block[start:end]
    if end >= 0 and line.startswith(b"data: ") and LF not in line and CR not in line:
        return line[6:], b"", end + 2
    end = end_of(block, start)
    event = block[start:end]
    return data_of(event), event, end


def start_of(block: bytes, first: int, place: int) -> int:
    """Return where the event that holds `place` begins, if one begins at `first`."""
    found = block.rfind(b"\n\n", first, place)
    start = found + 2 if found >= 0 else first
    if block.find(b"\r", start, place) >= 0:
        for blank in _BLANK_LINE.finditer(block, start, place):
            start = blank.end()
    return start


def end_of(block: bytes, start: int) -> int:
    """Return where the event that begins at `start` ends, its blank line included."""
    end = end_of_lines(block, start)
    if block.find(b"\r", start, end) >= 0 and (found := _BLANK_LINE.search(block, start)) is not None:
        return found.end()
    return end


def end_of_lines(block: bytes, start: int) -> int:
    """Do as `end_of`, faster, for a block without carriage returns."""
    end = block.find(b"\n\n", start)
    return end + 2 if end >= 0 else len(block)


def data_of(event: bytes) -> bytes:
    """Return the event's data, its lines joined by newlines; empty for comments."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and event.endswith(b"\n\n"):
        return event[6:-2]
    if event.startswith(b"data: ") and event.find(b"\r") == len(event) - 4 and event.endswith(b"\r\n\r\n"):
        return event[6:-4]
    if event.startswith(b"event: ") and CR not in event:
        lines = event.split(b"\n", 2)
        if len(lines) > 1 and lines[1].startswith(b"data: ") and lines[2:] in ([], [b"\n"]):
            return lines[1][6:]
    lines = [line[5:].removeprefix(b" ") for line in _LINE_END.split(event) if line.startswith(b"data:")]
    return b"\n".join(lines)
