"""Brings a provider's answer to the client, byte for byte, and reads it as it passes.

Nothing of a stream is sent before its content begins: until then a failure is worth another try. Afterwards it is
the client's: what was begun is never finished by somebody else.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway.clock import Clock
from gateway.errors import BrokenAnswer, Refused, StreamRefused
from gateway.exchange import Exchange
from gateway.guardrails.screened import Screened
from gateway.providers.base import Headers, Provider
from gateway.sockets import Switched
from gateway.stages.flow import Flow, View, keep
from gateway.translation.bridge import Crossing, DocumentCrossing
from gateway.transport import Answer
from gateway.wire.base import Reading, Screen
from gateway.wire.openai_response_items import ItemsReading
from gateway.wire.packed import Packed, Unpacked

HOLD_BYTES = 1 << 20
"""A whole (not streamed) answer up to this size is sent when its end is seen, so that one that
breaks off becomes an error the client can read."""
MOST_TRANSLATED = 64 << 20
"""An answer in another format is read whole before it is translated; a longer one is broken."""
TRANSLATED_INLINE = 256 * 1024
"""Translating more than this takes a good part of a millisecond: it goes to a thread."""
DROPPED = b"x-tidegate-dropped-params"
"""What a provider of another API was not told, in the client's words."""
OPENING_BYTES = 64 * 1024
"""So much of a stream is held back while no content comes ..."""
OPENING_S = 2.0
"""... and for so long."""
DRAIN_BYTES = 1 << 20
"""As much is read for its usage once the client is gone."""
FRAMING = frozenset({b"content-length", b"content-encoding"})
_TYPES_KEPT = 256
_TOO_SOON = "the provider's stream ended before its last event"

Named = dict[bytes, bytes]
"""An answer's headers by name."""


class Relay:
    """Passes answers on; the client's back-pressure is the provider's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._types: dict[bytes, str] = {}

    async def refusal(self, provider: Provider, answer: Answer) -> Refused:
        """Read an error answer to its end and have the provider say what it means."""
        body = await answer.read()
        if _encoding(dict(answer.headers)):
            try:
                body = zlib.decompress(body, wbits=47)
            except zlib.error:
                body = b""
        headers = [pair for pair in answer.headers if pair[0] not in FRAMING]
        return provider.failure(answer.status, headers, body)

    def pass_on(
        self,
        exchange: Exchange,
        answer: Answer,
        named: Named,
        crossing: Crossing | None,
        *,
        strip_usage: bool,
    ) -> Awaitable[bool] | bool:
        """Send the answer to the client, translated if need be, and say if it was a good one.

        At once if nothing is to be waited for. Either way it may raise UpstreamFailed: the answer is not whole.
        """
        if isinstance(answer, Switched):
            return answer.splice(exchange)
        said = named.get(b"content-type", b"")
        content_type = exchange.content_type = self._types.get(said) or self._type(said)
        encoding = _encoding(named) if b"content-encoding" in named else b""
        if crossing is not None:
            return self._translate(exchange, answer, crossing, content_type, packed=bool(encoding))
        exchange.on_whole = None
        wire, place = exchange.wire, exchange.place
        stream = content_type.startswith(wire.stream_type)
        reading = exchange.reading = exchange.counting or wire.reading(
            stream=stream, strip_usage=strip_usage and stream and not encoding
        )
        if exchange.heartbeat is not None and (encoding or not stream):
            exchange.heartbeat.stop()
            _check_unbegun(exchange)
        if place is not None and not place.keeps(content_type):
            return self._unread(exchange, answer, reading)
        if exchange.screen is not None:
            return self._screened(exchange, answer, exchange.screen, stream=stream, packed=bool(encoding))
        view = Packed(reading) if encoding else None
        body = answer.whole
        if body is None or exchange.on_id is not None:
            return self._when_here(exchange, answer, view, body, stream=stream)
        out, headers = _read(exchange, answer, view, body, stream=stream)
        return _send(exchange, answer, view, out, headers)

    async def _translate(
        self, exchange: Exchange, answer: Answer, crossing: Crossing, content_type: str, *, packed: bool
    ) -> bool:
        """Send what the answer says in the client's own format."""
        exchange.on_id = None
        stream = crossing.streams(content_type)
        reading = exchange.reading = crossing.reading(stream=stream)
        answer.headers, exchange.content_type = crossing.answered(answer.headers, stream=stream)
        if crossing.dropped:
            told = ", ".join(crossing.dropped).encode("unicode_escape")  # a name is whatever a body says
            exchange.client.extra.append((DROPPED, told))
        if exchange.heartbeat is not None and not stream:
            exchange.heartbeat.stop()
            _check_unbegun(exchange)
        if exchange.screen is not None:
            return await self._screened(exchange, answer, exchange.screen, stream=stream, packed=packed)
        view = Unpacked(reading) if packed else None
        if stream:
            return await self._stream(exchange, answer, view)
        body = await answer.read(MOST_TRANSLATED)
        (view or reading).feed(body)
        if len(body) > TRANSLATED_INLINE and isinstance(reading, DocumentCrossing):
            await asyncio.to_thread(reading.translated)
        return await self._at_once(exchange, answer, view, b"", stream=False)

    async def _screened(
        self,
        exchange: Exchange,
        answer: Answer,
        screen: Callable[[bool], Screen],
        *,
        stream: bool,
        packed: bool,
    ) -> bool:
        """Send what the guardrails let pass of an answer."""
        assert exchange.reading is not None, "pass_on() made it"
        events = stream and exchange.wire.stream_type == "text/event-stream"
        reading = Unpacked(exchange.reading) if packed else exchange.reading
        screened = Screened(answer, reading, screen(events))
        if events:
            return await self._stream(exchange, screened, screened)
        await screened.read_all(MOST_TRANSLATED)
        return await self._at_once(exchange, screened, screened, b"", stream=stream)

    def _type(self, said: bytes) -> str:
        content_type = said.decode("latin-1")
        if len(self._types) < _TYPES_KEPT:
            self._types[said] = content_type
        return content_type

    async def _unread(self, exchange: Exchange, answer: Answer, reading: Reading) -> bool:
        """Pass on what is no text, as it comes, and keep nothing of it."""
        client = exchange.client
        exchange.first_token_ns = exchange.first_byte_ns
        async for part in answer.chunks():
            if not client.started:
                client.begin(answer.status, answer.headers)
            exchange.answer_bytes += len(part)
            if exchange.counting is not None:
                reading.feed(part)
            await client.send(part)
        reading.end()
        if not client.started:
            client.begin(answer.status, answer.headers)
        client.finish()
        if exchange.on_id is not None:  # a batch's output: it is counted once it is delivered
            await _tell_id(exchange)
        return True

    def _when_here(
        self, exchange: Exchange, answer: Answer, view: View | None, body: bytes | None, *, stream: bool
    ) -> Awaitable[bool]:
        """Send an answer that has to come, or an id of which has to be kept."""
        if body is not None:
            return self._at_once(exchange, answer, view, body, stream=stream)
        return (self._stream if stream else self._document)(exchange, answer, view)

    async def _at_once(
        self, exchange: Exchange, answer: Answer, view: View | None, body: bytes, *, stream: bool
    ) -> bool:
        """Send an answer that is all here in one piece."""
        out, headers = _read(exchange, answer, view, body, stream=stream)
        if exchange.on_id is not None:
            await _tell_id(exchange)
        if exchange.on_whole is not None:
            await exchange.on_whole(exchange, out)
        return _send(exchange, answer, view, out, headers)

    async def _stream(self, exchange: Exchange, answer: Answer, view: View | None) -> bool:
        """Send events as they come; once the client is gone, read on for the usage at the end."""
        client, reading = exchange.client, view or exchange.reading
        assert reading is not None, "pass_on() made it"
        chunks = answer.chunks()
        opening = _Opening(exchange, answer)
        try:
            await self._open(exchange, opening, chunks, reading)
        finally:
            opening.stop()
        flow = Flow(exchange, reading)
        answer.on_part = flow.take
        drained, last = 0, opening.last
        async for chunk in chunks:
            out = reading.feed(chunk)
            if not exchange.first_token_ns and reading.began:
                exchange.first_token_ns = self._clock.monotonic_ns()
            if exchange.on_id is not None:
                await _tell_id(exchange)
            if answer.whole == b"" and exchange.on_whole is None:  # or the last part would wait for the hub
                last = flow.hold(out)
                break
            flow.send(out)
            if client.gone:
                drained += len(chunk)
                if drained > DRAIN_BYTES:
                    return True
            elif client.held_up:
                await client.drain()
        return await self._end_stream(exchange, last, reading.end())

    async def _end_stream(self, exchange: Exchange, last: bytes, rest: bytes) -> bool:
        """Send what is left of a stream; say if it was a good one."""
        try:
            well = _check_end(exchange)
        except BrokenAnswer:
            exchange.client.write(last)
            raise
        if exchange.on_whole is not None and rest:
            await exchange.on_whole(exchange, rest)
        if not exchange.client.gone:
            keep(exchange, rest)
            exchange.client.finish(last + rest)
        return well

    async def _open(
        self, exchange: Exchange, opening: _Opening, chunks: AsyncIterator[bytes], reading: Reading | View
    ) -> None:
        """Hold a stream back until it has content, is too much or too late, or ends."""
        async for chunk in chunks:
            out = reading.feed(chunk)
            if exchange.on_id is not None:  # before the part is held, as its time may be up meanwhile
                await _tell_id(exchange)
            opening.hold(out, reading.plain if isinstance(reading, View) else out)
            if reading.began:
                exchange.first_token_ns = self._clock.monotonic_ns()
                opening.commit()
            elif not opening.over:
                opening.wait()
            if opening.over:
                return
        if not opening.over:
            rest = reading.end()
            opening.hold(rest, rest)
            opening.check(ended=True)
            if exchange.on_whole is not None and rest:
                await exchange.on_whole(exchange, rest)
            opening.commit()

    async def _document(self, exchange: Exchange, answer: Answer, view: View | None) -> bool:
        """Gather a document and send it whole."""
        chunks = answer.chunks()
        held: list[bytes] = []
        size, most = 0, MOST_TRANSLATED if isinstance(exchange.reading, ItemsReading) else HOLD_BYTES
        async for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size > most:
                return await self._large(exchange, answer, view, held, chunks)
        return await self._at_once(exchange, answer, view, b"".join(held), stream=False)

    async def _large(
        self,
        exchange: Exchange,
        answer: Answer,
        view: View | None,
        held: list[bytes],
        chunks: AsyncIterator[bytes],
    ) -> bool:
        """Pass on what is too large to hold: the part that was held, then the rest as it comes."""
        client, reading = exchange.client, view or exchange.reading
        assert reading is not None, "pass_on() made it"
        exchange.first_token_ns = exchange.first_byte_ns

        def read(part: bytes) -> None:
            out = reading.feed(part)
            keep(exchange, out if view is None else view.plain)

        for part in held:
            read(part)
        if exchange.on_id is not None:
            await _tell_id(exchange)
        client.begin(answer.status, answer.headers)
        for part in held:
            await client.send(part)
        async for part in chunks:
            read(part)
            await client.send(part)
        reading.end()
        client.finish()
        return True


def _read(
    exchange: Exchange, answer: Answer, view: View | None, body: bytes, *, stream: bool
) -> tuple[bytes, Headers]:
    """Read an answer that is all here; return what to send of it."""
    reading = view or exchange.reading
    assert reading is not None, "pass_on() made it"
    out = reading.feed(body)
    rest = reading.end()
    headers = answer.headers
    if rest:
        out += rest
        headers = _unsized(headers)
    exchange.first_token_ns = exchange.first_byte_ns
    if stream:
        headers = _unsized(headers)
        _check_opening(exchange, answer, [out], ended=True)
    return out, headers


def _send(exchange: Exchange, answer: Answer, view: View | None, out: bytes, headers: Headers) -> bool:
    """Send the whole of an answer; it was a good one."""
    client = exchange.client
    keep(exchange, out if view is None else view.plain)
    if client.started:  # by a heartbeat
        client.finish(out)
    else:
        client.answer(answer.status, out, headers)
    return True


def forget(exchange: Exchange) -> None:
    """Take back what was learnt from an answer in whose place comes another one."""
    exchange.reading, exchange.first_token_ns = None, 0
    extra = exchange.client.extra
    extra[:] = [pair for pair in extra if pair[0] != DROPPED]


class _Opening:
    """The beginning of a stream, until it is sent. Owns the timer that sends it if no content comes."""

    __slots__ = ("_answer", "_exchange", "_held", "_plain", "_size", "_timer", "last", "over")

    def __init__(self, exchange: Exchange, answer: Answer) -> None:
        self.over = False
        self.last = b""
        """What was not sent, as it is the end of the stream, too."""
        self._exchange = exchange
        self._answer = answer
        self._held: list[bytes] = []
        self._plain: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, out: bytes, plain: bytes) -> None:
        """Keep a part back; send it if meanwhile the time was up."""
        self._held.append(out)
        self._plain.append(plain)
        self._size += len(out)
        if self.over:
            self._send()

    def wait(self) -> None:
        """Wait for more, if it is not too much; raise StreamRefused if what came is an error."""
        self.check()
        if self._size > OPENING_BYTES:
            self.commit()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(OPENING_S, self.commit)

    def check(self, *, ended: bool = False) -> None:
        """Raise StreamRefused if what came is an error, or BrokenAnswer if that was all and is not enough."""
        _check_opening(self._exchange, self._answer, self._held, ended=ended)

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def commit(self) -> None:
        """Send what was held back: from here on the answer is this one, whatever happens to it."""
        if self.over:
            return
        self.over = True
        client = self._exchange.client
        if not (client.gone or client.started):
            client.begin(self._answer.status, _unsized(self._answer.headers))
        self._send()

    def _send(self) -> None:
        exchange, client = self._exchange, self._exchange.client
        held, plain = self._held, self._plain
        self._held, self._plain = [], []
        if client.gone:
            exchange.drained += plain
            return
        for part in plain:
            keep(exchange, part)
        out = held[0] if len(held) == 1 else b"".join(held)
        if self._answer.whole == b"" and exchange.on_whole is None:  # as in `Relay._stream`
            self.last += out
            return
        client.write(out)
        if exchange.heartbeat is not None:
            exchange.heartbeat.sent(out)


def _check_opening(exchange: Exchange, answer: Answer, held: list[bytes], *, ended: bool) -> None:
    """Raise UpstreamFailed if a stream of which nothing was sent says that it failed, or is over too soon."""
    assert exchange.reading is not None, "pass_on() made it"
    finding = exchange.reading.finding()
    if said := finding.error:
        headers = _unsized(answer.headers)
        raise StreamRefused(said, status=answer.status, headers=headers, body=b"".join(held), retryable=True)
    if ended and not finding.complete:
        raise BrokenAnswer(_TOO_SOON)


def _check_end(exchange: Exchange) -> bool:
    """Say whether a stream that was sent ended well; raise BrokenAnswer if it did not end."""
    assert exchange.reading is not None, "pass_on() made it"
    finding = exchange.reading.finding()
    if not finding.complete and not finding.error:
        raise BrokenAnswer(_TOO_SOON, retryable=False)
    return not finding.error


def _check_unbegun(exchange: Exchange) -> None:
    if exchange.client.started:
        raise BrokenAnswer("a stream was asked for and begun, and something else came", retryable=False)


async def _tell_id(exchange: Exchange) -> None:
    """Have the answer's id taken note of as soon as it is known."""
    assert exchange.reading is not None, "pass_on() made it"
    if found := exchange.reading.finding().response_id:
        tell, exchange.on_id = exchange.on_id, None
        assert tell is not None, "somebody wants to know"
        await tell(exchange, found)


def _encoding(named: Named) -> bytes:
    """Return the content coding, empty if there is none."""
    said = named.get(b"content-encoding", b"")
    return b"" if said == b"identity" else said


def _unsized(headers: Headers) -> Headers:
    """Return the headers without a length: an event may be taken out of the stream."""
    return [pair for pair in headers if pair[0] != b"content-length"]
