"""Which API lives at which path of the public port.

Base URLs work with and without `/v1`, and under `/api`, where Respan's clients look for OpenAI's routes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from gateway.wire import passthrough_paths
from gateway.wire.anthropic_count import AnthropicCount
from gateway.wire.anthropic_messages import AnthropicMessages
from gateway.wire.base import Wire
from gateway.wire.gemini_count import GeminiCount
from gateway.wire.gemini_embed import GeminiEmbed
from gateway.wire.gemini_generate import GeminiGenerate
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_completions import OpenAICompletions
from gateway.wire.openai_embeddings import OpenAIEmbeddings
from gateway.wire.openai_responses import KeptResponse, OpenAIResponses
from gateway.wire.passthrough import wire_of
from gateway.wire.passthrough_paths import Place

DEFAULT: Wire = OpenAIChat()
"""Renders the errors of paths that have no format of their own."""

OPENAI: Mapping[str, Wire] = {
    "/chat/completions": DEFAULT,
    "/embeddings": OpenAIEmbeddings(),
    "/responses": OpenAIResponses(),
    "/completions": OpenAICompletions(),
}
KEPT: Mapping[tuple[str, str], KeptResponse] = {
    (wire.method, wire.below): wire
    for wire in (
        KeptResponse("retrieve", "GET"),
        KeptResponse("delete", "DELETE"),
        KeptResponse("cancel", "POST", "/cancel"),
        KeptResponse("input_items", "GET", "/input_items"),
    )
}
"""What can be done with a response that a provider keeps, by method and what follows its id."""
ANTHROPIC: Mapping[str, Wire] = {
    "/messages": AnthropicMessages(),
    "/messages/count_tokens": AnthropicCount(),
}
GEMINI: Mapping[str, Wire] = {
    "generateContent": GeminiGenerate(),
    "streamGenerateContent": GeminiGenerate(stream=True, array=True),
    "streamGenerateContent?alt=sse": GeminiGenerate(stream=True),
    "embedContent": GeminiEmbed(),
    "batchEmbedContents": GeminiEmbed(batch=True),
    "countTokens": GeminiCount(),
}
"""By the method, which stands behind the model."""
_PREFIXES = ("", "/v1", "/api")
_ANTHROPIC_PREFIXES = ("", "/v1", "/v1/v1", "/anthropic", "/anthropic/v1", "/api/anthropic/v1")
"""Anthropic's clients add `/v1` to their base URL, whatever it ends in."""


class Surface(NamedTuple):
    """The format spoken at a path."""

    wire: Wire
    model: str = ""
    """The model, or the kept response, where the path names it."""
    method: str = "POST"
    place: Place | None = None
    """Where a provider has what is only passed on."""


_EXACT = {
    prefix + path: Surface(wire)
    for wires, prefixes in ((OPENAI, _PREFIXES), (ANTHROPIC, _ANTHROPIC_PREFIXES))
    for path, wire in wires.items()
    for prefix in prefixes
}


_GEMINI_HOMES = (
    "/v1beta/", "/v1alpha/", "/gemini/", "/api/google/gemini/", "/upload/", "/download/", "/ws/google."
)  # fmt: skip
_GEMINI_PATH = re.compile(
    r"(?:/gemini|/api/google/gemini)?(?:/v1(?:beta|alpha)?)?/(?:models/(?P<model>.+)|(?P<tuned>tunedModels/.+))"
    r":(?P<method>\w+)"
)
_EVENTS = re.compile(rb"(?:\A|&)(?:\$|%24)?alt=sse", re.IGNORECASE)


def default(headers: Mapping[bytes, bytes], path: str = "") -> Wire:
    """Return the format of who asks at a path that has none.

    Only Anthropic's clients name a version; Gemini's have paths, or a header for the key, of their own.
    """
    if b"anthropic-version" in headers:
        return ANTHROPIC["/messages"]
    gemini = path.startswith(_GEMINI_HOMES) or b"x-goog-api-key" in headers
    return GEMINI["generateContent"] if gemini else DEFAULT


def find(path: str, query: bytes = b"") -> Surface | None:
    """Return the surface whose calls are sent to this path with POST; Gemini's streams differ by the query."""
    exact = _EXACT.get(path)
    return _find_gemini(path, query) if exact is None and ":" in path else exact


def _find_gemini(path: str, query: bytes) -> Surface | None:
    found = _GEMINI_PATH.fullmatch(path)
    if found is None:
        return None
    method = found["method"]
    events = method == "streamGenerateContent" and _EVENTS.search(query) is not None
    wire = GEMINI.get(f"{method}?alt=sse" if events else method)
    return Surface(wire, found["model"] or found["tuned"]) if wire is not None else None


def key_in(path: str, query: bytes) -> bytes:
    """Return the key that the query of a Gemini path names."""
    if b"key=" in query and (path.startswith(_GEMINI_HOMES) or _find_gemini(path, b"") is not None):
        for part in query.split(b"&"):
            name, _, value = part.partition(b"=")
            if name == b"key":
                return unquote_to_bytes(value)
    return b""


_MOST_TOO_MUCH = 5
"""Segments of a path that may be taken off."""
_KEPT_PATH = re.compile(r"(?:/v1|/api)?/responses/([A-Za-z0-9_.-]{1,1024})(/cancel|/input_items)?")


def find_kept(method: str, path: str) -> Surface | None:
    """Return what is asked of a response that a provider keeps, if this path names one."""
    found = _KEPT_PATH.fullmatch(path)
    wire = KEPT.get((method, found[2] or "")) if found is not None else None
    return Surface(wire, found[1], method) if found is not None and wire is not None else None


def too_much(method: str, path: str) -> str:
    """Return what a base URL has brought that does not belong before the path of a call; empty: it is not that."""
    slashes = islice((at for at, letter in enumerate(path) if letter == "/"), 1, _MOST_TOO_MUCH)
    return next((path[:at] for at in slashes if find(path[at:]) or find_kept(method, path[at:])), "")


_MODEL = re.compile(rb"(?:\A|&)model=([^&]+)")


def find_socket(raw_path: bytes, query: bytes = b"") -> Surface | None:
    """Return what is passed on over a WebSocket, if a provider takes one at this path."""
    place = passthrough_paths.find_socket(raw_path.decode("ascii"))
    if place is None:
        return None
    named = _MODEL.search(query)
    return Surface(wire_of(place), unquote(named[1].decode()) if named is not None else "", "GET", place)


def is_socket(target: bytes) -> bool:
    """Say whether a provider takes a WebSocket at this path and query."""
    return target.isascii() and passthrough_paths.find_socket(target.partition(b"?")[0].decode()) is not None


def find_passed(method: str, raw_path: bytes, headers: Mapping[bytes, bytes]) -> Surface | None:
    """Return what is passed on to a provider, if this is a path of its API without a format of its own here."""
    place = passthrough_paths.find(
        method,
        raw_path.decode("ascii"),
        anthropic=b"anthropic-version" in headers,
        gemini=b"x-goog-api-key" in headers,
    )
    return Surface(wire_of(place), unquote(place.model), method, place) if place is not None else None
