"""How clients are told of limits: in OpenAI's headers.

Source: https://platform.openai.com/docs/guides/rate-limits, "Rate limits in headers" (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.limits.base import Part

Headers = list[tuple[bytes, bytes]]

OURS = frozenset(
    f"x-ratelimit-{what}-{kind}".encode()
    for what in ("limit", "remaining", "reset")
    for kind in ("requests", "tokens")
)
"""A provider's own would tell the client of limits that are not its."""

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND


def told(parts: Sequence[Part], left: Sequence[int]) -> Headers:
    """Return what the tightest parts have left; `left` is that of a `Verdict`."""
    headers: Headers = []
    requests = tokens = -1
    of_requests = of_tokens = None
    for index, part in enumerate(parts):
        if part.rpm and (of_requests is None or left[2 * index] < requests):
            of_requests, requests = part, left[2 * index]
        if part.tpm and (of_tokens is None or left[2 * index + 1] < tokens):
            of_tokens, tokens = part, left[2 * index + 1]
    if of_requests is not None:
        most = of_requests.burst or of_requests.rpm
        headers += (
            (b"x-ratelimit-limit-requests", b"%d" % most),
            (b"x-ratelimit-remaining-requests", b"%d" % requests),
            (b"x-ratelimit-reset-requests", _reset(of_requests, most - requests)),
        )
    if of_tokens is not None:
        headers += (
            (b"x-ratelimit-limit-tokens", b"%d" % of_tokens.tpm),
            (b"x-ratelimit-remaining-tokens", b"%d" % tokens),
            (b"x-ratelimit-reset-tokens", b"1m0s" if tokens < of_tokens.tpm else b"0s"),
        )
    return headers


def refused(wait_us: int) -> Headers:
    """Return when to come back; `Retry-After` itself is the error's."""
    return [(b"retry-after-ms", b"%d" % -(-wait_us // 1000))]


def _reset(part: Part, taken: int) -> bytes:
    """Say in how long all of it is there again: a minute after the last request, or as a smooth rate gives it back."""
    if not taken:
        return b"0s"
    return duration(taken * _MINUTE // part.rpm) if part.burst else b"1m0s"


def duration(us: int) -> bytes:
    """Return a time span as OpenAI writes it: `12ms`, `1.5s`, `6m0s`."""
    if us < _SECOND:
        return b"%dms" % -(-us // 1000)
    minutes, rest = divmod(us, _MINUTE)
    seconds = f"{-(-rest // 1000) / 1000:g}s".encode()
    return b"%dm%b" % (minutes, seconds) if minutes else seconds
