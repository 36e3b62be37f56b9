"""Signs of life in a stream whose provider is thinking."""

from __future__ import annotations

import asyncio

from gateway.asgi import Client

COMMENT = b": still waiting\n\n"
"""Every reader of server-sent events passes over a line that begins with a colon."""
_HEAD = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Heartbeat:
    """Sends a comment whenever the client's stream has been silent for so many seconds, until stopped.

    Before anything of an answer came, the first one begins the answer: with a 200, as no other status can hold
    a stream. A failure after that reaches the client as an event. Another deployment may still be asked: not a
    word of an answer was sent.
    """

    __slots__ = ("_between", "_client", "_loop", "_seconds", "_silent_since", "_timer")

    def __init__(self, client: Client, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._between = True
        self._silent_since = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._beat)

    def sent(self, part: bytes) -> None:
        """Take note of what the stream was sent: nothing may come between the halves of an event."""
        self._between = part.endswith(_EVENT_ENDS)
        self._silent_since = self._loop.time()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _beat(self) -> None:
        client = self._client
        if client.over:
            return
        now = self._loop.time()
        if now - self._silent_since >= self._seconds * 0.99 and self._between:
            if not client.started:
                client.begin(200, _HEAD)
            client.write(COMMENT)
            self._silent_since = now
        due = self._silent_since + self._seconds
        self._timer = self._loop.call_at(due if due > now else now + self._seconds, self._beat)
