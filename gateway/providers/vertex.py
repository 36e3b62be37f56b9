"""Vertex AI: Google's models by Gemini's API and Anthropic's by Anthropic's, in a project of one's own.

Sources: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai; hosts and the path that counts tokens:
anthropic-sdk-python 2.12.0, lib/vertex/_client.py (2026-11).
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from typing_extensions import override

from gateway.providers.anthropic import Anthropic
from gateway.providers.base import Headers, Outgoing
from gateway.providers.gemini import VERSION, Gemini
from gateway.wire import openai_body

DEFAULT_REGION = "global"
ANTHROPIC = "claude-"
"""How the names of Anthropic's models begin."""

_CONTINENTS = frozenset({"us", "eu"})
_ANTHROPIC_VERSION = msgspec.Raw(b'"vertex-2023-10-16"')
_COUNT = "anthropic.count_tokens"
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


def home(base_url: str, project: str, region: str) -> str:
    """Return the URL of a project's publishers in one region, or `global`; raise ValueError without a project."""
    if not project:
        raise ValueError("a project is needed: set `project`")
    region = region or DEFAULT_REGION
    return f"{(base_url or _host(region)).rstrip('/')}/projects/{project}/locations/{region}/publishers"


def _host(region: str) -> str:
    if region == DEFAULT_REGION:
        return "https://aiplatform.googleapis.com/v1"
    if region in _CONTINENTS:
        return f"https://aiplatform.{region}.rep.googleapis.com/v1"
    return f"https://{region}-aiplatform.googleapis.com/v1"


class VertexGemini(Gemini):
    """Google's models; they are embedded with by another API."""

    speaks = frozenset({"gemini.generate", "gemini.count"})

    def __init__(self, name: str, publishers: str, *, owned_by: str = "", ca_file: str = "") -> None:
        super().__init__(name, f"{publishers}/google", owned_by=owned_by, ca_file=ca_file)
        self._prefix = self._prefix.removesuffix(VERSION)  # which stands before the project here


class VertexAnthropic(Anthropic):
    """Anthropic's models: the path names the model, the body the version."""

    speaks = frozenset({"anthropic.messages", _COUNT})

    def __init__(self, name: str, publishers: str, *, owned_by: str = "", ca_file: str = "") -> None:
        super().__init__(name, f"{publishers}/anthropic/models", owned_by=owned_by, ca_file=ca_file)

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
        """Build the request; its body loses the model, unless that is where tokens are counted."""
        asked = super().request(surface, headers, body, secret="", stream=stream, model=model)
        fields = openai_body.decode(_objects, body)
        fields["anthropic_version"] = _ANTHROPIC_VERSION
        target = "count-tokens"
        if surface != _COUNT:
            fields.pop("model", None)
            target = quote(model, safe="@")
        method = "streamRawPredict" if stream else "rawPredict"
        kept: Headers = [
            pair for pair in asked.headers if pair[0] not in (b"anthropic-version", b"x-api-key")
        ]
        if secret:
            kept.append((b"authorization", b"Bearer " + secret.encode()))
        return Outgoing(
            "POST", self.origin, f"{self._prefix}/{target}:{method}", kept, msgspec.json.encode(fields)
        )
