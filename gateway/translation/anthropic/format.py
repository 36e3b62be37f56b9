"""Anthropic's messages, for translation."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.translation.anthropic.reply_in import read_reply
from gateway.translation.anthropic.reply_out import write_reply
from gateway.translation.anthropic.request_in import read_request
from gateway.translation.anthropic.request_out import write_request
from gateway.translation.anthropic.stream_in import AnthropicStreamReader
from gateway.translation.anthropic.stream_out import AnthropicStreamWriter
from gateway.translation.base import Answering, StreamReader, StreamWriter, Written
from gateway.translation.conversation import Family, Reply, Request


class AnthropicFormat:
    """The messages format, as clients and as providers speak it."""

    surface = "anthropic.messages"
    family: Family = "anthropic"
    stream_type = "text/event-stream"
    names: Mapping[str, str] = {
        "cache": "cache_control",
        "cite": "citations",
        "failed": "is_error",
        "format": "output_config.format",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "reasoning": "thinking",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
    }

    def read_request(self, body: bytes, *, drop: frozenset[str] = frozenset()) -> Request:
        """Read a client's request, without the fields to `drop`; raise BadRequest naming the parameter."""
        return read_request(body, drop=drop)

    def write_request(self, request: Request, *, model: str, usage: bool) -> Written:  # noqa: ARG002 - it is always told
        """Write the request for a provider."""
        return write_request(request, model=model)

    def read_reply(self, body: bytes) -> Reply:
        """Read a provider's answer; raise ValueError if it is none."""
        return read_reply(body)

    def write_reply(self, reply: Reply, answering: Answering) -> bytes:
        """Write the answer for a client."""
        return write_reply(reply, answering)

    def stream_reader(self) -> StreamReader:
        """Return a reader for one stream of a provider."""
        return AnthropicStreamReader()

    def stream_writer(self, answering: Answering) -> StreamWriter:
        """Return a writer for one stream to a client."""
        return AnthropicStreamWriter(answering)
