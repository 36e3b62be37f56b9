"""What a `GenerateContentResponse` looks like, as far as it says something; the rest is passed over.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType


class Struct(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """Base of everything in an answer."""


class Blob(Struct):
    """Bytes with their type; `data` is base64."""

    mime_type: str | None = None
    data: str | None = None


class Call(Struct):
    """A function is to be called; `args` is a JSON object."""

    name: str | None = None
    args: Raw | UnsetType = UNSET
    id: str | None = None


class Part(Struct):
    """A piece of the answer; any may carry the signature of the thought behind it."""

    text: str | None = None
    thought: bool | None = None
    function_call: Call | None = None
    inline_data: Blob | None = None
    thought_signature: str | None = None


class Content(Struct):
    """What was said in a turn."""

    parts: list[Part] | None = None
    role: str | None = None


class Source(Struct):
    """A web page, or a document (`retrievedContext`), whose own words are `text`."""

    uri: str | None = None
    title: str | None = None
    text: str | None = None


class Chunk(Struct):
    """What an answer is grounded in; one of them is there."""

    web: Source | None = None
    retrieved_context: Source | None = None
    maps: Source | None = None


class Segment(Struct):
    """From where to where a statement goes, in bytes of UTF-8; no index is 0."""

    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class Support(Struct):
    """Which chunks a statement rests on."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(Struct):
    """What the whole answer rests on."""

    grounding_chunks: list[Chunk] | None = None
    grounding_supports: list[Support] | None = None


class Quotation(Struct):
    """The answer repeats a source at length; offsets are bytes."""

    uri: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Quotations(Struct):
    """Vertex and the first versions of Google's own API name them differently."""

    citation_sources: list[Quotation] | None = None
    citations: list[Quotation] | None = None


class Token(Struct):
    """How likely a token was."""

    token: str | None = None
    log_probability: float | None = None


class Tokens(Struct):
    """The likeliest in one place."""

    candidates: list[Token] | None = None


class Logprobs(Struct):
    """Two lists of the same length."""

    chosen_candidates: list[Token] | None = None
    top_candidates: list[Tokens] | None = None


class Candidate(Struct):
    """One of the alternatives."""

    content: Content | None = None
    finish_reason: Any = None
    index: int | None = None
    grounding_metadata: Grounding | None = None
    citation_metadata: Quotations | None = None
    avg_logprobs: float | None = None
    logprobs_result: Logprobs | None = None


class Feedback(Struct):
    """Why a prompt is not answered."""

    block_reason: Any = None


class Response(Struct):
    """A whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    usage_metadata: Raw | UnsetType = UNSET
    model_version: str | None = None
    response_id: str | None = None
    error: Raw | UnsetType = UNSET


decode = msgspec.json.Decoder(Response, strict=False).decode


def first(response: Response) -> Candidate | None:
    """Return the first alternative; nobody asks for others."""
    for candidate in response.candidates or ():
        if not candidate.index:
            return candidate
    return None
