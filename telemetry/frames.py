"""Packs records into frames, as `segments` describes them."""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from telemetry.records import Answer, Frame, Request
from telemetry.segments import MAX_FRAME, PREFIX

Kind = Literal["request", "answer"]
BODIES: dict[Kind, type[Request | Answer]] = {"request": Request, "answer": Answer}
"""What a frame of a body is, by its kind."""

_encode = msgspec.msgpack.Encoder().encode
_prefix = PREFIX.pack
_crc32 = zlib.crc32


def pack(frame: Frame) -> bytes:
    """Return the frame's bytes; ValueError, TypeError or OverflowError if msgpack or a frame cannot hold it."""
    record = _encode(frame)
    length = len(record)
    if length > MAX_FRAME:
        raise ValueError(f"a record of {length} bytes")
    return _prefix(length, _crc32(record)) + record
