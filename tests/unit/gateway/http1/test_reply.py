"""An answer made of bytes, without a socket and with a clock that stands still."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BrokenAnswer, Unreachable, UpstreamFailed, UpstreamTimeout
from gateway.http1.reply import MAX_HEAD, MAX_UNREAD, Reply
from gateway.settings import Timeouts

TIMEOUTS = Timeouts(connect_s=1, first_byte_s=10, idle_s=20, total_s=100)


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when, self.call, self.off = when, call, False

    def cancel(self) -> None:
        self.off = True


class Loop:
    """Just the time of a loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, call))
        return self.timers[-1]

    def armed(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.off]

    def advance(self, to: float) -> None:
        while due := [timer for timer in self.armed() if timer.when <= to]:
            timer = min(due, key=lambda timer: timer.when)
            self.now, timer.off = max(self.now, timer.when), True
            timer.call()
        self.now = to


class Line:
    """A connection without a socket."""

    def __init__(self) -> None:
        self.peer = "api.test:443"
        self.clock = Loop()
        self.loop = cast("asyncio.AbstractEventLoop", self.clock)
        self.aborted = 0
        self.calls: list[str] = []
        self.alarm_at = math.inf
        self.answer: Reply | None = None

    def alarm(self, when: float) -> None:
        assert when < self.alarm_at
        for timer in self.clock.armed():
            timer.cancel()
        self.alarm_at = when
        self.clock.call_at(when, self._ring)

    def _ring(self) -> None:
        self.alarm_at = math.inf
        assert self.answer is not None
        self.answer.ring()

    def leave(self) -> None:
        assert self.answer is not None
        self.answer.leave()
        self.calls.append("leave")

    def abort(self) -> None:
        self.aborted += 1

    def pause(self) -> bool:
        self.calls.append("pause")
        return True

    def resume(self) -> None:
        self.calls.append("resume")


class StillClock:
    def now_us(self) -> int:
        return 1

    def monotonic_ns(self) -> int:
        return 7


def reply(line: Line, *, method: str = "POST", stream: bool = True) -> Reply:
    made = line.answer = Reply(line, StillClock(), method, TIMEOUTS, 100, stream)
    made.sent()
    return made


def finished(work: Any) -> Any:
    """Run a coroutine that must not have to wait."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise AssertionError("had to wait")


def body_of(answer: Reply) -> bytes:
    return cast("bytes", finished(answer.read(10**9)))


def error_of(answer: Reply) -> UpstreamFailed:
    with pytest.raises(UpstreamFailed) as caught:
        finished(_whole(answer))
    return caught.value


async def _whole(answer: Reply) -> bytes:
    while not answer.status:
        await answer.news()
    return await answer.read(10**9)


ANSWERS: list[tuple[str, bytes, bytes, bool]] = [
    ("length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n2;x=y\r\n!!\r\n0\r\n\r\n", b"hello!!", True),
    ("trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-late: 1\r\n\r\n", b"hello", True),
    ("continue", b"HTTP/1.1 100 Continue\r\nx-no: 1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    ("hints", b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    ("204", b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    ("304", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", b"", True),
    ("empty", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", True),
    ("close", b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
    ("1.0", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
    ("1.0 keep-alive", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", b"ok", True),
    ("surplus", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", b"ok", False),
    ("surplus letter", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok!", b"ok", False),
    ("surplus after close", b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok!", b"ok", False),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "body", "keep"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
@pytest.mark.parametrize("size", [1, 2, 7, 10**6])
def test_an_answer_is_the_same_however_it_is_cut(raw: bytes, body: bytes, size: int, *, keep: bool) -> None:
    answer = reply(Line())

    for start in range(0, len(raw), size):
        answer.feed(raw[start : start + size])
    assert answer.status

    assert answer.status in {200, 204, 304}
    assert body_of(answer) == body
    assert not [name for name, _ in answer.headers if name in {b"x-no", b"link", b"x-late"}]
    assert answer.leave() is keep


@given(parts=st.lists(st.binary(min_size=1, max_size=300), max_size=8), chunked=st.booleans(), data=st.data())
def test_any_body_in_any_pieces_comes_out_whole(
    parts: list[bytes], *, chunked: bool, data: st.DataObject
) -> None:
    whole = b"".join(parts)
    if chunked:
        framed = b"".join(b"%X\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + framed
    else:
        raw = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=12)))
    answer = reply(Line())

    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        answer.feed(raw[start:end])

    assert body_of(answer) == whole
    assert answer.leave()


@given(st.binary(max_size=400))
def test_no_bytes_whatsoever_raise_out_of_the_parser(noise: bytes) -> None:
    answer = reply(Line())

    answer.feed(noise)
    answer.feed(b"HTTP/1.1 200 OK\r\n" + noise)
    answer.lost(None)
    answer.leave()


def test_headers_are_lower_case_in_order_and_without_those_of_the_connection() -> None:
    answer = reply(Line())

    answer.feed(
        b"HTTP/1.1 200 OK\r\nX-B: 1\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
        b"Proxy-Foo: 1\r\nTE: x\r\nTrailer: y\r\nUpgrade: h2c\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"
    )

    assert answer.headers == [
        (b"x-b", b"1"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
        (b"content-encoding", b"gzip"),
        (b"content-length", b"0"),
    ]


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    answer = reply(Line(), method="HEAD")

    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n")

    assert body_of(answer) == b""
    assert answer.headers == [(b"content-length", b"50")]
    assert answer.leave()


def test_a_body_after_an_answer_to_head_spoils_the_connection() -> None:
    answer = reply(Line(), method="HEAD")

    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

    assert body_of(answer) == b""
    assert not answer.leave()


def test_the_connections_end_ends_a_body_without_a_length() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\n\r\nhel")
    answer.feed(b"lo")

    answer.lost(None)

    assert body_of(answer) == b"hello"
    assert not answer.leave()


def test_a_reset_does_not_end_a_body_without_a_length() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\n\r\nhel")

    answer.lost(ConnectionResetError())

    assert isinstance(error_of(answer), BrokenAnswer)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"H",
    ],
    ids=["length", "chunked", "headers", "first letter"],
)
def test_a_cut_answer_is_broken(raw: bytes) -> None:
    answer = reply(Line())
    answer.feed(raw)

    answer.lost(None)

    assert isinstance(error_of(answer), BrokenAnswer)
    assert not answer.leave()


def test_a_connection_lost_before_the_first_byte_is_no_broken_answer() -> None:
    answer = reply(Line())

    answer.lost(None)

    error = error_of(answer)
    assert isinstance(error, Unreachable)
    assert error.retryable


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\nabc",
    ],
)
def test_what_is_not_http_is_broken_and_closes_the_connection(raw: bytes) -> None:
    line = Line()
    answer = reply(line)

    answer.feed(raw)

    assert isinstance(error_of(answer), BrokenAnswer)
    assert line.aborted
    assert not answer.leave()


@pytest.mark.parametrize("piece", [b"x-a: 1\r\n", b"a"], ids=["many", "one"])
def test_headers_without_end_are_cut_off(piece: bytes) -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\n")
    block = piece * (32 * 1024 // len(piece))

    for _ in range(MAX_HEAD // len(block) - 1):
        answer.feed(block)
    assert not answer.over
    answer.feed(block)

    assert "256 KB" in str(error_of(answer))


def test_framing_without_a_body_is_cut_off() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;")

    for _ in range(2 * MAX_HEAD // 65536 + 1):
        answer.feed(b"x" * 65536)

    assert isinstance(error_of(answer), BrokenAnswer)


def test_what_lies_ready_comes_as_one_piece() -> None:
    answer = reply(Line())

    for raw in (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n", b"1\r\nb\r\n1\r\nc\r\n"):
        answer.feed(raw)

    assert finished(answer.__anext__()) == b"abc"


def test_an_unread_body_stops_the_reading_and_its_reader_starts_it_again() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n" + b"x" * MAX_UNREAD)
    assert line.calls == []

    answer.feed(b"x")
    assert line.calls == ["pause"]

    assert len(finished(answer.__anext__())) == MAX_UNREAD + 1
    assert line.calls == ["pause", "resume"]


def test_reading_ends_at_the_limit_and_closes() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b"x" * 50)

    assert finished(answer.read(20)) == b"x" * 20

    assert line.aborted
    assert not answer.leave()


def test_a_whole_answer_beyond_the_limit_keeps_the_connection() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")

    assert finished(answer.read(2)) == b"he"
    assert answer.leave()


def test_an_answer_is_left_once_however_often_it_is_closed() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    answer.close()
    answer.close()  # by now the connection may carry another one

    assert line.calls == ["leave"]


@pytest.mark.parametrize(
    "late", [b"HTTP/1.1 103 Early\r\nx-late: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\nx-late: 1\r\n\r\n"]
)
def test_what_follows_an_answer_does_not_change_its_headers(late: bytes) -> None:
    answer = reply(Line())

    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + late)

    assert answer.headers == [(b"content-length", b"2")]
    assert answer.whole == b"ok"
    assert not answer.leave()


def test_small_pieces_with_much_framing_do_not_stop_the_reading() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")

    for _ in range(MAX_UNREAD // 4096):
        answer.feed(b"1\r\nx\r\n" * 4096)
    assert line.calls == []

    answer.feed(b"1\r\nx\r\n")
    assert line.calls == ["pause"]


def test_what_came_before_the_cut_is_still_delivered() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
    answer.lost(None)

    assert finished(answer.__anext__()) == b"hello"
    with pytest.raises(BrokenAnswer):
        finished(answer.__anext__())


def test_an_answer_left_early_does_not_wait_for_the_rest() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")

    answer.leave()
    answer.feed(b"hello")

    with pytest.raises(BrokenAnswer):
        finished(answer.__anext__())


# the clocks


def timeout_of(line: Line, answer: Reply) -> tuple[float, str]:
    while not answer.over:
        (timer,) = line.clock.armed()
        line.clock.advance(timer.when)
    error = error_of(answer)
    assert isinstance(error, UpstreamTimeout)
    assert error.status == 504
    assert not error.retryable
    assert not line.clock.armed()
    return line.clock.now, error.code


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"


def test_silence_before_an_answer_is_the_first_byte_clocks_business() -> None:
    line = Line()

    when, code = timeout_of(line, reply(line))

    assert (when, code) == (10, "upstream_timeout_first_byte")


def test_without_a_stream_there_is_only_the_total() -> None:
    line = Line()
    answer = reply(line, stream=False)
    answer.feed(HEAD + b"x")

    when, code = timeout_of(line, answer)

    assert (when, code) == (100, "upstream_timeout_total")


def test_silence_in_an_answer_is_the_idle_clocks_business() -> None:
    line = Line()
    answer = reply(line)
    for second in range(1, 31):
        line.clock.advance(second)
        answer.feed(HEAD if second == 1 else b"x")

    when, code = timeout_of(line, answer)

    assert (when, code) == (50, "upstream_timeout_idle")
    assert len(line.clock.timers) < 6, "the timer is set again only when it rings"


def test_silence_in_the_middle_of_the_headers_is_idle_too() -> None:
    line = Line()
    answer = reply(line)
    line.clock.advance(5)
    answer.feed(b"HTTP/1.1 200")

    assert timeout_of(line, answer) == (25, "upstream_timeout_idle")


def test_an_idle_clock_shorter_than_the_first_is_not_overslept() -> None:
    line = Line()
    timeouts = Timeouts(first_byte_s=60, idle_s=5)
    answer = line.answer = Reply(line, StillClock(), "POST", timeouts, 100, stream=True)
    answer.sent()

    answer.feed(HEAD + b"x")

    assert timeout_of(line, answer) == (5, "upstream_timeout_idle")


def test_a_talkative_answer_ends_with_the_total() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(HEAD)
    for second in range(1, 100):
        line.clock.advance(second)
        answer.feed(b"x")

    assert timeout_of(line, answer) == (100, "upstream_timeout_total")


def test_a_slow_reader_is_not_the_providers_silence() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n" + b"x" * (MAX_UNREAD + 1))
    line.clock.advance(75)
    assert not answer.over

    finished(answer.__anext__())

    assert timeout_of(line, answer) == (95, "upstream_timeout_idle")


def test_the_first_byte_is_awaited_only_once_the_request_is_out() -> None:
    line = Line()
    answer = line.answer = Reply(line, StillClock(), "POST", TIMEOUTS, 100, stream=True)
    answer.sending()
    line.clock.advance(50)
    assert not answer.over

    answer.sent()

    assert timeout_of(line, answer) == (60, "upstream_timeout_first_byte")


def test_the_message_names_the_seconds_and_the_setting() -> None:
    line = Line()
    answer = reply(line)
    line.clock.advance(10)

    assert "10 s" in str(error_of(answer))
    assert "timeouts.first_byte_s" in str(error_of(answer))
    assert "api.test:443" in str(error_of(answer))


def test_an_answer_that_is_over_lets_its_clocks_run_out() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    line.clock.advance(1000)

    assert answer.leave()
    assert not line.aborted
    assert len(line.clock.timers) == 1
    assert (answer.connected_ns, answer.first_byte_ns) == (7, 7)


def test_an_alarm_set_for_an_earlier_answer_is_not_this_ones_end() -> None:
    line = Line()
    line.alarm(3)

    when, code = timeout_of(line, reply(line))

    assert (when, code) == (10, "upstream_timeout_first_byte")


# the body at once


def test_a_body_that_came_with_its_headers_can_be_had_at_once() -> None:
    answer = reply(Line())

    answer.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")

    assert answer.whole == b"ab"
    assert answer.whole == b"ab"
    assert answer.leave()


def test_an_empty_body_is_a_body() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    assert answer.whole == b""


def test_of_a_body_that_was_begun_there_is_the_rest() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
    finished(answer.__anext__())

    answer.feed(b"cd")
    assert answer.whole == b"cd"
    finished(answer.__anext__())
    assert answer.whole == b""


def test_a_body_under_way_or_cut_is_not_whole() -> None:
    answer = reply(Line())
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
    assert answer.whole is None

    finished(answer.__anext__())
    assert answer.whole is None

    cut = reply(Line())
    cut.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
    cut.lost(None)
    assert cut.whole is None


def test_taking_the_body_at_once_lets_the_connection_read_on() -> None:
    line = Line()
    answer = reply(line)
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (MAX_UNREAD + 2) + b"x" * (MAX_UNREAD + 1))
    answer.feed(b"x")

    assert len(answer.whole or b"") == MAX_UNREAD + 2
    assert answer.leave()
    assert line.calls == ["pause", "resume"]
