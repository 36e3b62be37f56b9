"""Whoever litellm can reach: asked in OpenAI's format, through a process of the house that holds litellm.

A model's name is litellm's own for it, like `cohere_chat/command-r`. Keys are no business of ours: litellm looks for
them in the variables of its process.
"""

from __future__ import annotations

from gateway.errors import Refused
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.providers.openai import refused

PATHS = {"openai.chat": "/chat/completions", "openai.embeddings": "/embeddings"}
"""What the process answers."""

_HEADERS: Headers = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]


class LiteLLM:
    """The process that listens at a unix socket."""

    owned_by = "litellm"
    include_usage = True
    speaks = frozenset(PATHS)

    def __init__(self, name: str, socket: str) -> None:
        self.name = name
        self._origin = Origin("unix", socket, 0)

    def request(
        self,
        surface: str,
        headers: dict[bytes, bytes],  # noqa: ARG002 - none of them is for litellm
        body: bytes,
        *,
        secret: str,  # noqa: ARG002 - the process has its own
        stream: bool,  # noqa: ARG002 - the body says it
        model: str = "",  # noqa: ARG002 - the body names it
        query: bytes = b"",  # noqa: ARG002 - nothing in it belongs to these paths
    ) -> Outgoing:
        """Build the request."""
        return Outgoing("POST", self._origin, PATHS[surface], _HEADERS, body)

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Say what a non-2xx answer means."""
        return refused(self.name, status, headers, body)
