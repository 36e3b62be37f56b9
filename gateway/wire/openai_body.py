"""Reading and changing an OpenAI request body, whatever its endpoint."""

from __future__ import annotations

import re
from functools import partial
from itertools import compress
from operator import attrgetter, is_not
from typing import Any, TypeAlias, TypeVar

import msgspec

from gateway.errors import BadRequest

T = TypeVar("T")
Small: TypeAlias = bool | int | float | str
"""A setting as it stands on a row."""

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_BYTE = re.compile(r"^(?:JSON is malformed: )?(?P<what>.*?)(?: \(byte (?P<byte>\d+)\))?$", re.DOTALL)


class _StreamOptions(msgspec.Struct):
    include_usage: Any = None


_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_stream_options = msgspec.json.Decoder(_StreamOptions)
_strings = msgspec.json.Decoder(str)
_encode = msgspec.json.encode
_ASKING = msgspec.Raw(b'{"include_usage":true}')

_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""How gzip and zstd begin. Sources: RFC 1952, section 2.3.1; RFC 8878, section 3.1.1."""
_is_given = partial(is_not, None)
_LARGEST = 2**63 - 1
"""Of an integer on a row."""


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode the body; raise BadRequest that says where it is wrong."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from error
    except msgspec.DecodeError as error:
        raise _malformed(str(error), body) from error
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not valid JSON: it is not UTF-8.", code="invalid_json") from error
    except RecursionError as error:
        raise BadRequest(
            "The body is not valid JSON: it is nested too deeply.", code="invalid_json"
        ) from error


def _wrong_type(error: msgspec.ValidationError) -> BadRequest:
    found = _PLACE.match(str(error))
    path = (found and found["path"]) or ""
    what = found["what"] if found else str(error)
    what = (
        what.replace(" | null", "").replace("`", "").replace("Expected", "expected").replace("got", "but got")
    )
    if not path:
        return BadRequest(f"The body must be a JSON object: {what}.", code="invalid_json")
    return BadRequest(f"Invalid type for '{path}': {what}.", code="invalid_type", param=path)


def _malformed(said: str, body: bytes) -> BadRequest:
    if body.startswith(_COMPRESSED):
        return BadRequest("The body is compressed: send it without a content-encoding.", code="invalid_json")
    found = _BYTE.match(said)
    what = found["what"] if found else said
    at = int(found["byte"]) if found and found["byte"] else len(body)
    if not (found and found["byte"]):
        what = "it ends too early"
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    return BadRequest(
        f"The body is not valid JSON: {what} at byte {at} (line {line}, column {column}).",
        code="invalid_json",
    )


def check_model(model: object) -> str:
    """Return the model's name; raise BadRequest if there is none."""
    if not isinstance(model, str) or not model:
        raise BadRequest(
            "you must provide a model parameter", code="missing_required_parameter", param="model"
        )
    return model


def missing(name: str) -> BadRequest:
    """Return the error for a parameter that must be there."""
    return BadRequest(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def small(value: object) -> Small | None:
    """Return the value if it is worth a place on the row: a short scalar that the journal can hold."""
    if isinstance(value, str):
        return value if len(value) <= 64 else None
    if isinstance(value, int):
        return value if -_LARGEST <= value <= _LARGEST else None
    return value if isinstance(value, float) else None


class Settings:
    """Those settings of a format's bodies that are worth a place on the row."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._read = attrgetter(*names)

    def of(self, said: msgspec.Struct) -> dict[str, Small]:
        """Return what a body says of them."""
        values = self._read(said)
        found: dict[str, Small] = {}
        # most are not there: they are passed over without a turn of the loop
        for name, value in compress(zip(self._names, values, strict=True), map(_is_given, values)):
            kept = small(value)
            if kept is not None:
                found[name] = kept
        return found


def wants_usage(options: msgspec.Raw) -> bool:
    """Return whether these `stream_options` ask for usage; of none, and of what is no object, False."""
    if not bytes(options):
        return False
    try:
        return _stream_options.decode(options).include_usage is True
    except msgspec.DecodeError:
        return False


def rewrite(body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:
    """Return the body with another model, without the fields to `drop`, and asking for usage if it asks for a stream.

    Every other value keeps its bytes, and the body itself is returned if nothing changes. Called with bodies that were read before; one whose keys are not UTF-8
    shows only here, as BadRequest.
    """
    fields = decode(_objects, body)
    changed = False
    for name in drop:
        changed |= fields.pop(name, None) is not None
    if _strings.decode(fields["model"]) != model:
        fields["model"] = msgspec.Raw(_encode(model))
        changed = True
    if ask_usage and bytes(fields.get("stream", b"")).strip() == b"true":
        changed |= _ask_for_usage(fields)
    return _encode(fields) if changed else body


def _ask_for_usage(fields: dict[str, msgspec.Raw]) -> bool:
    said = fields.get("stream_options")
    if said is None:
        fields["stream_options"] = _ASKING
        return True
    try:
        options = _objects.decode(said) if bytes(said).strip() != b"null" else {}
    except msgspec.DecodeError:
        return False  # not an object: the provider will say so
    if bytes(options.get("include_usage", b"")).strip() == b"true":
        return False
    options["include_usage"] = msgspec.Raw(b"true")
    fields["stream_options"] = msgspec.Raw(_encode(options))
    return True
