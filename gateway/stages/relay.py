"""Brings a provider's answer to the client, byte for byte, and reads it as it passes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import BrokenAnswer, Refused
from gateway.exchange import KEEP_BYTES, Exchange
from gateway.providers.base import Headers, Provider
from gateway.transport import Answer
from gateway.wire.base import Reading

HOLD_BYTES = 1 << 20
"""A whole (not streamed) answer up to this size is sent when its end is seen, so that one that
breaks off becomes an error the client can read."""
DRAIN_BYTES = 1 << 20
"""As much is read for its usage once the client is gone."""
FRAMING = frozenset({b"content-length", b"content-encoding"})


class Relay:
    """Passes answers on; the client's back-pressure is the provider's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def refusal(self, provider: Provider, answer: Answer) -> Refused:
        """Read an error answer to its end and have the provider say what it means."""
        body = await answer.read()
        kind = _Kind(answer.headers)
        if kind.encoding:
            try:
                body = zlib.decompress(body, wbits=47)
            except zlib.error:
                body = b""
        return provider.failure(answer.status, kind.unframed(answer.headers), body)

    async def pass_on(self, exchange: Exchange, answer: Answer, *, strip_usage: bool) -> None:
        """Send the answer to the client; raise UpstreamFailed if it is not whole."""
        kind = _Kind(answer.headers, exchange.wire.stream_type)
        exchange.content_type = kind.content_type
        reading = exchange.wire.reading(
            stream=kind.stream, strip_usage=strip_usage and kind.stream and not kind.encoding
        )
        exchange.reading = reading
        view: _View = _Packed(reading) if kind.encoding else _Bare(reading)
        body = answer.whole
        if body is not None:
            await self._at_once(exchange, answer, view, body, stream=kind.stream)
        elif kind.stream:
            await self._stream(exchange, answer, view)
        else:
            await self._document(exchange, answer, view)

    async def _at_once(
        self, exchange: Exchange, answer: Answer, view: _View, body: bytes, *, stream: bool
    ) -> None:
        """Send an answer that is all here in one piece."""
        out, plain = view.feed(body)
        rest = view.end()
        headers = answer.headers
        exchange.first_token_ns = exchange.first_byte_ns
        if stream:
            self._check_end(exchange)
            headers = _unsized(headers)
        if rest:
            out, plain = out + rest, plain + rest
        _keep(exchange, plain)
        await exchange.client.answer(answer.status, out, headers)

    async def _stream(self, exchange: Exchange, answer: Answer, view: _View) -> None:
        """Send events as they come; once the client is gone, read on for the usage at the end."""
        client, reading = exchange.client, exchange.reading
        assert reading is not None, "pass_on() made it"
        headers = _unsized(answer.headers)
        drained = 0
        async for chunk in answer.chunks():
            out, plain = view.feed(chunk)
            if not exchange.first_token_ns and reading.began:
                exchange.first_token_ns = self._clock.monotonic_ns()
            if client.gone:
                exchange.drained.append(plain)
                drained += len(chunk)
                if drained > DRAIN_BYTES:
                    return
            elif out:
                if not client.started:
                    await client.start(answer.status, headers)
                _keep(exchange, plain)
                await client.send(out)
        rest = view.end()
        self._check_end(exchange)
        if client.gone:
            return
        if not client.started:
            await client.start(answer.status, headers)
        _keep(exchange, rest)
        await client.finish(rest)

    def _check_end(self, exchange: Exchange) -> None:
        assert exchange.reading is not None, "pass_on() made it"
        finding = exchange.reading.finding()
        if not finding.complete and not finding.error:
            retryable = not exchange.client.started
            raise BrokenAnswer("the provider's stream ended before its last event", retryable=retryable)

    async def _document(self, exchange: Exchange, answer: Answer, view: _View) -> None:
        """Gather a document and send it whole."""
        chunks = answer.chunks()
        held: list[bytes] = []
        size = 0
        async for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size > HOLD_BYTES:
                return await self._large(exchange, answer, view, held, chunks)
        return await self._at_once(exchange, answer, view, b"".join(held), stream=False)

    async def _large(
        self,
        exchange: Exchange,
        answer: Answer,
        view: _View,
        held: list[bytes],
        chunks: AsyncIterator[bytes],
    ) -> None:
        """Pass on what is too large to hold: the part that was held, then the rest as it comes."""
        client = exchange.client
        exchange.first_token_ns = exchange.first_byte_ns
        await client.start(answer.status, answer.headers)
        for part in held:
            await self._part(exchange, view, part)
        async for part in chunks:
            await self._part(exchange, view, part)
        view.end()
        await client.finish()

    async def _part(self, exchange: Exchange, view: _View, part: bytes) -> None:
        _, plain = view.feed(part)
        _keep(exchange, plain)
        await exchange.client.send(part)


class _View(Protocol):
    """What the relay feeds: a Reading, or a Reading of what is packed inside the bytes."""

    def feed(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Return the bytes for the client, and the same in plain."""
        ...

    def end(self) -> bytes: ...


class _Bare:
    """The bytes are what they look like."""

    def __init__(self, reading: Reading) -> None:
        self._feed = reading.feed
        self.end = reading.end

    def feed(self, chunk: bytes) -> tuple[bytes, bytes]:
        out = self._feed(chunk)
        return out, out


class _Packed:
    """Lets a Reading see the content of a compressed answer, which goes on as it is."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._unpack = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever the header says

    def feed(self, chunk: bytes) -> tuple[bytes, bytes]:
        try:
            plain = self._unpack.decompress(chunk)
        except zlib.error as error:
            raise BrokenAnswer("the provider's answer is not validly compressed", retryable=False) from error
        self._reading.feed(plain)
        return chunk, plain

    def end(self) -> bytes:
        self._reading.end()
        return b""


def _keep(exchange: Exchange, part: bytes) -> None:
    if exchange.answer_bytes < KEEP_BYTES:
        exchange.answer.append(part)
    exchange.answer_bytes += len(part)


def _unsized(headers: Headers) -> Headers:
    """Return the headers without a length: an event may be taken out of the stream."""
    return [pair for pair in headers if pair[0] != b"content-length"]


class _Kind:
    """What an answer's headers say of its body."""

    __slots__ = ("content_type", "encoding", "stream")

    def __init__(self, headers: Headers, stream_type: str = "text/event-stream") -> None:
        self.content_type = self.encoding = ""
        for name, value in headers:
            if name == b"content-type":
                self.content_type = value.decode("latin-1")
            elif name == b"content-encoding" and value != b"identity":
                self.encoding = value.decode("latin-1")
        self.stream = self.content_type.startswith(stream_type)

    def unframed(self, headers: Headers) -> Headers:
        """Return the headers without those of a body that was unpacked."""
        return [pair for pair in headers if pair[0] not in FRAMING]
