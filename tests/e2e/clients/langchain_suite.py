"""LangChain's own tests of a chat model, for the classes its users have: run by pytest with the gateway's address.

They fetch a picture and a document from the internet; here they get ours.
"""

from __future__ import annotations

import base64
import functools
import operator
import os

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

URL = os.environ["TIDE_URL"]  # noqa: TID251 - pytest has no other way for an argument
ACROSS = os.environ.get("TIDE_ACROSS", "")  # noqa: TID251
"""Who answers for OpenAI, if it is not OpenAI, under a name of its own and counting what it caches in its own way."""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, content=b"%PDF-1.4\n%%EOF" if url.endswith(".pdf") else PIXEL)

    monkeypatch.setattr(httpx, "get", get)


class _OfOpenAI(ChatModelIntegrationTests):
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_json_mode = ACROSS in {"", "gemini"}
    supports_model_override = not ACROSS
    supports_anthropic_inputs = True
    supports_image_tool_message = True
    model_override_value = "gpt-4o"
    responses = False

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict:
        return {
            "model": "gpt-4o-mini",
            "base_url": f"{URL}/v1",
            "api_key": "sk-of-a-test",
            "stream_usage": True,
            "use_responses_api": self.responses,
            "default_headers": {"x-tidegate-event-id": type(self).__name__},
        }


class TestChatCompletions(_OfOpenAI):
    supports_audio_inputs = True


class TestResponses(_OfOpenAI):
    supports_pdf_tool_message = True
    responses = True


class TestMessages(ChatModelIntegrationTests):
    supports_model_override = not ACROSS
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_anthropic_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    model_override_value = "claude-opus-4-1"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict:
        return {
            "model": "claude-sonnet-4-6",
            "base_url": URL,
            "api_key": "sk-of-a-test",
            "default_headers": {"x-tidegate-event-id": type(self).__name__},
        }

    @property
    def supported_usage_metadata_details(self) -> dict:
        details = [] if ACROSS else ["cache_read_input", "cache_creation_input"]
        return dict.fromkeys(("invoke", "stream"), details)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        chat = ChatAnthropic(**self.chat_model_params)
        answer = functools.reduce(operator.add, chat.stream("hi")) if stream else chat.invoke("hi")
        assert answer.usage_metadata["input_token_details"]["cache_read"] == 200
        return answer

    invoke_with_cache_creation_input = invoke_with_cache_read_input
