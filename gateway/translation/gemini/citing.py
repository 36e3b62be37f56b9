"""What an answer rests on: `groundingMetadata` and `citationMetadata`.

Google counts bytes of UTF-8, in all that was answered; a citation counts characters of the text that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from gateway.translation.conversation import Citation
from gateway.translation.gemini.answered import (
    Candidate,
    Chunk,
    Grounding,
    Quotation,
    Segment,
    Source,
    Support,
)

Cited = tuple[int, Citation]
"""How many characters of the answer stand before the text that cites, and what it cites."""


def read(candidate: Candidate, text: str) -> list[Citation]:
    """Return what the whole text cites."""
    return [*_grounded(candidate.grounding_metadata, text), *_quoted(candidate, text)]


def _grounded(said: Grounding | None, text: str) -> Iterator[Citation]:
    chunks = said.grounding_chunks or [] if said else []
    for support in said.grounding_supports or () if said else ():
        segment = support.segment or Segment()
        start, end = _characters(segment.start_index, segment.end_index, text)
        for at in support.grounding_chunk_indices or ():
            chunk = chunks[at] if 0 <= at < len(chunks) else Chunk()
            source = chunk.web or chunk.retrieved_context or chunk.maps
            if source is not None:
                quote = source.text or "" if chunk.web is None else ""
                yield Citation(
                    url=source.uri or "", title=source.title or "", quote=quote, start=start, end=end
                )


def _quoted(candidate: Candidate, text: str) -> Iterator[Citation]:
    said = candidate.citation_metadata
    quotations: Sequence[Quotation] = (said.citation_sources or said.citations or ()) if said else ()
    for one in quotations:
        start, end = _characters(one.start_index, one.end_index, text)
        yield Citation(url=one.uri or "", title=one.title or "", start=start, end=end)


def _characters(start: int | None, end: int | None, text: str) -> tuple[int, int]:
    """Return offsets in characters; both -1 if nobody said where it ends."""
    if not end or end < 0:
        return -1, -1
    begin = max(start or 0, 0)
    if text.isascii():
        return begin, end
    data = text.encode("utf-8", "surrogatepass")
    return len(data[:begin].decode("utf-8", "ignore")), len(data[:end].decode("utf-8", "ignore"))


def placed(citation: Citation, before: int) -> Citation:
    """Return the citation as one of a text before which so many characters stand; unknown if it lies before it."""
    if citation.end < 0 or not before:
        return citation
    start = citation.start - before
    end = citation.end - before if start >= 0 else -1
    return msgspec.structs.replace(citation, start=max(start, -1), end=end)


def write(cited: Sequence[Cited], text: str) -> Grounding | None:
    """Return what the whole text rests on; each source once."""
    if not cited:
        return None
    chunks: list[Chunk] = []
    supports: list[Support] = []
    for before, citation in cited:
        chunk = _chunk(citation)
        if chunk not in chunks:
            chunks.append(chunk)
        segment = _segment(before, citation, text)
        supports.append(Support(segment=segment, grounding_chunk_indices=[chunks.index(chunk)]))
    return Grounding(grounding_chunks=chunks, grounding_supports=supports)


def _chunk(citation: Citation) -> Chunk:
    source = Source(uri=citation.url or None, title=citation.title or None, text=citation.quote or None)
    if citation.url and not citation.quote:
        return Chunk(web=source)
    return Chunk(retrieved_context=source)


def _segment(before: int, citation: Citation, text: str) -> Segment | None:
    if citation.end < 0:
        return None
    start, end = before + max(citation.start, 0), before + citation.end
    return Segment(
        start_index=_bytes(text[:start]), end_index=_bytes(text[:end]), text=text[start:end] or None
    )


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
