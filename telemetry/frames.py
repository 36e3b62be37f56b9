"""Packs records into frames, as `segments` describes them; the bytes are those that msgspec makes of a `Frame`.

What stands in a frame before its record is always the same, so a call is packed once for both of its frames.
"""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from telemetry import segments
from telemetry.records import Answer, Call, Opened, Outcome, Payload, Request, Settled

Kind = Literal["request", "answer"]

_encode = msgspec.msgpack.Encoder().encode
_prefix = segments.PREFIX.pack
_crc32 = zlib.crc32

_CALL = Call(call_id="", started_at_us=0, surface="")
_OUTCOME = Outcome(status="ok")
_PAYLOAD = Payload(call_id="", project="", environment="", started_at_us=0, surface="")

_BEFORE_OPENED = _encode(Opened(_CALL)).removesuffix(_encode(_CALL))
_BEFORE_SETTLED, _BEFORE_OUTCOME = (
    _encode(Settled(_CALL, _OUTCOME)).removesuffix(_encode(_OUTCOME)).split(_encode(_CALL))
)
_BEFORE = {
    "request": _encode(Request(_PAYLOAD)).removesuffix(_encode(_PAYLOAD)),
    "answer": _encode(Answer(_PAYLOAD)).removesuffix(_encode(_PAYLOAD)),
}


def pack(call: Call) -> bytes:
    """Return a call as `opened` and `settled` take it; ValueError, TypeError, OverflowError if msgpack cannot hold it."""
    return _encode(call)


def opened(packed: bytes) -> bytes:
    """Return the frame `Opened` of a packed call."""
    return _frame(_BEFORE_OPENED + packed)


def settled(packed: bytes, outcome: Outcome) -> bytes:
    """Return the frame `Settled` of a packed call."""
    return _frame(b"".join((_BEFORE_SETTLED, packed, _BEFORE_OUTCOME, _encode(outcome))))


def body(kind: Kind, payload: Payload) -> bytes:
    """Return the frame `Request` or `Answer`."""
    return _frame(_BEFORE[kind] + _encode(payload))


def _frame(record: bytes) -> bytes:
    length = len(record)
    if length > segments.MAX_FRAME:
        raise ValueError(f"a record of {length} bytes")
    return _prefix(length, _crc32(record)) + record
