"""Which words are cited."""

import msgspec
import pytest

from gateway.translation.anthropic import citations
from gateway.translation.anthropic.reply_in import read_reply
from gateway.translation.anthropic.reply_out import write_reply
from gateway.translation.conversation import Citation, Text
from tests.fakes.anthropic_conversations import answering

FIRST, SECOND = Citation(url="a", start=3, end=5), Citation(url="b", start=5, end=8)


@pytest.mark.parametrize(
    ("cited", "pieces"),
    [
        ((), [("So it is", [])]),
        ((FIRST,), [("So ", []), ("it", [FIRST]), (" is", [])]),
        ((SECOND, FIRST), [("So ", []), ("it", [FIRST]), (" is", [SECOND])]),
        ((FIRST, FIRST), [("So ", []), ("it", [FIRST, FIRST]), (" is", [])]),
        ((Citation(url="c"),), [("So it is", [Citation(url="c")])]),
        ((Citation(url="c", start=4, end=99),), [("So it is", [Citation(url="c", start=4, end=99)])]),
        (
            (FIRST, Citation(url="d", start=4, end=6)),
            [("So it is", [FIRST, Citation(url="d", start=4, end=6)])],
        ),
    ],
)
def test_text_is_cut_where_its_citations_begin_and_end(cited, pieces):
    assert list(citations.segments(Text("So it is", None, cited))) == pieces


def test_blanks_between_two_citations_are_no_block():
    text = Text("a b", None, (Citation(start=0, end=1), Citation(start=2, end=3)))

    assert [piece for piece, _ in citations.segments(text)] == ["a", " b"]


def test_citations_keep_their_place_through_a_document():
    location = {"type": "web_search_result_location", "url": "https://x", "title": "X", "cited_text": "q"}
    blocks = [
        {"type": "text", "text": "So "},
        {"type": "text", "text": "it is", "citations": [location, 5]},
        {"type": "text", "text": "."},
    ]

    reply = read_reply(msgspec.json.encode({"content": blocks}))

    (text,) = reply.parts
    assert isinstance(text, Text)
    assert (text.text, [(each.start, each.end, each.url) for each in text.citations]) == (
        "So it is.",
        [(3, 8, "https://x")],
    )
    assert read_reply(write_reply(reply, answering())).parts == reply.parts


def test_a_citation_of_others_says_where_it_comes_from():
    assert b'"url":"https://x"' in bytes(citations.write(Citation(url="https://x", origin="openai")) or b"")
    assert b'"document_index":2' in bytes(citations.write(Citation(document=2, quote="q")) or b"")
    assert citations.write(Citation(quote="q")) is None
