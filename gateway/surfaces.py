"""Which API lives at which path of the public port.

Base URLs work with and without `/v1`, and under `/api`, where Respan's clients look for OpenAI's routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.wire.base import Wire
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_embeddings import OpenAIEmbeddings

DEFAULT: Wire = OpenAIChat()
"""Renders the errors of paths that have no format of their own."""

OPENAI: Mapping[str, Wire] = {
    "/chat/completions": DEFAULT,
    "/embeddings": OpenAIEmbeddings(),
}
_PREFIXES = ("", "/v1", "/api")


class Surface(NamedTuple):
    """The format spoken at a path."""

    wire: Wire
    model: str = ""
    """The model, where the path names it."""


_EXACT = {prefix + path: Surface(wire) for path, wire in OPENAI.items() for prefix in _PREFIXES}


def find(path: str) -> Surface | None:
    """Return the surface whose calls are sent to this path with POST."""
    return _EXACT.get(path)
