"""Brings a provider's answer to the client, byte for byte, and reads it as it passes."""

from __future__ import annotations

import zlib
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import BrokenAnswer, Refused
from gateway.exchange import Exchange
from gateway.providers.base import Headers, Provider
from gateway.transport import Answer
from gateway.wire.base import Reading

HOLD_BYTES = 1 << 20
"""A whole (not streamed) answer up to this size is sent when its end is seen, so that one that
breaks off becomes an error the client can read."""
KEEP_BYTES = 1 << 20
"""As much of an answer is kept for the payload; the rest is counted."""
DRAIN_BYTES = 1 << 20
"""As much is read for its usage once the client is gone."""
LENGTH = frozenset({b"content-length"})
FRAMING = frozenset({b"content-length", b"content-encoding"})


class Relay:
    """Passes answers on; the client's back-pressure is the provider's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def refusal(self, provider: Provider, answer: Answer) -> Refused:
        """Read an error answer to its end and have the provider say what it means."""
        body = await answer.read()
        encoding = _encoding(answer.headers)
        if encoding:
            try:
                body = zlib.decompress(body, wbits=47)
            except zlib.error:
                body = b""
        return provider.failure(answer.status, _without(answer.headers, FRAMING), body)

    async def pass_on(self, exchange: Exchange, answer: Answer, *, strip_usage: bool) -> None:
        """Send the answer to the client; raise UpstreamFailed if it is not whole."""
        exchange.content_type = _header(answer.headers, b"content-type")
        stream = exchange.content_type.startswith("text/event-stream")
        encoding = _encoding(answer.headers)
        reading = exchange.wire.reading(stream=stream, strip_usage=strip_usage and stream and not encoding)
        view: _View = _Packed(reading) if encoding else _Bare(reading)
        exchange.reading = reading
        if stream:
            await self._stream(exchange, answer, view)
        else:
            await self._whole(exchange, answer, view)

    async def _stream(self, exchange: Exchange, answer: Answer, view: _View) -> None:
        client, reading = exchange.client, exchange.reading
        assert reading is not None, "pass_on() made it"
        drained = 0
        async for chunk in answer.chunks():
            out, plain = view.feed(chunk)
            if not exchange.first_token_ns and reading.began:
                exchange.first_token_ns = self._clock.monotonic_ns()
            if client.gone:
                drained += len(chunk)
                if drained > DRAIN_BYTES:
                    return
            elif out:
                if not client.started:
                    await client.start(answer.status, _without(answer.headers, LENGTH))
                _keep(exchange, plain)
                await client.send(out)
        rest = view.end()
        finding = reading.finding()
        if not finding.complete and not finding.error:
            raise BrokenAnswer(
                "the provider's stream ended before its last event", retryable=not client.started
            )
        if client.gone:
            return
        if not client.started:
            await client.start(answer.status, _without(answer.headers, LENGTH))
        _keep(exchange, rest)
        await client.finish(rest)

    async def _whole(self, exchange: Exchange, answer: Answer, view: _View) -> None:
        client = exchange.client
        held: list[bytes] = []
        size = 0
        async for chunk in answer.chunks():
            _, plain = view.feed(chunk)
            _keep(exchange, plain)
            size += len(chunk)
            if client.started:
                await client.send(chunk)
                continue
            held.append(chunk)
            if size > HOLD_BYTES:
                await client.start(answer.status, answer.headers)
                for part in held:
                    await client.send(part)
        view.end()
        exchange.first_token_ns = exchange.first_byte_ns
        if client.started:
            await client.finish()
            return
        body = held[0] if len(held) == 1 else b"".join(held)
        await client.answer(answer.status, body, _without(answer.headers, LENGTH))


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


def _header(headers: Headers, wanted: bytes) -> str:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""


def _encoding(headers: Headers) -> str:
    encoding = _header(headers, b"content-encoding").lower()
    return "" if encoding == "identity" else encoding


def _without(headers: Headers, unwanted: frozenset[bytes]) -> Headers:
    return [pair for pair in headers if pair[0] not in unwanted]
