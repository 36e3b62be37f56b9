"""Anthropic, and whoever speaks its API."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import Refused
from gateway.providers.base import Headers, Outgoing
from gateway.providers.forwarding import Credential, Forwarding
from gateway.providers.openai import parse_base_url, refused

PATHS = {
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
    "anthropic.passthrough": "/v1",
}
VERSION = b"2023-06-01"
"""Of the API, for clients that name none. Source: https://docs.anthropic.com/en/api/versioning (2026-11)."""


def _forwarding(credential: Credential) -> Forwarding:
    return Forwarding(
        frozenset({b"content-type", b"accept", b"user-agent", b"idempotency-key", b"x-app"}),
        (b"anthropic-", b"x-stainless-"),
        credential,
        [(b"anthropic-version", VERSION)],
    )


_with_key = _forwarding(lambda secret: (b"x-api-key", secret.encode("latin-1")))
_with_token = _forwarding(lambda secret: (b"authorization", b"Bearer " + secret.encode("latin-1")))


class _Error(msgspec.Struct):
    type: Any = ""


class _Refusal(msgspec.Struct):
    error: _Error | None = None


_refusals = msgspec.json.Decoder(_Refusal)


class Anthropic:
    """One API at one base URL, with or without `/v1`."""

    speaks = frozenset(PATHS)

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        include_usage: bool = False,  # noqa: ARG002 - its streams always say it
        owned_by: str = "",
        ca_file: str = "",
    ) -> None:
        self.name = name
        self.owned_by = owned_by or name
        self.include_usage = False
        self.origin, prefix = parse_base_url(base_url, ca_file=ca_file)
        self._prefix = prefix.removesuffix("/v1")
        self._paths = {surface: self._prefix + path for surface, path in PATHS.items()}

    def request(
        self,
        surface: str,
        headers: dict[bytes, bytes],
        body: bytes,
        *,
        secret: str,
        stream: bool,
        model: str = "",  # noqa: ARG002 - the body names it
        query: bytes = b"",
    ) -> Outgoing:
        """Build the request; of the client's headers only those on the list leave, and its whole query."""
        path = self._paths[surface]
        if query:
            path = f"{path}?{query.decode('latin-1')}"
        return Outgoing("POST", self.origin, path, _headers(headers, secret, stream), body)

    def models(self, *, secret: str) -> Outgoing:
        """Build the request for the provider's own list of models, all on one page."""
        headers = _with_key.of({b"accept": b"application/json"}, secret, stream=True)
        return Outgoing("GET", self.origin, f"{self._prefix}/v1/models?limit=1000", headers, b"")

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Say what a non-2xx answer means; its code is the error's type."""
        error = refused(self.name, status, headers, body)
        try:
            said = _refusals.decode(body).error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return error
        if said is not None and isinstance(said.type, str) and said.type:
            error.code = said.type
        return error


def _headers(headers: dict[bytes, bytes], secret: str, stream: bool) -> Headers:  # noqa: FBT001 - as `of()`
    """Return the headers of a request; the key as the client sent it, if it is the client's: an OAuth token is a bearer."""
    own = b"authorization" in headers and _token(headers[b"authorization"]) == secret.encode("latin-1")
    return (_with_token if own and secret else _with_key).of(headers, secret, stream)


def _token(said: bytes) -> bytes:
    scheme, _, token = said.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""
