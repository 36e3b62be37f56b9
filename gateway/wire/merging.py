"""Puts settings of a route into a request's body, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.wire import openai_body

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode


def merge(body: bytes, changes: Mapping[str, object]) -> bytes:
    """Return the body with the changes merged in as by RFC 7396 (null takes a field out); raise BadRequest.

    Every other value keeps its bytes.
    """
    return _merged(openai_body.decode(_objects, body), changes)


def _merged(fields: dict[str, msgspec.Raw], changes: Mapping[str, object]) -> bytes:
    for name, value in changes.items():
        if value is None:
            fields.pop(name, None)
        elif isinstance(value, Mapping):
            fields[name] = msgspec.Raw(_merged(_inner(fields.get(name)), value))
        else:
            fields[name] = msgspec.Raw(_encode(value))
    return _encode(fields)


def _inner(said: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """Return the object that stands there; what is none gives way to one."""
    if said is None or not bytes(said).lstrip().startswith(b"{"):
        return {}
    return openai_body.decode(_objects, bytes(said))
