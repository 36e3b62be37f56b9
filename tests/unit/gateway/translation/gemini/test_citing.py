from __future__ import annotations

from gateway.translation.conversation import Citation
from gateway.translation.gemini import citing
from gateway.translation.gemini.answered import (
    Candidate,
    Chunk,
    Grounding,
    Quotation,
    Quotations,
    Segment,
    Source,
    Support,
)

TEXT = "Grüße aus Oslo."
WEB = Chunk(web=Source(uri="https://a.example", title="A"))


def test_bytes_become_characters_and_each_source_a_citation():
    grounding = Grounding(
        grounding_chunks=[WEB, Chunk(retrieved_context=Source(title="B", text="Oslo is"))],
        grounding_supports=[
            Support(segment=Segment(start_index=12, end_index=16), grounding_chunk_indices=[0, 1, 7]),
            Support(segment=Segment(end_index=7), grounding_chunk_indices=[0]),
            Support(grounding_chunk_indices=[0]),
        ],
    )

    assert citing.read(Candidate(grounding_metadata=grounding), TEXT) == [
        Citation(url="https://a.example", title="A", start=10, end=14),
        Citation(title="B", quote="Oslo is", start=10, end=14),
        Citation(url="https://a.example", title="A", start=0, end=5),
        Citation(url="https://a.example", title="A"),
    ]


def test_what_is_repeated_at_length_is_cited_under_either_name():
    quotation = Quotation(uri="https://a.example", start_index=0, end_index=5)

    for said in (Quotations(citation_sources=[quotation]), Quotations(citations=[quotation])):
        found = citing.read(Candidate(citation_metadata=said), "Hello")
        assert found == [Citation(url="https://a.example", start=0, end=5)]


def test_a_source_is_written_once_with_offsets_in_bytes():
    one = Citation(url="https://a.example", title="A", start=0, end=5)
    grounding = citing.write(
        [(0, one), (10, Citation(url="https://a.example", title="A", start=0, end=4))], TEXT
    )

    assert grounding is not None
    assert grounding.grounding_chunks == [WEB]
    assert [s.segment for s in grounding.grounding_supports or ()] == [
        Segment(start_index=0, end_index=7, text="Grüße"),
        Segment(start_index=12, end_index=16, text="Oslo"),
    ]


def test_a_place_before_the_text_is_unknown():
    assert citing.placed(Citation(start=3, end=9), 5) == Citation()
    assert citing.placed(Citation(start=7, end=9), 5) == Citation(start=2, end=4)
