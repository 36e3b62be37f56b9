"""Citations: Anthropic has them on blocks of text, each of which is cited as a whole.

Source: https://docs.anthropic.com/en/docs/build-with-claude/citations (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec

from gateway.translation.conversation import Citation, Text


class _Location(msgspec.Struct):
    cited_text: str | None = None
    url: str | None = None
    source: str | None = None
    """Of a search result: where it is from."""
    title: str | None = None
    document_title: str | None = None
    document_index: int | None = None


class _WebLocation(msgspec.Struct, tag_field="type", tag="web_search_result_location"):
    cited_text: str
    title: str | None
    url: str
    encrypted_index: str = ""


class _CharLocation(msgspec.Struct, tag_field="type", tag="char_location"):
    cited_text: str
    document_index: int
    document_title: str | None
    start_char_index: int
    end_char_index: int


_locations = msgspec.json.Decoder(_Location)


def read(raw: msgspec.Raw, start: int, end: int) -> Citation | None:
    """Read one citation of the characters from `start` to `end`; None if it makes no sense."""
    try:
        said = _locations.decode(raw)
        text = bytes(raw).decode()
    except (ValueError, RecursionError):
        return None
    return Citation(
        url=said.url or said.source or "",
        title=said.title or said.document_title or "",
        quote=said.cited_text or "",
        document=-1 if said.document_index is None else said.document_index,
        start=start,
        end=end,
        raw=text,
        origin="anthropic",
    )


def write(citation: Citation) -> msgspec.Raw | None:
    """Write a citation for a client; None if it does not say where it comes from."""
    if citation.origin == "anthropic" and citation.raw:
        return msgspec.Raw(citation.raw.encode())
    title = citation.title or None
    if citation.url:
        return msgspec.Raw(msgspec.json.encode(_WebLocation(citation.quote, title, citation.url)))
    if citation.document < 0:
        return None
    # where in the document is not known: the quote is all that there is
    found = _CharLocation(citation.quote, citation.document, title, 0, len(citation.quote))
    return msgspec.Raw(msgspec.json.encode(found))


def written(found: Iterable[Citation]) -> list[msgspec.Raw] | None:
    """Write all that can be written; None if there are none."""
    return [raw for each in found if (raw := write(each)) is not None] or None


def segments(text: Text) -> Iterator[tuple[str, list[Citation]]]:
    """Cut the text so that each piece is cited as a whole; all in one where citations overlap."""
    size = len(text.text)
    ranges: dict[tuple[int, int], list[Citation]] = {}
    for citation in text.citations:
        start, end = citation.start, citation.end
        known = 0 <= start < end <= size
        ranges.setdefault((start, end) if known else (0, size), []).append(citation)
    at = 0
    order = sorted(ranges)
    if any(later[0] < earlier[1] for earlier, later in pairwise(order)):
        yield text.text, list(text.citations)
        return
    for start, end in order:
        gap = text.text[at:start]
        if gap.strip():
            yield gap, []
            gap = ""  # else it goes along: a block of blanks is refused
        yield gap + text.text[start:end], ranges[start, end]
        at = end
    if at < size:
        yield text.text[at:], []
