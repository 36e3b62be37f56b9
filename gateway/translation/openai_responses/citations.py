"""Annotations of output text, which say where a statement comes from."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.translation.conversation import Citation
from gateway.translation.openai_responses.shapes import Annotation

_annotations = msgspec.json.Decoder(Annotation)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_citations(annotations: Iterable[msgspec.Raw] | None) -> tuple[Citation, ...]:
    """Read what annotations say; what makes no sense is passed over."""
    return tuple(found for raw in annotations or () if (found := _read(raw)) is not None)


def _read(raw: msgspec.Raw) -> Citation | None:
    try:
        said = _annotations.decode(raw)
    except _UNREADABLE:
        return None
    start = -1 if said.start_index is None else said.start_index
    end = -1 if said.end_index is None else said.end_index
    if said.type == "url_citation":
        return Citation(url=said.url or "", title=said.title or "", start=start, end=end)
    if said.type == "file_citation" and not said.file_id:
        document = -1 if said.index is None else said.index
        return Citation(title=said.filename or "", document=document)
    return Citation(
        title=said.filename or "",
        start=start,
        end=end,
        raw=bytes(raw).decode("utf-8", "replace"),
        origin="openai",
    )


def write_citation(citation: Citation, length: int) -> object:
    """Return the annotation of a text with so many characters; one without offsets is about all of it.

    A document of the conversation is a `file_citation` of a file without id.
    """
    if citation.origin == "openai" and citation.raw:
        return msgspec.Raw(citation.raw.encode())
    if citation.url:
        return {
            "type": "url_citation",
            "url": citation.url,
            "title": citation.title,
            "start_index": max(citation.start, 0),
            "end_index": length if citation.end < 0 else citation.end,
        }
    return {
        "type": "file_citation",
        "file_id": "",
        "filename": citation.title,
        "index": max(citation.document, 0),
    }
