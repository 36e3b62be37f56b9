from __future__ import annotations

from gateway.wire.base import Finding
from gateway.wire.document import DocumentReading


def seen(body: bytes, complete: bool) -> Finding:  # noqa: FBT001
    return Finding(complete=complete, response_id=body.decode())


def test_a_document_is_read_once_it_is_whole():
    reading = DocumentReading(seen)

    assert reading.feed(b"") == b""
    began = [reading.began]
    assert reading.feed(b"ab") + reading.feed(b"c") == b"abc"
    began.append(reading.began)
    assert began == [False, True]
    assert reading.finding() == Finding(response_id="abc")
    assert reading.end() == b""
    assert reading.finding() == Finding(complete=True, response_id="abc")
