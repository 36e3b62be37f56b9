"""The bytes of a request's head."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.errors import UpstreamFailed
from gateway.http1 import request
from gateway.http1.request import MOST_KEPT, head
from gateway.providers.base import Headers, Origin, Outgoing, Unchanging


def outgoing(
    *, method: str = "POST", path: str = "/v1/x", headers: Headers | None = None, body: bytes = b"{}"
) -> Outgoing:
    return Outgoing(method, Origin("http", "h", 80), path, headers or [], body)


async def parts() -> AsyncIterator[bytes]:
    yield b"{}"


def test_the_head_holds_the_callers_headers_then_host_and_length() -> None:
    text = head(outgoing(headers=[(b"x-a", b"1"), (b"X-B", b"2")]), host=b"h")

    assert text == b"POST /v1/x HTTP/1.1\r\nx-a: 1\r\nX-B: 2\r\nhost: h\r\ncontent-length: 2\r\n\r\n"


def test_a_head_that_is_remembered_is_nobody_elses() -> None:
    for secret in (b"one", b"two", b"one"):
        headers = [(b"authorization", secret)]
        for body in (b"{}", b"{...}"):
            text = head(outgoing(headers=headers, body=body), host=b"h")

            assert text == (
                b"POST /v1/x HTTP/1.1\r\nauthorization: %b\r\nhost: h\r\ncontent-length: %d\r\n\r\n"
                % (secret, len(body))
            )
    assert head(outgoing(), host=b"other") != head(outgoing(), host=b"h")


def test_headers_that_many_requests_share_are_told_apart_by_which_they_are() -> None:
    one, two = Unchanging([(b"a", b"1")]), Unchanging([(b"a", b"2")])

    for headers, line in ((one, b"\r\na: 1\r\n"), (two, b"\r\na: 2\r\n"), (one, b"\r\na: 1\r\n")):
        assert line in head(outgoing(headers=headers), host=b"h")


def test_many_different_heads_are_not_all_kept() -> None:
    for number in range(MOST_KEPT + 10):
        assert b"x-n: %d\r\n" % number in head(outgoing(headers=[(b"x-n", b"%d" % number)]), host=b"h")

    assert len(request._HEADS) <= MOST_KEPT


def test_a_host_of_the_caller_is_the_only_one() -> None:
    text = head(outgoing(headers=[(b"Host", b"other")]), host=b"h")

    assert text.lower().count(b"host:") == 1
    assert b"Host: other\r\n" in text


def test_the_callers_framing_is_replaced() -> None:
    headers = [(b"Content-Length", b"999"), (b"transfer-encoding", b"chunked"), (b"Connection", b"close")]

    text = head(outgoing(headers=headers), host=b"h").lower()

    assert text.count(b"content-length") == 1
    assert b"content-length: 2\r\n" in text
    assert b"transfer-encoding" not in text
    assert b"connection" not in text


@pytest.mark.parametrize(
    ("method", "said"), [("GET", False), ("HEAD", False), ("DELETE", False), ("POST", True), ("PUT", True)]
)
def test_an_empty_body_has_a_length_only_where_one_is_expected(method: str, *, said: bool) -> None:
    text = head(outgoing(method=method, body=b""), host=b"h")

    assert (b"content-length: 0\r\n" in text) is said


@pytest.mark.parametrize(
    ("length", "line"), [(None, b"transfer-encoding: chunked\r\n"), (7, b"content-length: 7\r\n")]
)
def test_a_streamed_body_is_chunked_unless_its_length_is_known(length: int | None, line: bytes) -> None:
    sent = msgspec.structs.replace(outgoing(body=b""), parts=parts(), length=length)

    assert line in head(sent, host=b"h")


def test_a_proxy_gets_the_absolute_form_and_its_own_header() -> None:
    text = head(
        outgoing(), host=b"h", prefix=b"http://h", proxy_header=b"proxy-authorization: Basic eDp5\r\n"
    )

    assert text.startswith(b"POST http://h/v1/x HTTP/1.1\r\n")
    assert b"\r\nproxy-authorization: Basic eDp5\r\n" in text


@pytest.mark.parametrize(
    "headers",
    [[(b"authorization", b"Bearer sk\n")], [(b"a", b"b\r\nx: y")], [(b"a\r", b"b")], [(b"a", b"b\r")]],
    ids=["newline", "smuggled", "name", "cr"],
)
def test_a_header_with_a_line_break_is_refused_without_being_shown(headers: Headers) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        head(outgoing(headers=headers), host=b"h")

    assert not caught.value.retryable
    assert "sk" not in str(caught.value)


@pytest.mark.parametrize("path", ["/a b", "/ä", "/a\r\nx: y"], ids=["space", "umlaut", "break"])
def test_a_path_that_would_not_stay_one_word_is_refused(path: str) -> None:
    with pytest.raises(UpstreamFailed):
        head(outgoing(path=path), host=b"h")
