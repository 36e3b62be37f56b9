"""Providers that speak OpenAI's API, OpenAI among them.

Which refusals are worth another try follows openai-python's `_should_retry` (408, 409, 429, 5xx; 2026-11),
plus 401, 402 and 403: the key is sick, another deployment has its own.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from gateway.errors import Refused
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.providers.forwarding import Forwarding
from gateway.providers.retry_after import retry_after_s

PATHS = {
    "openai.chat": "/chat/completions",
    "openai.embeddings": "/embeddings",
    "openai.responses": "/responses",
    "openai.completions": "/completions",
}
PASSED_ON = "openai.passthrough"
"""What has no format of its own here; its path is below that of all others."""

NAMES = frozenset({b"content-type", b"accept", b"user-agent", b"idempotency-key"})
"""Headers of a client that leave, ..."""
PREFIXES = (b"openai-", b"x-stainless-")
"""... and how others begin that do."""
_RETRYABLE = frozenset({401, 402, 403, 408, 409, 429})
_MESSAGE_LIMIT = 500

_json = msgspec.json.Decoder()


def _bearer(secret: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + secret.encode()


_forwarding = Forwarding(NAMES, PREFIXES, _bearer)


class OpenAICompatible:
    """One API at one base URL."""

    speaks = frozenset(PATHS) | {PASSED_ON}
    forwarding = _forwarding
    """Of calls; the list of models is asked for with a bearer token everywhere."""

    def __init__(
        self, name: str, base_url: str, *, include_usage: bool = True, owned_by: str = "", ca_file: str = ""
    ) -> None:
        self.name = name
        self.owned_by = owned_by or name
        self.include_usage = include_usage
        self.origin, self._prefix = parse_base_url(base_url, ca_file=ca_file)
        self._paths = {surface: self._prefix + path for surface, path in PATHS.items()}
        self._paths[PASSED_ON] = self._prefix

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
        """Build the request; of the client's headers only those on the list leave, its query only to responses."""
        path = self._paths[surface]
        if query and surface == "openai.responses":
            path = f"{path}?{query.decode('latin-1')}"
        return Outgoing("POST", self.origin, path, self.forwarding.of(headers, secret, stream), body)

    def models(self, *, secret: str) -> Outgoing:
        """Build the request for the provider's own list of models."""
        headers = _forwarding.of({b"accept": b"application/json"}, secret, stream=True)
        return Outgoing("GET", self.origin, self._prefix + "/models", headers, b"")

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Say what a non-2xx answer means; `body` without content coding."""
        return refused(self.name, status, headers, body)


def parse_base_url(base_url: str, *, ca_file: str = "") -> tuple[Origin, str]:
    """Return the origin and the path prefix; raise ValueError if this is not a plain http(s) URL."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{base_url!r} is not an http or https URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"the base URL of {parts.hostname} may have no user, password, query or fragment")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Origin(parts.scheme, parts.hostname, port, ca_file), parts.path.rstrip("/")


def refused(name: str, status: int, headers: Headers, body: bytes) -> Refused:
    """Read a refusal in any of the shapes that OpenAI-compatible APIs answer with."""
    message, code = _explanation(body)
    error = Refused(
        message or f"{name} answered {status}",
        status=status,
        headers=headers,
        body=body,
        retryable=status in _RETRYABLE or status >= 500 or status < 400,
        code=code,
    )
    error.retry_after_s = retry_after_s(status, headers)
    return error


def _explanation(body: bytes) -> tuple[str, str]:
    """Return the message and code of an error body, whatever its shape."""
    try:
        said = _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        plain = body[:_MESSAGE_LIMIT].decode("utf-8", "replace").strip()
        return ("" if plain.startswith("<") else plain), ""
    detail = said.get("error", said) if isinstance(said, dict) else said
    code = detail.get("code") if isinstance(detail, dict) else ""
    message = _message(detail)
    return message[:_MESSAGE_LIMIT], str(code) if isinstance(code, str | int) and code else ""


def _message(detail: object) -> str:
    if isinstance(detail, str):
        return detail
    if isinstance(detail, dict):
        found = detail.get("message") or detail.get("detail") or detail.get("msg") or detail.get("error")
        return _message(found) if found else ""
    if isinstance(detail, list) and detail:
        return _message(detail[0])
    return ""
