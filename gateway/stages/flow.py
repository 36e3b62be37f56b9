"""Passes on a stream whose beginning was sent, part by part."""

from __future__ import annotations

from gateway.exchange import KEEP_BYTES, Exchange
from gateway.guardrails.screened import Screened
from gateway.wire.base import Reading
from gateway.wire.packed import Packed

View = Packed | Screened
"""What an answer is read through."""


class Flow:
    """The rest of a stream: sent as it is read, or kept for its usage once the client is gone."""

    __slots__ = ("_client", "_exchange", "_heartbeat", "_reading", "_view")

    def __init__(self, exchange: Exchange, reading: Reading | View) -> None:
        self._exchange = exchange
        self._client = exchange.client
        self._heartbeat = exchange.heartbeat
        self._reading = reading
        self._view = reading if isinstance(reading, View) else None

    def take(self, chunk: bytes) -> bool:
        """Send a part from where it comes, without waking the call; False if something must be waited for first."""
        exchange = self._exchange
        if self._client.held_up or not exchange.first_token_ns or exchange.on_id is not None:
            return False
        self.send(self._reading.feed(chunk))
        return True

    def send(self, out: bytes) -> None:
        """Send what the reading made of a part."""
        client, plain = self._client, out if self._view is None else self._view.plain
        if client.gone:
            self._exchange.drained.append(plain)
        elif out:
            keep(self._exchange, plain)
            client.write(out)
            if self._heartbeat is not None:
                self._heartbeat.sent(out)

    def hold(self, out: bytes) -> bytes:
        """Remember what the reading made of the last part, as if it were sent; return it for the end to bring along."""
        plain = out if self._view is None else self._view.plain
        if self._client.gone:
            self._exchange.drained.append(plain)
            return b""
        keep(self._exchange, plain)
        return out


def keep(exchange: Exchange, part: bytes) -> None:
    """Remember what the client was sent, as far as the journal keeps it."""
    if exchange.answer_bytes < KEEP_BYTES:
        exchange.answer.append(part)
    exchange.answer_bytes += len(part)
