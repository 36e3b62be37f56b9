"""Cuts a JSON array that arrives piece by piece into its elements; an object by itself is taken for the only one."""

from __future__ import annotations

import re

import msgspec

LIMIT = 32 << 20
"""Bytes of one element that are kept at most, as an image may be in it; a longer one is passed over unread."""

# The groups are not possessive: before CPython 3.11.5 such match wrongly (python/cpython#106052).
_QUIET = rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*"[^"{}\[\]]*+)*'
_TO_BRACKET = re.compile(_QUIET + rb"[{}\[\]]", re.DOTALL)
_TO_STRING = re.compile(_QUIET, re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*', re.DOTALL)
_anything = msgspec.json.Decoder(msgspec.Raw)
_OPENS = frozenset(b"{[")
_ARRAY = ord("[")
_QUOTE = ord('"')


class ArraySplitter:
    """Finds the objects right inside the outermost array. Owns the one that has not ended."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._depth = 0
        self._base = 1
        """Depth at which elements stand."""
        self._in_string = False
        self._escaped = False
        """The last byte was a backslash in a string."""
        self._pieces: list[bytes] = []
        self._size = 0
        self.closed = False
        """The array has ended."""

    def push(self, chunk: bytes) -> list[bytes]:
        """Return the elements that this chunk completes."""
        at = self._leave_string(chunk) if self._in_string else 0
        elements: list[bytes] = []
        start = 0 if self._depth > self._base else -1
        while (found := _TO_BRACKET.match(chunk, at)) is not None:
            at = found.end()
            bracket = chunk[at - 1]
            if bracket in _OPENS:
                if not self._depth:
                    self._base = 1 if bracket == _ARRAY else 0
                self._depth += 1
                if self._depth == self._base + 1:
                    start = at - 1
                    if (end := _pretty_end(chunk, start)) > 0:
                        elements.append(chunk[start:end])
                        start, at = -1, end
                        self._depth -= 1
                        self.closed = not self._depth
                continue
            self._depth -= 1
            if self._depth == self._base and start >= 0:
                elements += self._finish(chunk[start:at])
                start = -1
            self.closed = self._depth <= 0
        if start >= 0:
            self._keep(chunk[start:])
        if at < len(chunk) and not self._in_string:
            self._enter_string(chunk, at)
        return elements

    def _leave_string(self, chunk: bytes) -> int:
        """Return where what follows the string begins, the end of the chunk if it goes on."""
        begin = 1 if self._escaped and chunk else 0
        self._escaped = self._escaped and not chunk
        found = _IN_STRING.match(chunk, begin)
        end = found.end() if found is not None else begin
        if end < len(chunk) and chunk[end] == _QUOTE:
            self._in_string = False
            return end + 1
        self._escaped = self._escaped or end < len(chunk)
        return len(chunk)

    def _enter_string(self, chunk: bytes, at: int) -> None:
        """Note whether the chunk ends inside a string."""
        found = _TO_STRING.match(chunk, at)
        quote = found.end() if found is not None else at
        if quote < len(chunk):
            self._in_string = True
            inside = _IN_STRING.match(chunk, quote + 1)
            self._escaped = inside is not None and inside.end() < len(chunk)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._limit:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def _finish(self, piece: bytes) -> list[bytes]:
        if not self._size:
            return [piece]
        self._keep(piece)
        element = b"".join(self._pieces)
        whole = self._size <= self._limit
        self._pieces.clear()
        self._size = 0
        return [element] if whole else []


def _pretty_end(chunk: bytes, start: int) -> int:
    """Return where the element ends if its last bracket, and no other, begins a line, as Gemini writes it; else 0.

    Spares looking at every bracket. A string holds no line break, and nothing longer begins with a whole object.
    """
    end = chunk.find(b"\n}", start) + 2
    if end < 2:
        return 0
    try:
        _anything.decode(memoryview(chunk)[start:end])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    return end
