"""Makes of a body what is kept of it: its beginning, without secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from telemetry.records import Call, Payload
from telemetry.redact import OVERLAP
from telemetry.sealed import UNSEALED

Redact = Callable[[bytes], tuple[bytes, int]]
"""Returns a body without its secrets, and how many there were."""
Seal = Callable[[str, bytes], bytes]
"""As `Sealer.seal`."""


class Body(msgspec.Struct, frozen=True, gc=False):
    """What a client sent or was sent."""

    content_type: str
    chunks: Sequence[bytes]
    """In order; no longer the caller's."""
    total: int
    """Its length in bytes; more than the chunks have if the caller stopped keeping when it had enough."""
    remember: bool = False
    """A request that may be remembered, for the user and agent of its call."""


def clean(call: Call, body: Body, redact: Redact, cut_bytes: int, seal: Seal = UNSEALED.seal) -> Payload:
    """Return the payload: secrets replaced, no more than `cut_bytes` of it, and sealed if its project's words are."""
    cut = body.total > cut_bytes
    if cut:
        kept, redactions = _beginning(body, redact, cut_bytes)
    else:
        kept, redactions = redact(b"".join(body.chunks))
    payload = Payload(  # by position: names would take five times as long
        call.call_id,
        call.project,
        call.environment,
        call.started_at_us,
        call.surface,
        body.content_type,
        seal(call.project, kept),
        body.total,
        _sha256(body) if cut or redactions else "",
        redactions,
    )
    if call.log_id:
        payload = replace(payload, log_id=call.log_id)
    if body.remember:
        payload = replace(
            payload,
            remember=True,
            user_id=call.user_id,
            agent_id=call.agent_id,
            thread_id=call.thread_id,
            event_id=call.event_id,
        )
    return payload


def _beginning(body: Body, redact: Redact, cut_bytes: int) -> tuple[bytes, int]:
    """Return the first `cut_bytes` without secrets."""
    looked_at = _first(body.chunks, cut_bytes + OVERLAP)
    kept, redactions = redact(looked_at)
    # a secret that ends beyond what was looked at was not recognised: its beginning must go as well
    unsure = OVERLAP if body.total > len(looked_at) else 0
    return _whole_characters(kept[: max(0, min(cut_bytes, len(kept) - unsure))]), redactions


def _first(chunks: Sequence[bytes], most: int) -> bytes:
    """Return the chunks joined, at most so many bytes of them."""
    parts: list[bytes] = []
    for chunk in chunks:
        parts.append(chunk[:most])
        most -= len(chunk)
        if most <= 0:
            break
    return b"".join(parts)


def _sha256(body: Body) -> str:
    """Return the digest of the whole body; empty if the chunks are not all of it."""
    whole, size = hashlib.sha256(), 0
    for chunk in body.chunks:
        whole.update(chunk)
        size += len(chunk)
    return whole.hexdigest() if size == body.total else ""


def _whole_characters(body: bytes) -> bytes:
    """Return the body without the beginning of a UTF-8 character at its end."""
    for back in range(1, min(4, len(body)) + 1):
        byte = body[-back]
        if byte < 0x80:
            return body
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return body if back >= width else body[:-back]
    return body
