"""To whom and to what a call belongs: the `x-tidegate-*` headers and W3C `traceparent`."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from gateway.errors import BadRequest, Forbidden
from gateway.exchange import Identity
from gateway.principal import Principal

PREFIX = b"x-tidegate-"
PROPERTY = b"x-tidegate-property-"
IDS = {
    b"x-tidegate-user-id": "user_id",
    b"x-tidegate-agent-id": "agent_id",
    b"x-tidegate-thread-id": "thread_id",
    b"x-tidegate-event-id": "event_id",
    b"x-tidegate-environment": "environment",
    b"x-tidegate-step": "step",
}
MAX_ID = 255
MAX_TAGS = 64
MAX_PROPERTIES = 64

_PLAIN = re.compile(rb"[A-Za-z0-9_.:@/-]{1,255}")
"""An id that needs no second look; most are."""
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
"""Source: W3C Trace Context, section 3.2."""


def read_identity(headers: dict[bytes, bytes], principal: Principal, new_id: Callable[[], str]) -> Identity:
    """Read who the call is for; an event id is made if none is given. Raises BadRequest, Forbidden."""
    found: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}
    for name, value in headers.items():
        if not name.startswith(PREFIX):
            continue
        if (field := IDS.get(name)) is not None:
            found[field] = value.decode() if _PLAIN.fullmatch(value) else _identifier(name, value)
        elif name == b"x-tidegate-tags":
            tags = _tags(name, value)
        elif name.startswith(PROPERTY):
            properties[_property_name(name)] = _text(name, value)
    if len(properties) > MAX_PROPERTIES:
        raise BadRequest(f"more than {MAX_PROPERTIES} x-tidegate-property-* headers", code="invalid_header")
    _check_environment(found.get("environment", ""), principal)
    found["environment"] = found.get("environment") or principal.environment
    if (trace := headers.get(b"traceparent")) is not None and (match := _TRACEPARENT.fullmatch(trace)):
        found["trace_id"], found["parent_span_id"] = match[1].decode(), match[2].decode()
    made = "event_id" not in found
    if made:
        found["event_id"] = new_id()
    return Identity(**found, event_id_made=made, tags=tags, properties=properties)


def _check_environment(wanted: str, principal: Principal) -> None:
    if wanted and not principal.open and wanted != principal.environment:
        raise Forbidden(
            f"this key counts in the environment {principal.environment!r}, not {wanted!r}: "
            "leave x-tidegate-environment out or use a key of that environment",
            code="environment_not_allowed",
            param="x-tidegate-environment",
        )


def _text(name: bytes, value: bytes) -> str:
    raw = unquote_to_bytes(value) if b"%" in value else value
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise _bad(name, "must be UTF-8 or percent-encoded UTF-8") from error
    if not text.isprintable():
        raise _bad(name, "must not hold control characters")
    return text


def _identifier(name: bytes, value: bytes) -> str:
    text = _text(name, value)
    if not 1 <= len(text) <= MAX_ID:
        raise _bad(name, f"must have 1 to {MAX_ID} characters")
    if text == "*":
        raise _bad(name, "`*` is not an id")
    return text


def _tags(name: bytes, value: bytes) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag for part in value.split(b",") if (tag := _text(name, part))))
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_ID for tag in tags):
        raise _bad(name, f"takes at most {MAX_TAGS} tags of at most {MAX_ID} characters")
    return tags


def _property_name(name: bytes) -> str:
    prop = name[len(PROPERTY) :].decode("latin-1")
    if not prop:
        raise _bad(name, "needs a name after `x-tidegate-property-`")
    return prop


def _bad(name: bytes, rule: str) -> BadRequest:
    header = name.decode("latin-1")
    return BadRequest(f"header {header}: {rule}", code="invalid_header", param=header)
