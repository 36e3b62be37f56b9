"""Gemini's generateContent as one of the formats that are translated."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.translation.base import Answering, StreamReader, StreamWriter, Written
from gateway.translation.conversation import Family, Reply, Request
from gateway.translation.gemini.reply_in import read_reply
from gateway.translation.gemini.reply_out import write_reply
from gateway.translation.gemini.request_in import read_request
from gateway.translation.gemini.request_out import write_request
from gateway.translation.gemini.stream_in import GeminiStreamReader
from gateway.translation.gemini.stream_out import GeminiStreamWriter

_CONFIG = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "stop": "stopSequences",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "format": "responseJsonSchema",
    "reasoning": "thinkingConfig",
}


class GeminiFormat:
    """The format of `:generateContent`; a client's stream may be an `array` in place of events."""

    surface = "gemini.generate"
    family: Family = "gemini"
    names: Mapping[str, str] = {
        **{field: f"generationConfig.{name}" for field, name in _CONFIG.items()},
        "system": "systemInstruction",
        "tool_choice": "toolConfig.functionCallingConfig",
        "service_tier": "serviceTier",
    }

    def __init__(self, *, array: bool = False) -> None:
        self._array = array
        self.stream_type = "application/json" if array else "text/event-stream"

    def read_request(self, body: bytes, *, drop: frozenset[str] = frozenset()) -> Request:
        """Read a client's request; whether it wants a stream stands in its path."""
        return read_request(body, drop)

    def write_request(self, request: Request, *, model: str, usage: bool) -> Written:  # noqa: ARG002 - always told
        """Write the request for a provider."""
        return write_request(request, model=model)

    def read_reply(self, body: bytes) -> Reply:
        """Read a provider's answer."""
        return read_reply(body)

    def write_reply(self, reply: Reply, answering: Answering) -> bytes:
        """Write the answer for a client."""
        return write_reply(reply, answering)

    def stream_reader(self) -> StreamReader:
        """Return a reader of server-sent events, which providers are always asked for."""
        return GeminiStreamReader()

    def stream_writer(self, answering: Answering) -> StreamWriter:
        """Return a writer of the stream that the client asked for."""
        return GeminiStreamWriter(answering, array=self._array)
