"""Every format there is, by its surface."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.translation.anthropic.format import AnthropicFormat
from gateway.translation.base import ClientFormat, ProviderFormat
from gateway.translation.bedrock.format import BedrockFormat
from gateway.translation.gemini.format import GeminiFormat
from gateway.translation.openai_chat.format import OpenAIChatFormat
from gateway.translation.openai_responses.format import OpenAIResponsesFormat

_chat, _responses = OpenAIChatFormat(), OpenAIResponsesFormat()
_messages, _contents = AnthropicFormat(), GeminiFormat()

CLIENTS: Mapping[tuple[str, str], ClientFormat] = {
    (form.surface, form.stream_type): form
    for form in (_chat, _responses, _messages, _contents, GeminiFormat(array=True))
}
"""By surface and type of stream: Gemini has two."""
PROVIDERS: Mapping[str, ProviderFormat] = {
    form.surface: form for form in (_chat, _responses, _messages, _contents, BedrockFormat())
}
