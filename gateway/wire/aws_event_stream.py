"""AWS's event stream: binary frames, each with headers, a payload and two checksums.

    total length | length of headers | CRC | headers | payload | CRC

All numbers are big-endian; the first CRC is of the two lengths, the second of everything before it. Source:
https://smithy.io/2.0/aws/amazon-eventstream.html (2026-11).
"""

from __future__ import annotations

import struct
from zlib import crc32

import msgspec

MOST = 24 << 20
"""Bytes of a frame. AWS sends at most 16 MB of payload and 128 KB of headers."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_LEAST = _PRELUDE.size + _CRC.size
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value, by its type: true, false, byte, short, int, long, timestamp, UUID."""
_BYTES, _TEXT = 6, 7
_HEADERS_KEPT = 64


class Damaged(ValueError):
    """These bytes are no event stream, or not the one that was sent."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One message of a stream."""

    kind: str
    """`event`, `exception` or `error`."""
    name: str
    """Of the event, the exception or the error."""
    payload: bytes
    """JSON; of an `error`, its message."""


class Frames:
    """Cuts a stream into frames, however its bytes arrive. Owns the unfinished rest."""

    def __init__(self) -> None:
        self._rest = b""
        self._known: dict[bytes, tuple[str, str, bytes | None]] = {}
        """What headers say: there are few, and they repeat."""

    @property
    def between(self) -> bool:
        """Whether no frame is half here."""
        return not self._rest

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that are whole now; raise Damaged."""
        data = self._rest + chunk if self._rest else chunk
        frames: list[Frame] = []
        at, size = 0, len(data)
        while size - at >= _LEAST:
            total, head, check = _PRELUDE.unpack_from(data, at)
            if crc32(data[at : at + 8]) != check:
                raise Damaged("a frame's lengths do not fit their checksum")
            if not _LEAST + head <= total <= MOST:
                raise Damaged(f"a frame of {total} bytes, {head} of them headers")
            if size - at < total:
                break
            end = at + total - _CRC.size
            if crc32(data[at:end]) != _CRC.unpack_from(data, end)[0]:
                raise Damaged("a frame does not fit its checksum")
            start = at + _PRELUDE.size
            kind, name, said = self._headers(data[start : start + head])
            frames.append(Frame(kind, name, data[start + head : end] if said is None else said))
            at += total
        self._rest = data[at:]
        return frames

    def _headers(self, block: bytes) -> tuple[str, str, bytes | None]:
        found = self._known.get(block)
        if found is None:
            found = _meaning(_read_headers(block))
            if len(self._known) < _HEADERS_KEPT:
                self._known[block] = found
        return found


def _meaning(headers: dict[str, str]) -> tuple[str, str, bytes | None]:
    kind = headers.get(":message-type", "event")
    if kind == "error":
        return kind, headers.get(":error-code", ""), headers.get(":error-message", "").encode()
    return kind, headers.get(f":{kind}-type", ""), None


def _read_headers(block: bytes) -> dict[str, str]:
    """Return the headers that are text; raise Damaged."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            end = at + 1 + block[at]
            name = block[at + 1 : end].decode()
            kind = block[end]
            at = end + 1
            if kind in (_BYTES, _TEXT):
                (size,) = _LENGTH.unpack_from(block, at)
                at += _LENGTH.size
                if kind == _TEXT:
                    found[name] = block[at : at + size].decode()
            else:
                size = _FIXED[kind]
            at += size
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise Damaged("a frame's headers make no sense") from error
    if at != len(block):
        raise Damaged("a frame's headers end too early")
    return found
