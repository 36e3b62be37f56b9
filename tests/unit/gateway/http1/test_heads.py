"""A head that was read before means what it meant, for whatever body it comes with."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from gateway.asgi import Client, Headers
from gateway.http1 import heads as module
from gateway.http1.heads import Heads, Known
from tests.fakes.door import Line, chunked, cut, post, tell

SDK = (
    "Accept: */*",
    "User-Agent: OpenAI/Python 2.8.0",
    "Authorization: Bearer tg-secret",
    "Connection: keep-alive",
)
OWN_ID = re.compile(rb"(?<=-id: )[0-9a-f-]{36}")
"""Of an answer to what never became a request."""


class Forgetful(Heads):
    """Leaves every head to the parser."""

    @override
    def find(self, data: bytes, last: Known | None) -> tuple[Known, Headers, bytes, int] | None:
        return None


class Counting(Heads):
    """Counts the requests that the parser did not see."""

    def __init__(self) -> None:
        super().__init__()
        self.found = 0

    @override
    def find(self, data: bytes, last: Known | None) -> tuple[Known, Headers, bytes, int] | None:
        found = super().find(data, last)
        self.found += found is not None
        return found


async def said(heads: Heads, *connections: list[bytes]) -> list[tuple[bytes, bool]]:
    """Return what each connection was answered, and whether it was closed; its pieces come one by one."""
    answers = []
    for pieces in connections:
        line = Line(tell, heads)
        for piece in pieces:
            line.hear(piece)
            await line.settle(30)
            if line.wire.closed:
                break
        answers.append((OWN_ID.sub(b"", bytes(line.wire.written)), line.wire.closed))
    return answers


def small(path: str, body: bytes, length: bytes, *headers: str) -> bytes:
    """Return a request as clients send it that write names in lower case, with this length."""
    lines = [f"POST {path} HTTP/1.1", "host: here", *headers]
    return "\r\n".join(lines).encode() + b"\r\ncontent-length: " + length + b"\r\n\r\n" + body


bodies = st.one_of(
    st.binary(max_size=40),
    st.just(post("/smuggled", b"!", *SDK)),
    st.just(b"\r\nContent-Length: 3\r\n\r\nabc"),
    st.just(b"x" * 70_000),
)
requests = st.one_of(
    st.builds(lambda body: post("/v1/chat/completions", body, *SDK), bodies),
    st.builds(lambda body: post("/v1/messages?beta=true", body), bodies),
    st.builds(lambda body: small("/v1/chat/completions", body, b"%d" % len(body), *SDK), bodies),
    st.builds(lambda body: small("/padded", body, b"%05d" % len(body)), bodies),
    st.builds(
        lambda body, length: small("/any", body, length),
        bodies,
        st.sampled_from([b"1", b"0", b"-1", b"+1", b"1 ", b" 1", b"1_0", b"0x1", b"1, 1", b"", b"9" * 30]),
    ),
    st.builds(
        lambda body, header: post("/odd", body, header),
        bodies,
        st.sampled_from(
            [
                "Connection: close",
                "Connection: Upgrade\r\nUpgrade: h2c",
                "Expect: 100-continue",
                "Transfer-Encoding: chunked",
                "Content-Length: 1",
                "content-length: 1",
                "X-A: a\tb",
                "X-Bare: a\nb: c",
                "X-Folded: a\r\n Content-Length: 3",
                "X-Spaced:  two ",
            ]
        ),
    ),
    st.builds(lambda body: chunked("/v1/chat/completions", body or b"x"), bodies),
    st.just(b"GET /v1/models HTTP/1.1\r\nhost: here\r\n\r\n"),
    st.just(b"POST /old HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"),
    st.just(b"\r\n" + post("/v1/chat/completions", b"behind a blank line", *SDK)),
)
AGAIN = [post("/v1/chat/completions", body, *SDK) for body in (b"one", b"two!", b"", b"three")]


@settings(deadline=None, max_examples=150)
@given(
    sent=st.lists(requests, min_size=1, max_size=4),
    order=st.lists(st.integers(0, 3), min_size=1, max_size=10),
    places=st.lists(st.integers(0, 5_000), max_size=6),
)
@example(sent=AGAIN, order=[0, 1, 2, 3, 0], places=[])
def test_requests_mean_the_same_whether_their_heads_are_remembered(
    sent: list[bytes], order: list[int], places: list[int]
) -> None:
    again = [sent[number % len(sent)] for number in order]
    pieces = cut(b"".join(again), places) if places else again
    taught = [[request] for request in sent for _ in range(2)]

    remembered = asyncio.run(said(Heads(), *taught, pieces, pieces))

    assert remembered == asyncio.run(said(Forgetful(), *taught, pieces, pieces))


async def test_a_head_is_known_from_the_third_time_on_also_on_another_connection() -> None:
    heads = Counting()

    answers = await said(heads, AGAIN, [post("/v1/chat/completions", b"of another", *SDK)])

    assert heads.found == 3
    assert b"b'of another'" in answers[1][0]
    assert b"(b'content-length', b'10')" in answers[1][0]


@pytest.mark.parametrize(
    "other",
    [
        post("/v1/chat/completions", b"one", *SDK[:2], "Authorization: Bearer tg-another", SDK[3]),
        post("/v1/chat/completions?x", b"one", *SDK),
        post("/v1/chat/completions", b"one", *SDK, "X-More: 1"),
        post("/v1/chat/completions", b"one", *SDK)[:-1],
        small("/v1/chat/completions", b"one", b"+3", *SDK),
        b" " + AGAIN[0],
    ],
)
async def test_one_byte_more_or_less_is_another_head(other: bytes) -> None:
    heads = Counting()
    await said(heads, AGAIN)

    found = heads.find(AGAIN[1], None)
    assert found is not None
    assert heads.find(other, None) is None
    assert heads.find(other, found[0]) is None


async def test_a_connection_may_go_to_and_fro_between_known_heads() -> None:
    heads = Counting()
    await said(heads, AGAIN)
    sent = [
        request
        for turn in range(6)
        for request in (
            post("/v1/chat/completions", b"x" * turn, *SDK, "X-More: 1"),
            post("/v1/chat/completions", b"y" * turn, *SDK),
        )
    ]
    before = heads.found

    assert await said(heads, sent) == await said(Forgetful(), sent)
    assert heads.found - before == len(sent) - 2


@pytest.mark.parametrize(
    "sent",
    [
        post("/", b"x", "Expect: 100-continue"),
        post("/", b"x", "Connection: close"),
        post("/", b"x", "X-Long: " + "y" * 5_000),
        post("/", b"x", *(f"X-{number}: 1" for number in range(70))),
        small("/", b"x", b"0" * 30 + b"1"),
        chunked("/", b"x"),
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_what_needs_the_parser_is_left_to_it(sent: bytes) -> None:
    heads = Counting()

    await said(heads, *[[sent]] * 4)

    assert heads.found == 0


async def test_heads_that_come_once_drive_none_out_and_the_oldest_goes_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_SEEN", 100)
    monkeypatch.setattr(module, "MOST_HEADS", 30)
    heads = Counting()
    await said(heads, AGAIN[:2])
    await said(heads, [post(f"/once/{number}", b"x") for number in range(200)])
    assert heads.find(AGAIN[2], None) is not None

    await said(heads, *[[post(f"/twice/{number}", b"x")] * 2 for number in range(30)])

    assert heads.find(AGAIN[2], None) is None
    assert heads.find(post("/twice/1", b"y"), None) is not None


async def test_what_looks_like_a_known_head_in_the_middle_of_another_is_none() -> None:
    heads = Counting()
    await said(heads, AGAIN)
    before = heads.found

    answers = await said(heads, [b"POST /half HTTP/1.1\r\nX-A: ", AGAIN[0]])

    assert heads.found == before
    assert b"'/half'" in answers[0][0]
    assert b"(b'x-a', b'POST /v1/chat/completions HTTP/1.1')" in answers[0][0]


async def test_zeros_before_a_length_are_header_too_behind_a_known_head() -> None:
    heads = Counting()
    request = small("/", b"x", b"1")
    await said(heads, *[[request]] * 3)
    assert heads.found == 1

    padded = small("/", b"x", b"0" * 3_000 + b"1")

    assert heads.find(padded, None) is None
    assert heads.find(request, None) is not None


async def test_requests_with_one_head_do_not_share_their_headers() -> None:
    heads = Counting()
    await said(heads, AGAIN)

    first, second = heads.find(AGAIN[0], None), heads.find(AGAIN[3], None)

    assert first is not None
    assert second is not None
    assert first[0] is second[0]
    assert (b"content-length", b"3") in first[1]
    assert (b"content-length", b"5") in second[1]


async def test_a_request_whose_body_comes_later_has_the_head_that_is_known() -> None:
    heads, seen, answer = Heads(), [], b""

    async def look(client: Client) -> None:
        seen.append(client.head)
        await tell(client)

    for pieces in ([AGAIN[0]], [AGAIN[0]], [AGAIN[3][:-2], AGAIN[3][-2:]]):
        line = Line(look, heads)
        line.hear(*pieces)
        answer = await line.settle(30)

    assert seen[2] is seen[1]
    assert b"(b'content-length', b'5')" in answer
    assert answer.endswith(b"b'three')")
