"""Bedrock's Converse and ConverseStream.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.translation.base import StreamReader, Written
from gateway.translation.bedrock.reply_in import read_reply
from gateway.translation.bedrock.request_out import write_request
from gateway.translation.bedrock.stream_in import BedrockStreamReader
from gateway.translation.conversation import Family, Reply, Request


class BedrockFormat:
    """As a provider is asked in it; no client speaks it to us."""

    surface = "bedrock.converse"
    family: Family = "bedrock"
    stream_type = "application/vnd.amazon.eventstream"
    names: Mapping[str, str] = {}

    def write_request(self, request: Request, *, model: str, usage: bool) -> Written:  # noqa: ARG002 - it is always told
        """Write the request; whether it streams is said by the path."""
        return write_request(request, model=model)

    def read_reply(self, body: bytes) -> Reply:
        """Read an answer; raise ValueError if it is none. It names neither itself nor its model."""
        return read_reply(body)

    def stream_reader(self) -> StreamReader:
        """Return a reader for one stream."""
        return BedrockStreamReader()
