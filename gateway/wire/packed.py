"""Lets a compressed answer be read as it passes."""

from __future__ import annotations

import zlib

from typing_extensions import override

from gateway.errors import BrokenAnswer
from gateway.wire.base import Reading


class Packed:
    """Lets a Reading see the content of a compressed answer, which goes on as it is."""

    def __init__(self, reading: Reading) -> None:
        self.plain = b""
        """What the last part held."""
        self._reading = reading
        self._unpack = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever the header says

    @property
    def began(self) -> bool:
        """Whether content has been seen."""
        return self._reading.began

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        self.plain = self._open(chunk)
        self._reading.feed(self.plain)
        return chunk

    def _open(self, chunk: bytes) -> bytes:
        try:
            return self._unpack.decompress(chunk)
        except zlib.error as error:
            raise BrokenAnswer("the provider's answer is not validly compressed", retryable=False) from error

    def end(self) -> bytes:
        """Hold nothing back."""
        self._reading.end()
        return b""


class Unpacked(Packed):
    """The same for an answer that goes on as something else, and so without its coding."""

    @override
    def feed(self, chunk: bytes) -> bytes:
        """Return what the part held, in the client's format."""
        self.plain = self._reading.feed(self._open(chunk))
        return self.plain

    @override
    def end(self) -> bytes:
        """Return what was held back."""
        self.plain = self._reading.end()
        return self.plain
