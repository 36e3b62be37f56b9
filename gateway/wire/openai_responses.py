"""OpenAI's responses: `POST /v1/responses`, and what can be done with one that the provider keeps.

Source: https://platform.openai.com/docs/api-reference/responses (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from gateway.errors import GatewayError
from gateway.wire import openai_body, openai_errors, openai_response_words
from gateway.wire.base import Conversation, Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.openai_response import ResponseDocument, ResponseStream
from gateway.wire.openai_response_items import ItemsReading
from gateway.wire.openai_response_memory import InputConversation

_ABSENT = msgspec.Raw(b"")


class _Body(Claiming):
    model: str | None = None
    stream: bool | None = None
    store: Any = None
    previous_response_id: Any = None
    background: Any = None
    reasoning: msgspec.Raw = _ABSENT
    text: msgspec.Raw = _ABSENT
    tools: msgspec.Raw = _ABSENT
    temperature: Any = None
    top_p: Any = None
    max_output_tokens: Any = None
    max_tool_calls: Any = None
    parallel_tool_calls: Any = None
    service_tier: Any = None
    truncation: Any = None


class _Reasoning(msgspec.Struct):
    effort: Any = None


class _Format(msgspec.Struct):
    type: Any = None


class _Text(msgspec.Struct):
    format: _Format = msgspec.field(default_factory=_Format)
    verbosity: Any = None


_bodies = msgspec.json.Decoder(_Body)
_reasonings = msgspec.json.Decoder(_Reasoning)
_texts = msgspec.json.Decoder(_Text)
_lists = msgspec.json.Decoder(list[msgspec.Raw])

_SCALARS = openai_body.Settings(
    "store",
    "background",
    "temperature",
    "top_p",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "service_tier",
    "truncation",
)


class OpenAIResponses:
    """The format of new responses."""

    surface = "openai.responses"
    operation = "chat"
    stream_type = "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:  # noqa: ARG002 - the body names it
        """Read what routing and recording need; only what no provider could understand is refused."""
        said = openai_body.decode(_bodies, body)
        named = openai_body.check_model(said.model)
        claims, control = claimed(said)
        previous = said.previous_response_id
        return Peek(
            model=named,
            stream=bool(said.stream),
            wants_usage=True,  # it always stands in the last event
            parameters=_parameters(said),
            claims=claims,
            control=control,
            keep=said.store is not False,
            previous=previous if isinstance(previous, str) else "",
        )

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - it always comes
        """Return the body asking for `model`."""
        return openai_body.rewrite(body, model=model, ask_usage=False, drop=drop)

    def conversation(self, body: bytes) -> Conversation | None:
        """Read what the user says."""
        return InputConversation(body)

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - nothing is taken out
        """Return a reader for one answer."""
        return ResponseStream() if stream else ResponseDocument()

    def words(self, content_type: str, body: bytes) -> str:
        """Return what an answer says."""
        return openai_response_words.words(content_type, body)

    def error(self, error: GatewayError) -> bytes:
        """Render an error as OpenAI does."""
        return openai_errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as the last event of a stream that has begun."""
        return openai_errors.typed_event(error)


class KeptResponse(OpenAIResponses):
    """One thing that can be done with a response that the provider keeps; its usage was counted when it was made."""

    def __init__(self, operation: str, method: str, below: str = "") -> None:
        self.operation = f"responses.{operation}"
        self.method = method
        self.below = below
        """What the path says after the response's id."""

    @override
    def peek(self, body: bytes, *, model: str = "") -> Peek:
        """Take the id of the response, which the path names in place of a model."""
        return Peek(model="", previous=model)

    @override
    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:
        """Return the body as it is."""
        return body

    @override
    def conversation(self, body: bytes) -> None:
        """Say that there is no place for memories: nothing is asked of a model."""

    @override
    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:
        """Return a reader for one answer."""
        if self.below == "/input_items":
            return ItemsReading()
        return ResponseStream(counted=False) if stream else ResponseDocument(counted=False)


def _parameters(said: _Body) -> dict[str, openai_body.Small]:
    parameters = _SCALARS.of(said)
    if said.reasoning is not _ABSENT or said.text is not _ABSENT or said.tools is not _ABSENT:
        shapes = _shapes(said).items()
        parameters |= {name: kept for name, value in shapes if (kept := openai_body.small(value)) is not None}
    return parameters


def _shapes(said: _Body) -> dict[str, object]:
    """Return how hard to think, the kind of the format and the number of tools."""
    found: dict[str, object] = {}
    try:
        if said.reasoning is not _ABSENT:
            found["reasoning_effort"] = _reasonings.decode(said.reasoning).effort
        if said.text is not _ABSENT:
            wanted = _texts.decode(said.text)
            found["response_format"], found["verbosity"] = wanted.format.type, wanted.verbosity
        if said.tools is not _ABSENT:
            found["tools"] = len(_lists.decode(said.tools))
    except msgspec.DecodeError:
        pass  # null, or of a type that the provider will refuse
    return found
