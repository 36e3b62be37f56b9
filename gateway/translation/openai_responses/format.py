"""OpenAI's responses as one of the formats among which is translated."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.translation.base import Answering, Written
from gateway.translation.conversation import Family, Reply, Request
from gateway.translation.openai_responses.reply_in import read_reply
from gateway.translation.openai_responses.reply_out import write_reply
from gateway.translation.openai_responses.request_in import read_request
from gateway.translation.openai_responses.request_out import write_request
from gateway.translation.openai_responses.stream_in import Reader
from gateway.translation.openai_responses.stream_out import Writer

_NAMES = {
    "max_tokens": "max_output_tokens",
    "format": "text.format",
    "verbosity": "text.verbosity",
    "logprobs": "include",
    "system": "instructions",
    "image": "input_image",
    "document": "input_file",
    "audio": "input_audio",
    "cache": "prompt_cache_breakpoint",
    "citations": "annotations",
    "thinking": "reasoning",
}


class OpenAIResponsesFormat:
    """`POST /v1/responses`."""

    surface = "openai.responses"
    family: Family = "openai"
    stream_type = "text/event-stream"
    names: Mapping[str, str] = _NAMES

    def read_request(self, body: bytes, *, drop: frozenset[str] = frozenset()) -> Request:
        """Read a client's request; raise BadRequest naming the parameter."""
        return read_request(body, drop=drop)

    def write_request(self, request: Request, *, model: str, usage: bool) -> Written:  # noqa: ARG002 - it always comes
        """Write the request for a provider."""
        return write_request(request, model=model)

    def read_reply(self, body: bytes) -> Reply:
        """Read a provider's answer; raise ValueError if it is none."""
        return read_reply(body)

    def write_reply(self, reply: Reply, answering: Answering) -> bytes:
        """Write the answer for a client."""
        return write_reply(reply, answering)

    def stream_reader(self) -> Reader:
        """Return a reader for one stream of a provider."""
        return Reader()

    def stream_writer(self, answering: Answering) -> Writer:
        """Return a writer for one stream to a client."""
        return Writer(answering)
