"""To whom and to what a call belongs: our own headers, then the body, then the headers of other gateways.

Which headers those are, and their order, was read off the documentation and code of LiteLLM, Helicone, Portkey,
Cloudflare, Respan, Bifrost, TrueFoundry, Codex and Claude Code in November 2026; `traceparent` and `baggage` are W3C's.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from gateway import claims
from gateway.claims import MAX_ID, MAX_PROPERTIES, MAX_TAGS, Claims
from gateway.errors import BadRequest, Forbidden
from gateway.exchange import Exchange, Identity
from gateway.principal import Principal

PREFIX = b"x-tidegate-"
PROPERTY = b"x-tidegate-property-"
OURS: Mapping[str, bytes] = {
    "user_id": b"x-tidegate-user-id",
    "agent_id": b"x-tidegate-agent-id",
    "thread_id": b"x-tidegate-thread-id",
    "event_id": b"x-tidegate-event-id",
    "environment": b"x-tidegate-environment",
    "step": b"x-tidegate-step",
}
PEERS: Mapping[str, tuple[bytes, ...]] = {
    "user_id": (
        b"x-litellm-end-user-id",
        b"x-litellm-customer-id",
        b"x-litellm-user-id",
        b"helicone-user-id",
    ),
    "thread_id": (
        b"x-litellm-trace-id",
        b"x-litellm-session-id",
        b"x-*-session-id",
        b"session-id",
        b"session_id",
        b"thread-id",
        b"conversation_id",
        b"x-session-id",
        b"x-session-affinity",
        b"x-parent-session-id",
        b"helicone-session-id",
    ),
    "event_id": (b"x-event-id", b"cf-aig-event-id", b"helicone-request-id"),
    "trace_id": (b"x-portkey-trace-id",),
    "parent_span_id": (b"x-portkey-parent-span-id", b"x-portkey-span-id"),
    "step": (b"x-portkey-span-name", b"helicone-session-path"),
}
"""Best first. `*` is one word: `x-claude-code-session-id`."""
_PEER_PROPERTIES = (b"helicone-property-", b"x-bf-dim-")
_OBJECTS = frozenset(
    {b"x-portkey-metadata", b"cf-aig-metadata", b"x-tfy-metadata", b"x-litellm-spend-logs-metadata"}
)
"""JSON objects of properties; `_user` and `environment` in them are ids."""
_PACKED = frozenset({b"x-data-respan-params", b"x-data-keywordsai-params"})
"""Respan's body fields, as base64 of a JSON object."""
MAX_METRICS = 32
MAX_METRIC_NAME = 64
_NAMES_KEPT = 1024
_LONGEST_KEPT = 128

_PLAIN = re.compile(rb"[A-Za-z0-9_.:@/-]{1,255}")
"""An id that needs no second look; most are."""
_SESSION = re.compile(rb"x-[a-z0-9-]+-session-id")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
"""Source: W3C Trace Context, section 3.2."""
_BAGGAGE_SESSION = re.compile(rb"(?:\A|,)\s*session\.id\s*=\s*([^,;\s]+)")
"""Source: W3C Baggage, section 3.2."""

_objects = msgspec.json.Decoder(dict[str, object])


class _Found:
    """What the headers say, by who says it."""

    __slots__ = ("ids", "metrics", "peers", "properties", "ranks", "tags", "weak")

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.peers: dict[str, str] = {}
        self.ranks: dict[str, int] = {}
        self.weak: list[Claims] = []
        self.tags: tuple[str, ...] = ()
        self.properties: dict[str, str] = {}
        self.metrics: dict[str, float] = {}


Read = Callable[[_Found, bytes, bytes], None]
"""Takes what a header says, given its name and value. Raises BadRequest."""


def read_identity(headers: dict[bytes, bytes], principal: Principal) -> Identity:
    """Read who the call is for; if no event is named, its id is still to be made. Raises BadRequest, Forbidden."""
    found: _Found | None = None
    for name in headers:
        read = _reads[name]
        if read is not None:
            found = found or _Found()
            read(found, name, headers[name])
    if found is None:
        return Identity(event_id="", event_id_made=True, environment=principal.environment)
    if len(found.properties) > MAX_PROPERTIES:
        raise BadRequest(f"more than {MAX_PROPERTIES} x-tidegate-property-* headers", code="invalid_header")
    ids = found.ids
    _check_environment(ids.get("environment", ""), principal)
    ids = {**found.peers, **ids}
    for weak in found.weak:
        ids = {**weak.ids, **ids}
        found.tags = _joined(found.tags, weak.tags)
        found.properties = _merged(found.properties, weak.properties)
    if not principal.open or "environment" not in ids:
        ids["environment"] = principal.environment
    made = ids.setdefault("event_id", "") == ""
    return Identity(
        **ids, event_id_made=made, tags=found.tags, properties=found.properties, metrics=found.metrics
    )


def adopt_claims(exchange: Exchange) -> None:
    """Let the body fill what no header of ours says; it outweighs the headers of other gateways."""
    said = exchange.peek.claims if exchange.peek is not None else None
    if said is None:
        return
    before, principal = exchange.identity, exchange.principal
    ids = {field: value for field, value in said.ids.items() if OURS.get(field) not in exchange.headers}
    if not principal.open:
        ids.pop("environment", None)  # the key decides where its calls are counted
    if b"traceparent" in exchange.headers:
        ids.pop("trace_id", None)
        ids.pop("parent_span_id", None)
    exchange.identity = msgspec.structs.replace(
        before,
        **ids,
        event_id_made=before.event_id_made and "event_id" not in ids,
        tags=_joined(before.tags, said.tags),
        properties=_merged(before.properties, said.properties),
    )
    exchange.client.event_id = header_value(exchange.identity.event_id)


def header_value(text: str) -> bytes:
    """Return an id as a header value: as it is if it is ASCII, else percent-encoded UTF-8."""
    if text.isascii():
        return text.encode()
    return b"".join(b"%c" % byte if byte < 0x80 else b"%%%02X" % byte for byte in text.encode())


def _own_id(field: str) -> Read:
    def read(found: _Found, name: bytes, value: bytes) -> None:
        found.ids[field] = value.decode() if _PLAIN.fullmatch(value) else _identifier(name, value)

    return read


def _own_tags(found: _Found, name: bytes, value: bytes) -> None:
    tags = tuple(dict.fromkeys(tag for part in value.split(b",") if (tag := _text(name, part))))
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_ID for tag in tags):
        raise _bad(name, f"takes at most {MAX_TAGS} tags of at most {MAX_ID} characters")
    found.tags = tags


def _own_property(found: _Found, name: bytes, value: bytes) -> None:
    found.properties[_property_name(name, PROPERTY)] = _text(name, value)


def _own_metrics(found: _Found, name: bytes, value: bytes) -> None:
    """Read what the client measured: `{"hit": 1, "relevance": 0.7}`, or `hit=1,relevance=0.7`."""
    text = _text(name, value)
    if not text.startswith("{"):
        pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
        said: Any = {metric.strip(): number.strip() for metric, _, number in pairs}
    else:
        said = _object(name, text.encode())
    try:
        metrics = msgspec.convert(said, dict[str, bool | float], strict=False)
    except msgspec.ValidationError as error:
        raise _bad(name, "must be a JSON object of numbers, or pairs like hit=1,relevance=0.7") from error
    if len(metrics) > MAX_METRICS or not all(1 <= len(metric) <= MAX_METRIC_NAME for metric in metrics):
        raise _bad(
            name, f"takes at most {MAX_METRICS} numbers with names of 1 to {MAX_METRIC_NAME} characters"
        )
    found.metrics = {metric: float(number) for metric, number in metrics.items()}
    for metric, number in found.metrics.items():
        if not math.isfinite(number):
            raise _bad(name, f"{metric} is not a finite number")


def _trace(found: _Found, name: bytes, value: bytes) -> None:  # noqa: ARG001 - one name
    if (match := _TRACEPARENT.fullmatch(value)) is not None:
        found.ids["trace_id"], found.ids["parent_span_id"] = match[1].decode(), match[2].decode()


def _peer_id(field: str, rank: int) -> Read:
    def read(found: _Found, name: bytes, value: bytes) -> None:
        if rank < found.ranks.get(field, rank + 1):
            found.ranks[field] = rank
            found.peers[field] = _identifier(name, value)

    return read


def _peer_tags(found: _Found, name: bytes, value: bytes) -> None:
    found.weak.append(claims.read({"metadata": {"tags": _text(name, value)}}))


def _peer_property(found: _Found, name: bytes, value: bytes) -> None:
    prefix = next(prefix for prefix in _PEER_PROPERTIES if name.startswith(prefix))
    found.weak.append(claims.read({"metadata": {_property_name(name, prefix): _text(name, value)}}))


def _peer_object(found: _Found, name: bytes, value: bytes) -> None:
    found.weak.append(claims.read({"metadata": _object(name, value)}))


def _peer_packed(found: _Found, name: bytes, value: bytes) -> None:
    try:
        packed = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(name, "must be base64 of a JSON object") from error
    found.weak.append(claims.read({"respan_params": _object(name, packed)}))


def _baggage(found: _Found, name: bytes, value: bytes) -> None:
    if (match := _BAGGAGE_SESSION.search(value)) is not None:
        _session_of_baggage(found, name, match[1])


_session_of_baggage = _peer_id("thread_id", len(PEERS["thread_id"]))
_session_of_a_client = _peer_id("thread_id", PEERS["thread_id"].index(b"x-*-session-id"))


class _Reads(dict[bytes, Read | None]):
    """How to read a header, by its name; None for one that says nothing of the call. Each name is looked at once."""

    def __missing__(self, name: bytes) -> Read | None:
        read = _read_of(name)
        if len(self) < _NAMES_KEPT and len(name) <= _LONGEST_KEPT:
            self[name] = read
        return read


_FIXED: Mapping[bytes, Read] = {
    **{name: _own_id(field) for field, name in OURS.items()},
    b"x-tidegate-tags": _own_tags,
    b"x-tidegate-metrics": _own_metrics,
    b"traceparent": _trace,
    **{name: _peer_id(field, rank) for field, names in PEERS.items() for rank, name in enumerate(names)},
    b"baggage": _baggage,
    b"x-litellm-tags": _peer_tags,
    **dict.fromkeys(_OBJECTS, _peer_object),
    **dict.fromkeys(_PACKED, _peer_packed),
}
_reads = _Reads()


def _read_of(name: bytes) -> Read | None:
    if (fixed := _FIXED.get(name)) is not None:
        return fixed
    if name.startswith(PROPERTY):
        return _own_property
    if name.startswith(_PEER_PROPERTIES):
        return _peer_property
    return _session_of_a_client if _SESSION.fullmatch(name) else None


def _joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first + second))[:MAX_TAGS]


def _merged(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    return dict([*first.items(), *((k, v) for k, v in second.items() if k not in first)][:MAX_PROPERTIES])


def _check_environment(wanted: str, principal: Principal) -> None:
    if wanted and not principal.open and wanted != principal.environment:
        raise Forbidden(
            f"this key counts in the environment {principal.environment!r}, not {wanted!r}: "
            "leave x-tidegate-environment out or use a key of that environment",
            code="environment_not_allowed",
            param="x-tidegate-environment",
        )


def _object(name: bytes, value: bytes) -> dict[str, object]:
    try:
        return _objects.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(name, "must be a JSON object") from error


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


def _property_name(name: bytes, prefix: bytes) -> str:
    prop = name[len(prefix) :].decode("latin-1")
    if not prop:
        raise _bad(name, f"needs a name after `{prefix.decode()}`")
    return prop


def _bad(name: bytes, rule: str) -> BadRequest:
    header = name.decode("latin-1")
    return BadRequest(f"header {header}: {rule}", code="invalid_header", param=header)
