"""A provider that is asked for a WebSocket."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec
from typing_extensions import override

from gateway.providers.base import Outgoing
from gateway.providers.passed import PassedOn

SCHEMES = {"http": "ws", "https": "wss"}
KEY_PROTOCOL = b"openai-insecure-api-key."
"""How a browser brings its key, as it cannot send headers of its own. Source: OpenAI's guide to Realtime over
WebSockets (2026-11)."""

_MODEL = re.compile(rb"((?:\A|&)model=)[^&]*")
_HANDSHAKE = (b"sec-websocket-key", b"sec-websocket-version")
_PROTOCOLS = b"sec-websocket-protocol"


class Upgraded(PassedOn):
    """Asks as the provider itself would, with the client's own handshake, but for extensions: frames are read here."""

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
        """Build the request; the query asks for `model` if it asks for one."""
        if model:
            query = _MODEL.sub(lambda found: found[1] + quote(model, safe="").encode(), query)
        asked = super().request(
            surface, headers, body, secret=secret, stream=stream, model=model, query=query
        )
        more = [(name, headers[name]) for name in _HANDSHAKE if name in headers]
        if left := [one for one in offered(headers) if not one.startswith(KEY_PROTOCOL)]:
            more.append((_PROTOCOLS, b", ".join(left)))
        kept = [pair for pair in asked.headers if pair[0] != b"accept-encoding"]
        origin = msgspec.structs.replace(asked.origin, scheme=SCHEMES[asked.origin.scheme])
        return msgspec.structs.replace(
            asked, origin=origin, headers=[*kept, *more, (b"upgrade", b"websocket")]
        )


def offered(headers: dict[bytes, bytes]) -> list[bytes]:
    """Return the subprotocols that a client offers."""
    return [one for part in headers.get(_PROTOCOLS, b"").split(b",") if (one := part.strip())]


def key_offered(headers: dict[bytes, bytes]) -> bytes:
    """Return the key that stands among the subprotocols."""
    keys = (one.removeprefix(KEY_PROTOCOL) for one in offered(headers) if one.startswith(KEY_PROTOCOL))
    return next(keys, b"")
