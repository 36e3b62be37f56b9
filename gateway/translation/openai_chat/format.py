"""OpenAI's chat completions, for clients and for providers."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.translation.base import Answering, StreamReader, StreamWriter, Written
from gateway.translation.conversation import Family, Reply, Request
from gateway.translation.openai_chat.reply_in import read_reply
from gateway.translation.openai_chat.reply_out import write_reply
from gateway.translation.openai_chat.request_in import read_request
from gateway.translation.openai_chat.request_out import write_request
from gateway.translation.openai_chat.stream_in import ChatStreamReader
from gateway.translation.openai_chat.stream_out import ChatStreamWriter


class OpenAIChatFormat:
    """The chat completions format, and what other providers make of it."""

    surface = "openai.chat"
    family: Family = "openai"
    stream_type = "text/event-stream"
    names: Mapping[str, str] = {
        "format": "response_format",
        "reasoning": "reasoning_effort",
        "cache": "cache_control",
        "image": "image_url",
        "audio": "input_audio",
        "document": "file",
        "video": "video_url",
        "thinking": "reasoning_content",
        "citations": "annotations",
    }

    def read_request(self, body: bytes, *, drop: frozenset[str] = frozenset()) -> Request:
        """Read a client's request, without the fields to `drop`; raise BadRequest naming the parameter."""
        return read_request(body, drop)

    def write_request(self, request: Request, *, model: str, usage: bool) -> Written:
        """Write the request for a provider; `usage`: it accepts to be asked for usage in its stream."""
        return write_request(request, model=model, usage=usage)

    def read_reply(self, body: bytes) -> Reply:
        """Read a provider's answer; raise ValueError if it is none."""
        return read_reply(body)

    def write_reply(self, reply: Reply, answering: Answering) -> bytes:
        """Write the answer for a client."""
        return write_reply(reply, answering)

    def stream_reader(self) -> StreamReader:
        """Return a reader for one stream of a provider."""
        return ChatStreamReader()

    def stream_writer(self, answering: Answering) -> StreamWriter:
        """Return a writer for one stream to a client."""
        return ChatStreamWriter(answering)
