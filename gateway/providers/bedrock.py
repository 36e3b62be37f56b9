"""Bedrock's Converse, signed with AWS credentials or sent with a Bedrock API key.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.errors import Refused
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.providers.openai import parse_base_url, refused
from gateway.providers.sigv4 import Credentials, Signer

CONVERSE = "bedrock.converse"
DEFAULT_REGION = "us-east-1"

_REGION = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.")
_JSON = (b"content-type", b"application/json")
_IDENTITY = (b"accept-encoding", b"identity")
_PORTS = {"http": 80, "https": 443}
_RETRYABLE = frozenset(
    {
        "ThrottlingException",
        "ServiceUnavailableException",
        "InternalServerException",
        "ModelTimeoutException",
        "ModelNotReadyException",
        "ModelErrorException",
        "ModelStreamErrorException",
        "ServiceQuotaExceededException",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "AccessDeniedException",
    }
)
"""Another try, another region or another account may do better."""


class _Refusal(msgspec.Struct):
    type: Any = msgspec.field(default="", name="__type")


_refusals = msgspec.json.Decoder(_Refusal)


class Bedrock:
    """Bedrock in one region.

    Its secret is `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` behind if there is one, or an API key.
    """

    speaks = frozenset({CONVERSE})
    include_usage = False

    def __init__(
        self,
        name: str,
        base_url: str = "",
        *,
        now_us: Callable[[], int],
        region: str = "",
        owned_by: str = "",
        ca_file: str = "",
    ) -> None:
        self.name = name
        self.owned_by = owned_by or name
        self._now_us = now_us
        self.region = region or _region_of(base_url) or DEFAULT_REGION
        place = base_url or f"https://bedrock-runtime.{self.region}.amazonaws.com"
        self.origin, self._prefix = parse_base_url(place, ca_file=ca_file)
        self._host = _host(self.origin)
        self._signer = Signer("bedrock", self.region)

    def request(
        self,
        surface: str,  # noqa: ARG002 - there is only one
        headers: dict[bytes, bytes],  # noqa: ARG002 - none of another API's is of use here
        body: bytes,
        *,
        secret: str,
        stream: bool,
        model: str = "",
        query: bytes = b"",  # noqa: ARG002 - nothing in it belongs to this path
    ) -> Outgoing:
        """Build the request and sign it as of now."""
        method = "converse-stream" if stream else "converse"
        path = f"{self._prefix}/model/{quote(model, safe='')}/{method}"
        access_key, is_pair, rest = secret.partition(":")
        if not is_pair:
            key = [(b"authorization", b"Bearer " + secret.encode())] if secret else []
            return Outgoing("POST", self.origin, path, [_JSON, _IDENTITY, *key], body)
        secret_key, _, session_token = rest.partition(":")
        signed = self._signer.sign(
            "POST",
            self._host,
            path,
            [_JSON],
            body,
            credentials=Credentials(access_key, secret_key, session_token),
            now_us=self._now_us(),
        )
        return Outgoing("POST", self.origin, path, [_JSON, _IDENTITY, *signed], body)

    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Say what a non-2xx answer means; its code is the name of AWS's exception."""
        error = refused(self.name, status, headers, body)
        said = next((value.decode("latin-1") for name, value in headers if name == b"x-amzn-errortype"), "")
        name = (said or _type_of(body)).partition(":")[0].rpartition("#")[2]
        if name:
            error.code = name
            error.retryable = error.retryable or name in _RETRYABLE
        return error


def _region_of(base_url: str) -> str:
    """Return the region that an AWS host names."""
    found = _REGION.search(base_url)
    return found[1] if found is not None else ""


def _host(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return host if origin.port == _PORTS[origin.scheme] else f"{host}:{origin.port}"


def _type_of(body: bytes) -> str:
    try:
        said = _refusals.decode(body).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return said if isinstance(said, str) else ""
