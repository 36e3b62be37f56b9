"""Everything of the providers' APIs that has no format of its own here: it is passed on, and recorded as far as it is text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec

from gateway.errors import GatewayError
from gateway.wire import anthropic_errors, gemini_errors, openai_body, openai_errors, passthrough_words
from gateway.wire.base import Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.passthrough_answer import Due, PassedDocument, PassedStream
from gateway.wire.passthrough_paths import Family, Place

_PARAMETERS = (
    "n", "size", "quality", "style", "background", "output_format", "voice", "speed", "response_format",
    "stream_format", "seconds", "top_n", "dimensions", "purpose", "endpoint", "completion_window",
)  # fmt: skip
_BATCHES = frozenset(
    {"batches", "messages.batches", "models.batchGenerateContent", "models.asyncBatchEmbedContent"}
)
_FREE = frozenset({"GET", "HEAD", "DELETE"})


class _Body(Claiming):
    model: Any = None
    stream: Any = None
    previous_response_id: Any = None


class _Errors(NamedTuple):
    render: Callable[[GatewayError], bytes]
    event: Callable[[GatewayError], bytes]


_bodies = msgspec.json.Decoder(_Body)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_anything = msgspec.json.Decoder(msgspec.Raw)
_values = msgspec.json.Decoder()
_encode = msgspec.json.encode


def _gemini_event(error: GatewayError) -> bytes:
    return b"data: " + gemini_errors.render(error) + b"\r\n\r\n"


_ERRORS: Mapping[Family, _Errors] = {
    "openai": _Errors(openai_errors.render, openai_errors.typed_event),
    "anthropic": _Errors(anthropic_errors.render, anthropic_errors.event),
    "gemini": _Errors(gemini_errors.render, _gemini_event),
}


class PassThrough:
    """A format that is not looked into beyond what a row needs: the model, whom it is for, what it used."""

    stream_type = "text/event-stream"

    def __init__(self, family: Family, operation: str, due: Due) -> None:
        self.surface = f"{family}.passthrough"
        self.operation = operation
        self._errors = _ERRORS[family]
        self._due = due

    def peek(self, body: bytes, *, model: str = "") -> Peek:
        """Read the model and the claims of a JSON object; raise BadRequest if it is no JSON at all."""
        if not body or not _is_object(body):
            return Peek(model=model)
        said = openai_body.decode(_bodies, body)
        claims, control = claimed(said)
        named = said.model if isinstance(said.model, str) else ""
        previous = said.previous_response_id
        return Peek(
            model=model or named,
            stream=said.stream is True,
            wants_usage=True,  # nothing is asked for that the client did not ask for
            parameters=_parameters(body),
            claims=claims,
            control=control,
            previous=previous if isinstance(previous, str) else "",
        )

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - nothing is asked for
        """Return the body asking for `model`, if it names one, without the fields to `drop`."""
        if not body or not _is_object(body):
            return body
        fields = openai_body.decode(_objects, body)
        changed = False
        for name in drop:
            changed |= fields.pop(name, None) is not None
        said = fields.get("model")
        if model and said is not None and _string(said) not in ("", model):
            fields["model"] = msgspec.Raw(_encode(model))
            changed = True
        return _encode(fields) if changed else body

    def conversation(self, body: bytes) -> None:
        """Say that there is no place for memories."""

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - nothing is taken out
        """Return a reader for one answer."""
        kind = PassedStream if stream else PassedDocument
        return kind(self.operation, self._due)

    def words(self, content_type: str, body: bytes) -> str:
        """Return what an answer says."""
        return passthrough_words.words(content_type, body)

    def error(self, error: GatewayError) -> bytes:
        """Render an error as the family's own clients expect it."""
        return self._errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as the last event of a stream that has begun."""
        return self._errors.event(error)


@cache
def _wire(family: Family, operation: str, due: Due) -> PassThrough:
    return PassThrough(family, operation, due)


def wire_of(place: Place) -> PassThrough:
    """Return the format of a place; there are as many as operations."""
    return _wire(place.family, place.operation, _due(place))


def _due(place: Place) -> Due:
    """Say where the usage is counted of an answer that tells none."""
    if place.method in _FREE:
        return "untold" if place.operation == "other" else "elsewhere"
    makes = place.path.rstrip("/").endswith(("batches", "Content"))
    return "batch" if makes and place.operation in _BATCHES else "untold"


def _is_object(body: bytes) -> bool:
    """Tell an object from other JSON, which is passed on unread; raise BadRequest if it is none."""
    if body.lstrip(b" \t\r\n").startswith(b"{"):
        return True
    openai_body.decode(_anything, body)
    return False


def _string(raw: msgspec.Raw) -> str:
    said = _values.decode(raw)
    return said if isinstance(said, str) else ""


def _parameters(body: bytes) -> dict[str, bool | int | float | str]:
    fields = openai_body.decode(_objects, body)
    found = {name: _values.decode(fields[name]) for name in _PARAMETERS if name in fields}
    return {name: kept for name, value in found.items() if (kept := openai_body.small(value)) is not None}
