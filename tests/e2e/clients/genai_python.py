"""What users of Google's client do, and what they must see: `genai_python.py <url> <event>`. Prints `ok` or dies."""

from __future__ import annotations

import sys

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

MODEL = "gemini-2.5-flash"
GOOGLES = "gemini-2.5-pro"
"""Counts tokens, which no other provider can be asked for."""


class City(BaseModel):
    """What structured output is parsed into."""

    name: str
    people: int


def weather(city: str) -> str:
    """Say what the weather of a city is."""
    return f"rain in {city}"


def main() -> None:
    url, event = sys.argv[1:]
    options = types.HttpOptions(base_url=url, headers={"x-tidegate-event-id": event})
    with genai.Client(api_key="of-a-test", http_options=options) as client:
        answer = client.models.generate_content(model=MODEL, contents="hello tide")
        assert answer.text == "hello tide"
        usage = answer.usage_metadata
        told = usage.candidates_token_count + (usage.thoughts_token_count or 0)
        assert usage.total_token_count == usage.prompt_token_count + told > 0

        parts = list(client.models.generate_content_stream(model=MODEL, contents="hello tide"))
        assert "".join(part.text for part in parts) == "hello tide"

        asked = types.GenerateContentConfig(tools=[weather])
        answer = client.models.generate_content(model=MODEL, contents="How is 'Oslo'?", config=asked)
        assert "rain in Oslo" in answer.text
        assert len(answer.automatic_function_calling_history) == 3
        parts = client.models.generate_content_stream(model=MODEL, contents="How is 'Oslo'?", config=asked)
        assert "rain in Oslo" in "".join(part.text or "" for part in parts)

        asked = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
        answer = client.models.generate_content(model=MODEL, contents="A city?", config=asked)
        assert isinstance(answer.parsed, City)

        chat = client.chats.create(model=MODEL)
        chat.send_message("hello")
        assert chat.send_message("and more").text == "and more"

        assert client.models.count_tokens(model=GOOGLES, contents="hello tide").total_tokens == 7
        embedded = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
        assert len(embedded.embeddings) == 2

        with pytest.raises(errors.ClientError, match="429 RESOURCE_EXHAUSTED"):
            client.models.generate_content(model=MODEL, contents="fail with 429")
    sys.stdout.write("ok\n")


main()
