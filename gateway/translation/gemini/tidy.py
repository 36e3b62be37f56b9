"""Sets a request right that is not written the usual way.

Google reads field names in camelCase and in snake_case, even mixed. Its own clients write the one; so only a request
that has something else in it comes here, and is written once more with the names that are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import get_args, get_type_hints

import msgspec
from msgspec import Raw

_LETTER = re.compile(r"_([a-z0-9])")
_NOTHING = frozenset({b"null", b"[]", b"false", b'""'})
"""What says nothing; an empty object does: `{"googleSearch": {}}`."""
_objects = msgspec.json.Decoder(dict[str, Raw])
_lists = msgspec.json.Decoder(list[Raw])


@cache
def _camel(name: str) -> str:
    return _LETTER.sub(lambda found: found[1].upper(), name.lstrip("_"))


def camel(name: str) -> str:
    """Return a field's name in camelCase."""
    return _camel(name) if "_" in name and len(name) < 64 else name


def tidy(fields: dict[str, Raw], kind: type[msgspec.Struct], unknown: list[str], path: str = "") -> bytes:
    """Return the object with only the fields that `kind` has; what else is said goes to `unknown`, by its path.

    Raises DecodeError where an object or a list is none.
    """
    inside = _fields_of(kind)
    kept: dict[str, Raw] = {}
    for written, value in fields.items():
        name = camel(written)
        place = f"{path}.{name}" if path else name
        if name not in inside:
            if bytes(value).strip() not in _NOTHING:
                unknown.append(place)
            continue
        known = inside[name]
        kept[name] = value if known is None else Raw(_tidied(bytes(value), known, unknown, place))
    return msgspec.json.encode(kept)


def _tidied(value: bytes, kind: type[msgspec.Struct], unknown: list[str], path: str) -> bytes:
    begin = value.lstrip()[:1]
    if begin == b"{":
        return tidy(_objects.decode(value), kind, unknown, path)
    if begin == b"[":
        elements = enumerate(_lists.decode(value))
        return b"[%b]" % b",".join(_tidied(bytes(e), kind, unknown, f"{path}[{i}]") for i, e in elements)
    return value


@cache
def _fields_of(kind: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """Return the names of its fields, each with the struct that stands in it or in its list, if one does."""
    types = get_type_hints(kind)
    return {
        field.encode_name: next(_structs_in(types[field.name]), None)
        for field in msgspec.structs.fields(kind)
    }


def _structs_in(annotation: object) -> Iterator[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for inner in get_args(annotation):
        yield from _structs_in(inner)
