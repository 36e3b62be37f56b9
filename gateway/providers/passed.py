"""A provider whose API is used at a place that no format of ours knows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from typing_extensions import override

from gateway.providers.base import Outgoing, Provider
from gateway.providers.gemini import without_secrets
from gateway.providers.kept import KeptAt
from gateway.wire.passthrough_paths import Place

_LEAVING = frozenset(
    {
        b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since",
        b"content-encoding", b"content-language", b"content-range", b"content-disposition",
    }
)  # fmt: skip
"""Headers that leave besides those that the provider takes with every call."""
_GOOGLE_UPLOAD = b"x-goog-upload-"


class PassedOn(KeptAt):
    """Asks as the provider itself would, for another place of its API, with a body that may still be arriving."""

    def __init__(
        self,
        provider: Provider,
        place: Place,
        *,
        parts: AsyncIterator[bytes] | None = None,
        length: int | None = None,
    ) -> None:
        super().__init__(provider, place.method, place.path)
        self._at = place
        self._parts = parts
        self._length = length

    @override
    def request(
        self,
        surface: str,
        headers: dict[bytes, bytes],
        body: bytes,
        *,
        secret: str,
        stream: bool,
        model: str = "",
        query: bytes = b"",
    ) -> Outgoing:
        """Build the request; nothing of the client's headers leaves that is not on a list, nor a key in its query."""
        at = self._at
        self._place = at.with_model(model)
        if at.family == "gemini":
            query = without_secrets(query)
        asked = super().request(
            f"gemini.{at.root}" if at.root else surface,
            headers,
            body,
            secret=secret,
            stream=stream or b"range" in headers,  # a part of a coded body is of no use
            query=query,
        )
        more = [pair for pair in headers.items() if pair[0] in _LEAVING or pair[0].startswith(_GOOGLE_UPLOAD)]
        if self._parts is not None and b"content-type" in headers:
            more.append((b"content-type", headers[b"content-type"]))
        return msgspec.structs.replace(
            asked, headers=asked.headers + more, parts=self._parts, length=self._length
        )
