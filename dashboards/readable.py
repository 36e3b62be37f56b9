"""Bodies and errors as people read them. What is in them was written by others: it stays text."""

from __future__ import annotations

import msgspec


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []


class _Error(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


_chunks = msgspec.json.Decoder(_Chunk)
_refusals = msgspec.json.Decoder(_Refusal)


def pretty(body: str) -> str:
    """Indent what is JSON, leave the rest as it is."""
    try:
        return msgspec.json.format(body, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return body


def streamed(body: str) -> str:
    """Return the text of a streamed chat completion's first choice; nothing if the body is none."""
    parts: list[str] = []
    for line in body.splitlines():
        if not line.startswith("data: {"):
            continue
        try:
            chunk = _chunks.decode(line[6:])
        except msgspec.DecodeError:
            continue
        parts += (choice.delta.content or "" for choice in chunk.choices[:1])
    return "".join(parts)


def complaint(error: str) -> str:
    """Return the message inside a provider's error document, or the error as it is."""
    try:
        return _refusals.decode(error).error.message
    except msgspec.DecodeError:
        return error
