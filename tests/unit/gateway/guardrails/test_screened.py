"""An answer and its reader in one, as the relay sees them."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from gateway.errors import BrokenAnswer
from gateway.guardrails.screened import Screened, in_turn
from gateway.providers.base import Headers
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.packed import Unpacked

EVENT = b'data: {"id":"a","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'


class Parts:
    """An answer in parts."""

    status = 200
    reused = False
    connected_ns = first_byte_ns = 1
    whole = None
    on_part: Callable[[bytes], bool] | None = None

    def __init__(self, *parts: bytes) -> None:
        self.headers: Headers = [(b"content-length", b"9"), (b"content-encoding", b"gzip"), (b"x", b"y")]
        self._parts: Sequence[bytes] = parts

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the parts."""
        for part in self._parts:
            yield part

    async def read(self, limit: int = 1 << 20) -> bytes:
        """Return them at once."""
        return b"".join(self._parts)[:limit]

    def close(self) -> None:
        """Nothing to be done."""


class Late:
    """Lets each part go when the next one comes."""

    def __init__(self) -> None:
        self._held = b""
        self.clear = False

    async def feed(self, out: bytes, *, last: bool) -> bytes:
        """Hold the last part back."""
        given, self._held = self._held, out
        self.clear = self.clear or bool(given)
        return given + out if last else given


def screened(*parts: bytes, packed: bool = False) -> Screened:
    reading = OpenAIChat().reading(stream=True, strip_usage=False)
    return Screened(Parts(*parts), Unpacked(reading) if packed else reading, Late())


async def test_what_comes_out_was_read_and_let_pass_and_the_rest_stands_at_the_end() -> None:
    one = screened(EVENT, EVENT, EVENT)
    began = []
    out = []
    async for part in one.chunks():
        out.append(one.feed(part))
        began.append(one.began)
        assert one.plain == part
    out.append(one.end())
    assert out == [b"", EVENT, EVENT, EVENT]
    assert began == [False, True, True]
    assert one.plain == EVENT


async def test_it_goes_on_without_the_coding_and_length_it_came_with() -> None:
    packed = zlib.compress(EVENT * 2)
    one = screened(packed[:20], packed[20:], packed=True)
    out = [one.feed(part) async for part in one.chunks()]
    assert b"".join(out) + one.end() == EVENT * 2
    assert one.headers == [(b"x", b"y")]
    assert (one.status, one.whole) == (200, None)


async def test_a_document_is_taken_whole_or_not_at_all() -> None:
    one = screened(EVENT, EVENT)
    await one.read_all(1 << 20)
    assert (one.feed(b""), one.end(), one.end()) == (b"", EVENT * 2, b"")
    with pytest.raises(BrokenAnswer, match="too long"):
        await screened(EVENT, EVENT).read_all(len(EVENT))


async def test_two_screens_look_in_turn_and_either_may_hold_back():
    late, other = Late(), Late()
    screen = in_turn(lambda _: late, lambda _: other)(True)

    assert not screen.clear
    assert [await screen.feed(b"a", last=False), await screen.feed(b"b", last=False)] == [b"", b""]
    assert await screen.feed(b"c", last=True) == b"abc"
    assert in_turn(None, lambda _: other)(False) is other
