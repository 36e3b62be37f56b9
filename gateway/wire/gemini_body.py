"""Reading and changing a Gemini request body, whatever its method.

The path names the model. Bodies may name it again, as `models/NAME`: at the top, in each of the `requests` of a
batch, and in the `generateContentRequest` whose tokens are to be counted.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.wire import openai_body

_NAMES_MODEL = re.compile(rb'"model"\s*:')
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_strings = msgspec.json.Decoder(str)
_encode = msgspec.json.encode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_INSIDE = ("generateContentRequest", "generate_content_request")


def rewrite(body: bytes, *, model: str, drop: tuple[str, ...] = ()) -> bytes:
    """Return the body with another model wherever it names one, without the fields to `drop`.

    Every other value keeps its bytes, and the body itself is returned if nothing changes.
    """
    if not drop and _NAMES_MODEL.search(body) is None:
        return body
    fields = openai_body.decode(_objects, body)
    changed = False
    for name in drop:
        changed |= fields.pop(name, None) is not None
    changed |= _rename(fields, model)
    for name in _INSIDE:
        if name in fields and (inner := _renamed(fields[name], model)) is not None:
            fields[name] = inner
            changed = True
    if "requests" in fields:
        changed |= _rename_each(fields, model)
    return _encode(fields) if changed else body


def _rename(fields: dict[str, msgspec.Raw], model: str) -> bool:
    """Change the model an object names; say whether that changed anything."""
    try:
        named = _strings.decode(fields["model"])
    except (KeyError, *_UNREADABLE):
        return False
    if named.removeprefix("models/") == model:
        return False
    fields["model"] = msgspec.Raw(_encode(full_name(model)))
    return True


def _renamed(said: msgspec.Raw, model: str) -> msgspec.Raw | None:
    """Return the object with another model; None if nothing changes."""
    try:
        fields = _objects.decode(said)
    except _UNREADABLE:
        return None
    return msgspec.Raw(_encode(fields)) if _rename(fields, model) else None


def _rename_each(fields: dict[str, msgspec.Raw], model: str) -> bool:
    try:
        requests: list[Any] = [*_lists.decode(fields["requests"])]
    except _UNREADABLE:
        return False
    renamed = [_renamed(request, model) for request in requests]
    if all(after is None for after in renamed):
        return False
    pairs = zip(requests, renamed, strict=True)
    fields["requests"] = msgspec.Raw(_encode([before if after is None else after for before, after in pairs]))
    return True


def full_name(model: str) -> str:
    """Return the model's resource name."""
    return model if model.startswith("tunedModels/") else f"models/{model}"


def missing(name: str) -> BadRequest:
    """Return the error for a field that must be there."""
    return BadRequest(f"{name} is not specified", code="missing_required_parameter", param=name)
