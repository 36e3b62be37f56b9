"""Gemini's Developer API (Google AI Studio), and whoever speaks it.

Sources: https://ai.google.dev/api and https://google.aip.dev/193 (2026-11).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import msgspec

from gateway.errors import Refused
from gateway.providers.base import Headers, Outgoing
from gateway.providers.forwarding import Forwarding
from gateway.providers.openai import parse_base_url, refused

METHODS = {
    "gemini.generate": "generateContent",
    "gemini.embed": "embedContent",
    "gemini.batch_embed": "batchEmbedContents",
    "gemini.count": "countTokens",
}
"""What each surface asks of a model."""
STREAM = "streamGenerateContent"
VERSION = "/v1beta"
"""Of the API, where the base URL names none; it has all that `v1` has."""

_VERSIONED = re.compile(r"/v\d[a-z0-9]*\Z")
_SECRETS = frozenset({b"key", b"access_token", b"oauth_token"})
_OAUTH = "ya29."
"""How Google's access tokens begin; API keys begin otherwise."""
_DURATION = re.compile(r"(\d{1,7}(?:\.\d{1,9})?)s")
_RETRY_INFO = "google.rpc.RetryInfo"
_SICK_KEY = "API_KEY_INVALID"
_ELSEWHERE = "FAILED_PRECONDITION"
"""A 400 for what another deployment may not lack: a country that is served, billing that is set up."""


class _Detail(msgspec.Struct):
    type: Any = msgspec.field(default="", name="@type")
    reason: Any = ""
    delay: Any = msgspec.field(default="", name="retryDelay")


class _Error(msgspec.Struct):
    status: Any = ""
    details: list[_Detail] | None = None


class _Refusal(msgspec.Struct):
    error: _Error | None = None


_refusals: msgspec.json.Decoder[_Refusal | list[_Refusal]] = msgspec.json.Decoder(_Refusal | list[_Refusal])


def _credential(secret: str) -> tuple[bytes, bytes]:
    if secret.startswith(_OAUTH):
        return b"authorization", b"Bearer " + secret.encode("latin-1")
    return b"x-goog-api-key", secret.encode("latin-1")


_forwarding = Forwarding(
    frozenset({b"content-type", b"accept", b"user-agent", b"x-server-timeout", b"x-goog-api-client"}),
    (b"x-goog-gemini-",),
    _credential,
)


class Gemini:
    """One API at one base URL, with or without its version."""

    speaks = frozenset(METHODS) | {"gemini.passthrough"}

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
        self._prefix = prefix if _VERSIONED.search(prefix) else prefix + VERSION
        home, slash, version = self._prefix.rpartition("/")
        self._roots = {
            "gemini.passthrough": self._prefix,
            "gemini.upload": f"{home}/upload{slash}{version}",
            "gemini.download": f"{home}/download{slash}{version}",
            "gemini.ws": f"{home}/ws",
        }

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
        """Build the request; of the client's headers only those on the list leave, of its query all but keys."""
        path = self._roots.get(surface)
        if path is None:
            path = f"{self._prefix}/{_resource(model)}:{STREAM if stream else METHODS[surface]}"
        if query and (kept := without_secrets(query)):
            path = f"{path}?{kept.decode('latin-1')}"
        return Outgoing("POST", self.origin, path, _forwarding.of(headers, secret, stream), body)

    def models(self, *, secret: str) -> Outgoing:
        """Build the request for the provider's own list of models, all on one page."""
        headers = _forwarding.of({b"accept": b"application/json"}, secret, stream=True)
        return Outgoing("GET", self.origin, f"{self._prefix}/models?pageSize=1000", headers, b"")

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Say what a non-2xx answer means; its code is the error's status, its delay that of `RetryInfo`."""
        error = refused(self.name, status, headers, body)
        said = _said(body)
        if said is None:
            return error
        if isinstance(said.status, str) and said.status:
            error.code = said.status
        details = said.details or []
        if error.retry_after_s is None:
            error.retry_after_s = next((s for d in details if (s := _delay_s(d)) is not None), None)
        if said.status == _ELSEWHERE or any(detail.reason == _SICK_KEY for detail in details):
            error.retryable = True
        return error


def _resource(model: str) -> str:
    """Return the model's resource name as it stands in a path."""
    if model.startswith("tunedModels/"):
        return "tunedModels/" + quote(model.removeprefix("tunedModels/"), safe="")
    return "models/" + quote(model, safe="")


def without_secrets(query: bytes) -> bytes:
    """Return the query without what would be a key."""
    if query == b"alt=sse":
        return query
    parts = query.split(b"&")
    return b"&".join(part for part in parts if unquote_to_bytes(part.partition(b"=")[0]) not in _SECRETS)


def _said(body: bytes) -> _Error | None:
    """Return the error of a body; a stream's is inside an array."""
    try:
        said = _refusals.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(said, list):
        return said[0].error if said else None
    return said.error


def _delay_s(detail: _Detail) -> float | None:
    if not (isinstance(detail.type, str) and detail.type.endswith(_RETRY_INFO)):
        return None
    found = _DURATION.fullmatch(detail.delay) if isinstance(detail.delay, str) else None
    return float(found[1]) if found is not None else None
