"""How long a caller waits. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from gateway.errors import BadRequest, UpstreamFailed
from gateway.exchange import Exchange
from gateway.settings import Timeouts

LIMIT_HEADER = b"x-tidegate-timeout"
STAINLESS_HEADER = b"x-stainless-timeout"
"""How long OpenAI's and Anthropic's own clients wait for an answer's headers: the whole of it, if it is no stream."""
LONGEST_LIMIT_S = 86_400.0
_SECOND = 1_000_000_000


class Limits(NamedTuple):
    """What the caller says of its patience, as `Clock.monotonic_ns()`; 0: nothing."""

    deadline_ns: int = 0
    """No try begins after it."""
    cut_ns: int = 0
    """No answer goes on after it."""

    def cut(self, timeouts: Timeouts, now_ns: int) -> Timeouts:
        """Return the clocks of an attempt that begins now."""
        left_s = max(0.001, (self.cut_ns - now_ns) / _SECOND)
        if left_s >= timeouts.total_s:
            return timeouts
        return msgspec.structs.replace(timeouts, total_s=left_s)

    def caused(self, error: UpstreamFailed) -> bool:
        """Say whether the caller's own impatience was what ended an attempt."""
        return self.cut_ns > 0 and error.code == "upstream_timeout_total"


NO_LIMITS = Limits()


def limits_of(exchange: Exchange, total_s: float) -> Limits:
    """Read what the caller says, who may wait longer than one attempt; raise BadRequest for nonsense of ours."""
    headers, began_ns = exchange.headers, exchange.started_ns
    if LIMIT_HEADER not in headers and STAINLESS_HEADER not in headers:
        return NO_LIMITS
    if (said := headers.get(LIMIT_HEADER)) is not None:
        seconds = _seconds(said)
        if seconds is None:
            raise BadRequest(
                f"header {LIMIT_HEADER.decode()}: {said.decode('latin-1')!r} is not a number of seconds above 0",
                code="invalid_header",
                param=LIMIT_HEADER.decode(),
            )
        until_ns = began_ns + int(seconds * _SECOND)
        return Limits(until_ns, until_ns)
    seconds = _seconds(headers[STAINLESS_HEADER])
    if seconds is None or seconds >= total_s:
        return NO_LIMITS
    until_ns = began_ns + int(seconds * _SECOND)
    stream = exchange.peek is not None and exchange.peek.stream
    return Limits(until_ns, 0 if stream else until_ns)


def _seconds(said: bytes) -> float | None:
    try:
        seconds = float(said)
    except ValueError:
        return None
    return min(seconds, LONGEST_LIMIT_S) if seconds > 0 else None  # not a number is not above 0
