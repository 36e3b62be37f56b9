"""Messages given to `add`: what was said, by whom and when. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from memory.capture import text_of
from memory.errors import BadMemory
from memory.records import Trust

MAX_NAME = 100
_ROLES: Mapping[object, Trust] = {"user": "user", "assistant": "assistant", "tool": "tool"}
_TIMES = ("timestamp", "created_at")
_MILLISECONDS_FROM = 100_000_000_000
"""A larger number cannot be seconds: it would lie in the year 5138."""


class Statement(NamedTuple):
    """One statement to be stored as it is."""

    text: str
    trust: Trust = "user"
    name: str = ""
    """Who said it, if that has a name."""
    occurred_at_us: int = 0
    """0: now."""
    kind: str = "fact"


Messages = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def given(
    messages: Messages, *, timestamp: object = None, metadata: Mapping[str, Any] | None = None
) -> list[Statement]:
    """Return the statements; a message's own `timestamp` or `created_at` goes before that of all, and of the metadata.

    Times are seconds or milliseconds since 1970 or ISO 8601, which is UTC if it does not say otherwise. Raises BadMemory.
    """
    at_us = 0 if timestamp is None else moment_of(timestamp)
    at_us = at_us or _named_time(metadata or {})
    kind = "fact" if isinstance(messages, str) else "episode"
    found = [
        Statement(text, trust, _name(message.get("name")), _named_time(message) or at_us, kind)
        for message in listed(messages)
        if (trust := _ROLES.get(message.get("role", "user"))) and (text := text_of(message.get("content")))
    ]
    if not found:
        raise BadMemory("there is no text in these messages", param="messages")
    return found


def listed(messages: Messages) -> Sequence[Mapping[str, Any]]:
    """Return what was given as a list of messages."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    return [messages] if isinstance(messages, Mapping) else messages


def moment_of(value: object) -> int:
    """Return a time as microseconds since 1970. Raises BadMemory."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1e6)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            seconds = value / 1e3 if value > _MILLISECONDS_FROM else value
            return round(datetime.fromtimestamp(seconds, UTC).timestamp() * 1e6)
    raise BadMemory("a time is seconds since 1970 or ISO 8601", param="timestamp")


def _named_time(fields: Mapping[str, Any]) -> int:
    """Return the time among the fields; one that cannot be read is none, as the fields are the caller's own."""
    for name in _TIMES:
        with contextlib.suppress(BadMemory, KeyError):
            return moment_of(fields[name])
    return 0


def _name(value: object) -> str:
    return value.strip()[:MAX_NAME] if isinstance(value, str) else ""
