"""Reads an answer that is one document, whatever its format."""

from __future__ import annotations

from collections.abc import Callable

from gateway.wire.base import Finding


class DocumentReading:
    """Keeps references to the pieces as they pass and reads them once, when somebody asks after the end."""

    __slots__ = ("_ended", "_finding", "_pieces", "_read")

    def __init__(self, read: Callable[[bytes, bool], Finding]) -> None:
        self._read = read
        """Takes the document and whether its end was seen; makes nothing of what does not parse."""
        self._pieces: list[bytes] = []
        self._ended = False
        self._finding: Finding | None = None

    @property
    def began(self) -> bool:
        """Whether any byte of the document has been seen."""
        return bool(self._pieces)

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        if chunk:
            self._pieces.append(chunk)
        return chunk

    def end(self) -> bytes:
        """Hold nothing back."""
        self._ended = True
        return b""

    def finding(self) -> Finding:
        """Say what the document says; `complete` only if it parses and the answer was ended."""
        found = self._finding
        if found is None:
            found = self._read(b"".join(self._pieces), self._ended)  # no copy of a single piece
            if self._ended:
                self._finding = found
        return found
