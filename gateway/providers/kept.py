"""A provider that is asked for a response it keeps."""

from __future__ import annotations

from gateway.providers.base import Outgoing, Provider


class KeptAt:
    """Asks as the provider itself would for a new response, but at the place of a kept one."""

    def __init__(self, provider: Provider, method: str, place: str) -> None:
        self.name = provider.name
        self.owned_by = provider.owned_by
        self.include_usage = provider.include_usage
        self.speaks = provider.speaks
        self.failure = provider.failure
        self._provider = provider
        self._method = method
        self._place = place
        """Below the path of new responses."""

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
        """Build the request; the client's query belongs to it."""
        asked = self._provider.request(surface, headers, body, secret=secret, stream=stream, model=model)
        path = asked.path + self._place
        if query:
            path = f"{path}?{query.decode('latin-1')}"
        # what a client is told of its input is read on the way, and may be changed
        left = {b"accept-encoding"} if body else {b"accept-encoding", b"content-type"}
        kept = [pair for pair in asked.headers if pair[0] not in left]
        kept.append((b"accept-encoding", b"identity"))
        return Outgoing(self._method, asked.origin, path, kept, asked.body)
