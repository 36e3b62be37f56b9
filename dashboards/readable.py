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


_WHY = {
    "unknown_model": "No price is known for the model: add one under `prices`, then run `tidegate prices rerate`.",
    "no_price_table": "There was no price table: run `tidegate prices rerate`.",
    "no_rate": "The price list has no rate for this: add one under `prices`, then run `tidegate prices rerate`.",
    "no_tier": "The price list has no such service tier: add it under `prices`, then run `tidegate prices rerate`.",
    "no_usage": "The provider did not say how many tokens it used: its own bill does.",
    "no_answer": "There was no answer to be billed for.",
    "pending": "A batch whose output nobody has fetched yet.",
    "interrupted": "The gateway process died before the answer was over.",
}


def why(reason: str) -> str:
    """Say what a reason for a missing cost means, and what to do about it."""
    return _WHY.get(reason.partition(":")[0], "")
