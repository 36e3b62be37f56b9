"""What a sandbox call was told to do, and the steps it is done in."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from typing import Any

import msgspec

from gateway.errors import BadRequest, UnknownModel
from gateway.providers.base import Headers

CREATED = 1_767_225_600
"""2026-01-01: answers of the sandbox do not depend on the time."""


class Head(msgspec.Struct, frozen=True):
    """The answer's status and headers."""

    status: int
    headers: Headers


class Bytes(msgspec.Struct, frozen=True):
    """Bytes of the answer's body that arrive together."""

    data: bytes


class Wait(msgspec.Struct, frozen=True):
    """Silence."""

    ms: int


class Cut(msgspec.Struct, frozen=True):
    """The connection breaks."""


Step = Head | Bytes | Wait | Cut


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The object `sandbox` of a request body."""

    text: str | None = None
    """The answer; default: the last user message."""
    delay_ms: int = 0
    """Before the first byte."""
    chunk_ms: int = 0
    """Before each further event of a stream."""
    chunks: int | None = None
    """Into how many events the text is cut; default: one for each token."""
    status: int = 200
    error: dict[str, Any] | None = None
    """Members of the error object. With status 200 in a stream: sent as an event after the 200."""
    headers: dict[str, str] = {}
    """More headers of the answer."""
    cut_after: int | None = None
    """The connection breaks after so many events (of a stream) or bytes (of a document)."""
    usage: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    """Instead of the counted usage; null: none at all."""
    tool_calls: tuple[dict[str, Any], ...] | None = None
    """`{"name": ..., "arguments": {...}}` each."""
    finish_reason: str | None = None


MODELS = ("echo", "lorem-100", "slow-1000", "pace-50", "cut-3", "error-429")
"""Examples of each model, for `GET /v1/models`."""

_LIMITS = {"delay_ms": 600_000, "chunk_ms": 60_000, "chunks": 100_000, "cut_after": 1 << 30}
_NAMED = re.compile(r"(?P<what>lorem|slow|pace|cut|error)-(?P<number>\d{1,6})")
_WORDS = ("tide", "gate", "sea", "salt", "wave", "pier", "rope", "mast", "gull", "moon", "ebb", "flow")
_TOKEN = re.compile(r"\s*\S{1,4}")


def script_of(model: str, body: dict[str, Any]) -> Script:
    """Return what to do: the model's name says it, the body's `sandbox` object has the last word."""
    said = body.get("sandbox")
    try:
        script = msgspec.convert({} if said is None else said, Script)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        field = "sandbox" + path.rstrip("`")
        raise BadRequest(
            f"Invalid sandbox script: {what} at {field}.", param=field, code="invalid_script"
        ) from error
    _check(script)
    named = _by_name(model)
    given = said if isinstance(said, dict) else {}
    return msgspec.structs.replace(script, **{k: v for k, v in named.items() if k not in given})


def _check(script: Script) -> None:
    for name, most in _LIMITS.items():
        value = getattr(script, name)
        if value is not None and not 0 <= value <= most:
            raise _invalid(name, f"expected 0 to {most}")
    if not 200 <= script.status <= 599:
        raise _invalid("status", "expected 200 to 599")
    for name, value in script.headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not value.isascii() or not value.isprintable():
            raise _invalid("headers", f"{name!r} is not a header that can be sent")
    for call in script.tool_calls or ():
        if not isinstance(call.get("name"), str):
            raise _invalid("tool_calls", "each needs a name")


def _invalid(name: str, why: str) -> BadRequest:
    field = f"sandbox.{name}"
    return BadRequest(f"Invalid sandbox script: {why} at {field}.", param=field, code="invalid_script")


def _by_name(model: str) -> dict[str, Any]:
    if model == "echo":
        return {}
    found = _NAMED.fullmatch(model)
    number = int(found["number"]) if found else 0
    if found is None or (found["what"] == "error" and not 400 <= number <= 599):
        raise UnknownModel(
            f"The model `sandbox/{model}` does not exist. There are: echo, lorem-<tokens>, slow-<ms>,"
            " pace-<ms>, cut-<events>, error-<status>.",
            param="model",
        )
    match found["what"]:
        case "lorem":
            return {"text": lorem(number)}
        case "slow":
            return {"delay_ms": min(number, _LIMITS["delay_ms"])}
        case "pace":
            return {"chunk_ms": min(number, _LIMITS["chunk_ms"])}
        case "cut":
            return {"cut_after": number}
        case _:
            return {"status": number}


def lorem(tokens: int) -> str:
    """Return a text of exactly so many tokens."""
    return " ".join(_WORDS[i % len(_WORDS)] for i in range(tokens))


def tokens(text: str) -> list[str]:
    """Cut a text into the sandbox's tokens: at most four characters of a word, with the space before it."""
    found = _TOKEN.findall(text)
    rest = text[sum(map(len, found)) :]
    if rest:
        found.append(rest)
    return found


def digest(*parts: bytes) -> str:
    """Return hex digits that depend on nothing but the parts."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def regrouped(pieces: list[str], chunks: int | None) -> list[str]:
    """Cut the text into `chunks` parts of about the same size instead of one for each token."""
    if not chunks:
        return pieces
    whole = "".join(pieces)
    bounds = [len(whole) * i // chunks for i in range(chunks + 1)]
    return [whole[a:b] for a, b in pairwise(bounds) if a < b]


def number(body: dict[str, Any], name: str, default: int, most: int) -> int:
    """Return a setting of a request; raise BadRequest if it is not from 1 to `most`."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise BadRequest(f"Invalid '{name}': expected an integer from 1 to {most}.", param=name)
    return value
