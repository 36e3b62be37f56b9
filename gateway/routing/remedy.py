"""What may help against a failure. Pure."""

from __future__ import annotations

import re
from typing import Literal

from gateway.errors import NotCarried, Refused, StreamRefused, Unreachable, UpstreamFailed, UpstreamTimeout

Remedy = Literal["again", "later", "elsewhere", "longer", "gentler", "none"]
"""The same deployment after a pause; another one at once, or the same when its limit allows it; another one only;
one with a larger context window; one with another content filter; nothing."""

_AGAIN = frozenset({408, 409, 500, 502, 503, 504, 520, 522, 524, 529})
"""Source: openai-python and anthropic-python `_should_retry` (408, 409, 5xx); 520 to 524 are Cloudflare's, 529 is
Anthropic's `overloaded_error` (2026-11)."""
_SICK_KEY = frozenset({401, 402, 403})
"""Another deployment has a key of its own."""
_LIMITED = 429
_OVERLOADED = frozenset({429, 503, 529})
_LONGEST_COOLDOWN_S = 600.0
"""A provider may ask for a day; whether it is well again is looked at earlier."""
_TOO_LONG = re.compile(
    rb"context_length_exceeded|prompt is too long|maximum context length|input token count[^\"]{0,40}exceeds"
    rb"|context window|Input is too long|too many (?:input )?tokens",
    re.IGNORECASE,
)
"""OpenAI, Anthropic, OpenAI-compatible servers, Gemini, Bedrock, Cohere; from their recorded errors and
documentation (2026-11)."""
_FILTERED = re.compile(rb"content_filter|content_policy_violation|ResponsibleAIPolicyViolation")
"""Azure OpenAI and OpenAI (2026-11)."""
_CLIENTS_FAULT = re.compile(rb"invalid_request_error|INVALID_ARGUMENT")
"""OpenAI's and Anthropic's type, and Gemini's status, of an error that has no HTTP status of its own (2026-11)."""
_READ_BYTES = 4096


def remedy(error: UpstreamFailed, *, retry_timeouts: bool = False) -> Remedy:
    """Say what may help against this failure."""
    if isinstance(error, Refused):
        return _of_refusal(error)
    if isinstance(error, NotCarried):
        return "elsewhere"
    if isinstance(error, UpstreamTimeout):
        return "elsewhere" if retry_timeouts or error.code == "upstream_timeout_connect" else "none"
    return "again" if error.retryable else "none"


def is_fault(error: UpstreamFailed) -> bool:
    """Say whether a failure tells something of the deployment, and not of the request or of this gateway."""
    if isinstance(error, Refused):
        return remedy(error) in ("again", "later", "elsewhere")
    return error.retryable or not isinstance(error, Unreachable)


def is_sick_key(error: UpstreamFailed) -> bool:
    """Say whether a deployment will refuse every call as it refused this one."""
    return isinstance(error, Refused) and error.status >= 400 and remedy(error) == "elsewhere"


def cooldown_s(error: UpstreamFailed) -> float:
    """Return how long a deployment that failed so asks to be left alone; 0: that is for its breaker to say."""
    if not isinstance(error, Refused) or error.status not in _OVERLOADED:
        return 0
    return min(error.retry_after_s or 0, _LONGEST_COOLDOWN_S)


def _of_refusal(error: Refused) -> Remedy:
    if isinstance(error, StreamRefused):
        return _of_words(error.body[-_READ_BYTES:]) or "again"  # the error is the last event
    if error.status in _AGAIN:
        return "again"
    if error.status in _SICK_KEY:
        return "elsewhere"
    if error.status == _LIMITED:
        return "later"
    if 400 <= error.status < 500 and (found := _of_words(error.body[:_READ_BYTES])) in ("longer", "gentler"):
        return found
    return "again" if error.status >= 500 else "elsewhere" if error.retryable else "none"


def _of_words(said: bytes) -> Remedy | None:
    if _TOO_LONG.search(said):
        return "longer"
    if _FILTERED.search(said):
        return "gentler"
    return "none" if _CLIENTS_FAULT.search(said) else None
