"""A request's body that is sent on as it arrives and never held."""

from __future__ import annotations

import asyncio
import re
from typing import Self

from gateway.asgi import Client
from gateway.errors import BadRequest, TooSlow

_JSON = re.compile(rb"application/(?:[\w.-]+\+)?json\b", re.IGNORECASE)
_MODEL = re.compile(rb'name="?model"?\r\n(?:[^\r\n]+\r\n)*\r\n([\x21-\x7e]{1,255})\r\n', re.IGNORECASE)
_SNIFFED_BYTES = 64 * 1024


class Upload:
    """Yields a client's body part by part, at the provider's pace; raises TooSlow, or BadRequest if the client left."""

    def __init__(self, client: Client, headers: dict[bytes, bytes], *, silence_s: float) -> None:
        self._client = client
        self._silence_s = silence_s
        self._last = False
        self._head: bytes | None = (
            b"" if headers.get(b"content-type", b"").startswith(b"multipart/") else None
        )
        declared = headers.get(b"content-length", b"")
        self.length = int(declared) if declared.isdigit() else None
        """As declared; None: nobody knows."""
        self.content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().decode("latin-1")
        self.size = 0
        """Bytes that came so far."""
        self.model = ""
        """What a form's field of this name says, if it stands near the beginning."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._last:
            try:
                async with asyncio.timeout(self._silence_s):
                    part, self._last = await self._client.part()
            except TimeoutError as error:
                raise TooSlow("the request's body stopped arriving (server.body_timeout_s)") from error
            if self._client.over and not self._last:
                raise BadRequest("the client left before its request was complete", code="client_left")
            if part:
                self.size += len(part)
                if self._head is not None:
                    self._sniff(part)
                return part
        raise StopAsyncIteration

    def _sniff(self, part: bytes) -> None:
        head = (self._head or b"") + part[:_SNIFFED_BYTES]
        found = _MODEL.search(head)
        if found is not None:
            self.model = found[1].decode("ascii")
        self._head = head if found is None and len(head) < _SNIFFED_BYTES else None


def upload_of(client: Client, headers: dict[bytes, bytes], *, silence_s: float) -> Upload | None:
    """Return the body as it comes; None if there is none, or it is JSON, which is read."""
    if b"transfer-encoding" not in headers and headers.get(b"content-length", b"0").strip(b"0") == b"":
        return None
    coded = headers.get(b"content-encoding", b"identity") != b"identity"
    if _JSON.match(headers.get(b"content-type", b"")) is not None and not coded:
        return None
    return Upload(client, headers, silence_s=silence_s)
