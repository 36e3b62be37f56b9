"""What users of Pydantic AI do, and what they must see: `pydantic_ai_python.py <url> <event>`. Prints `ok` or dies."""

from __future__ import annotations

import asyncio
import sys

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    """What an agent may have to answer with."""

    name: str
    people: int


def weather(city: str) -> str:
    """Say what the weather of a city is."""
    return f"rain in {city}"


async def check(model: Model) -> None:
    plain = Agent(model)
    done = await plain.run("hello tide")
    assert done.output == "hello tide"
    assert done.usage.output_tokens > 0
    async with plain.run_stream("hello tide") as streamed:
        assert await streamed.get_output() == "hello tide"

    done = await Agent(model, tools=[weather]).run("How is 'Oslo'?")
    assert done.output == "rain in Oslo"
    assert done.usage.requests == 2

    assert (await Agent(model, output_type=City).run("'Oslo' has 700 people")).output == City(
        name="Oslo", people=700
    )

    with pytest.raises(ModelHTTPError, match="status_code: 429"):
        await plain.run("fail with 429")


async def main() -> None:
    url, event = sys.argv[1:]
    same = {"api_key": "sk-of-a-test", "max_retries": 0, "default_headers": {"x-tidegate-event-id": event}}
    openai = OpenAIProvider(openai_client=AsyncOpenAI(base_url=f"{url}/v1", **same))
    anthropic = AnthropicProvider(anthropic_client=AsyncAnthropic(base_url=url, **same))
    await check(OpenAIChatModel("gpt-4o-mini", provider=openai))
    await check(OpenAIResponsesModel("gpt-4o-mini", provider=openai))
    await check(AnthropicModel("claude-sonnet-4-6", provider=anthropic))
    sys.stdout.write("ok\n")


asyncio.run(main())
