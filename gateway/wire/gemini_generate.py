"""Gemini's completions: `:generateContent` and `:streamGenerateContent`.

Source: https://ai.google.dev/api/generate-content (2026-11). Bodies may write their fields in camelCase or
snake_case, as protobuf's JSON allows both.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.wire import gemini_body, gemini_errors, gemini_words, openai_body
from gateway.wire.base import Conversation, Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.gemini_answer import DocumentReading
from gateway.wire.gemini_memory import ContentsConversation
from gateway.wire.gemini_stream import ArrayReading, EventsReading

_ABSENT = msgspec.Raw(b"")


class _Body(Claiming):
    contents: msgspec.Raw = _ABSENT
    tools: msgspec.Raw = _ABSENT
    config: msgspec.Raw = msgspec.field(default=_ABSENT, name="generationConfig")
    generation_config: msgspec.Raw = _ABSENT


_bodies = msgspec.json.Decoder(_Body)
_configs = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_values = msgspec.json.Decoder()

_SETTINGS = {
    "temperature": "temperature",
    "topP": "topP",
    "top_p": "topP",
    "topK": "topK",
    "top_k": "topK",
    "maxOutputTokens": "maxOutputTokens",
    "max_output_tokens": "maxOutputTokens",
    "candidateCount": "candidateCount",
    "candidate_count": "candidateCount",
    "seed": "seed",
    "responseMimeType": "responseMimeType",
    "response_mime_type": "responseMimeType",
    "thinkingBudget": "thinkingBudget",
    "thinking_budget": "thinkingBudget",
    "thinkingLevel": "thinkingLevel",
    "thinking_level": "thinkingLevel",
}
"""Settings worth a place on the row, by any of their names."""
_GROUPS = ("thinkingConfig", "thinking_config")


class GeminiGenerate:
    """The format of completions; whether the answer is a stream, and of what kind, stands in path and query."""

    surface = "gemini.generate"
    operation = "generate_content"

    def __init__(self, *, stream: bool = False, array: bool = False) -> None:
        self._stream = stream
        self._array = array
        """A stream is one JSON array, and not server-sent events."""
        self.stream_type = "application/json" if array else "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:
        """Read what recording needs; only what the provider could not understand is refused."""
        said = openai_body.decode(_bodies, body)
        if said.contents is _ABSENT:
            raise gemini_body.missing("contents")
        claims, control = claimed(said)
        return Peek(
            model=model, stream=self._stream, parameters=_parameters(said), claims=claims, control=control
        )

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - it is always told
        """Return the body for `model`."""
        return gemini_body.rewrite(body, model=model, drop=drop)

    def conversation(self, body: bytes) -> Conversation | None:
        """Read what the user says."""
        return ContentsConversation(body)

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - it is always told
        """Return a reader for one answer."""
        if not stream:
            return DocumentReading()
        return ArrayReading() if self._array else EventsReading()

    def words(self, content_type: str, body: bytes) -> str:
        """Return what an answer says, thoughts included: they are billed."""
        return gemini_words.words(content_type, body, thoughts=True)

    def error(self, error: GatewayError) -> bytes:
        """Render an error as Gemini does: inside an array where an array was asked for."""
        said = gemini_errors.render(error)
        return b"[" + said + b"]" if self._array else said

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as the last event of a stream that has begun; the array stays open."""
        said = gemini_errors.render(error)
        return b",\r\n" + said if self._array else b"data: " + said + b"\r\n\r\n"


def _parameters(said: _Body) -> dict[str, bool | int | float | str]:
    parameters: dict[str, bool | int | float | str] = {}
    try:
        for config in (said.config, said.generation_config):
            if config is not _ABSENT:
                _add_settings(_configs.decode(config), parameters)
        if said.tools is not _ABSENT:
            parameters["tools"] = len(_lists.decode(said.tools))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # null, or of a type that the provider will refuse
    return parameters


def _add_settings(config: dict[str, msgspec.Raw], parameters: dict[str, bool | int | float | str]) -> None:
    for name, value in config.items():
        if (known := _SETTINGS.get(name)) is not None:
            kept: Any = openai_body.small(_values.decode(value))
            if kept is not None:
                parameters[known] = kept
        elif name in _GROUPS:
            _add_settings(_configs.decode(value), parameters)
