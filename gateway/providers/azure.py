"""Azure OpenAI: OpenAI's API at a resource of one's own, by its v1 path or by deployments.

Sources: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle (v1),
https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference (deployments, `api-version`, both kinds of key),
https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-filter (2026-11).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import msgspec
from typing_extensions import override

from gateway.errors import Refused
from gateway.providers.base import Headers, Outgoing
from gateway.providers.forwarding import Forwarding
from gateway.providers.openai import NAMES, PATHS, PREFIXES, OpenAICompatible

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(?:-preview)?")
_BY_DEPLOYMENT = frozenset({"openai.chat", "openai.embeddings", "openai.completions"})
_FILTERED = "content_filter"
_POLICY = "ResponsibleAIPolicyViolation"


class _Inner(msgspec.Struct):
    code: Any = ""


class _Error(msgspec.Struct):
    innererror: _Inner | None = None


class _Refusal(msgspec.Struct):
    error: _Error | None = None


_refusals = msgspec.json.Decoder(_Refusal)


def _key(secret: str) -> tuple[bytes, bytes]:
    """Return the header of a key; tokens of Entra are JSON, in Base64 and with dots, and so begin alike."""
    if secret.startswith("eyJ"):
        return b"authorization", b"Bearer " + secret.encode()
    return b"api-key", secret.encode()


class AzureOpenAI(OpenAICompatible):
    """One resource, at `https://NAME.openai.azure.com` or the like.

    With an `api_version`, a date, models are names of deployments and stand in the path, and there are no responses.
    """

    forwarding = Forwarding(NAMES, PREFIXES, _key)

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        api_version: str = "",
        include_usage: bool = True,
        owned_by: str = "",
        ca_file: str = "",
    ) -> None:
        root = base_url.rstrip("/").removesuffix("/v1").removesuffix("/openai")
        super().__init__(
            name, f"{root}/openai/v1", include_usage=include_usage, owned_by=owned_by, ca_file=ca_file
        )
        self._query = self._deployments = ""
        if api_version:
            if not _DATED.fullmatch(api_version):
                raise ValueError(f"api_version: {api_version!r} is not a date; leave it out for the v1 API")
            self._query = f"?api-version={api_version}"
            self._deployments = self._prefix.removesuffix("/v1") + "/deployments"
            self.speaks = _BY_DEPLOYMENT

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
        """Build the request; the key goes into a header of Azure's own, unless it is an Entra token."""
        if not self._deployments:
            return super().request(
                surface, headers, body, secret=secret, stream=stream, model=model, query=query
            )
        path = f"{self._deployments}/{quote(model, safe='')}{PATHS[surface]}{self._query}"
        return Outgoing("POST", self.origin, path, self.forwarding.of(headers, secret, stream), body)

    @override
    def failure(self, status: int, headers: Headers, body: bytes) -> Refused:
        """Say what a non-2xx answer means; what a filter refused has the code `content_filter`, however it is put."""
        error = super().failure(status, headers, body)
        try:
            said = _refusals.decode(body).error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return error
        if said is not None and said.innererror is not None and said.innererror.code == _POLICY:
            error.code = _FILTERED
        return error
