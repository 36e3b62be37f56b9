"""What users of OpenAI's agents do, and what they must see: `agents_python.py <url> <event>`. Prints `ok` or dies."""

from __future__ import annotations

import asyncio
import sys

import openai
import pytest
from agents import (
    Agent,
    Model,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel


class City(BaseModel):
    """What an agent may have to answer with."""

    name: str
    people: int


@function_tool
def weather(city: str) -> str:
    """Say what the weather of a city is."""
    return f"rain in {city}"


async def check(model: Model) -> None:
    plain = Agent(name="plain", model=model)
    assert (await Runner.run(plain, "hello tide")).final_output == "hello tide"

    agent = Agent(name="forecaster", model=model, tools=[weather])
    done = await Runner.run(agent, "How is 'Oslo'?")
    assert done.final_output == "rain in Oslo"
    assert done.context_wrapper.usage.requests == 2
    assert done.context_wrapper.usage.output_tokens > 0

    streamed = Runner.run_streamed(agent, "How is 'Bergen'?")
    kinds = [event.name async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
    assert kinds == ["tool_called", "tool_output", "message_output_created"]
    assert streamed.final_output == "rain in Bergen"

    typed = Agent(name="typed", model=model, output_type=City)
    assert isinstance((await Runner.run(typed, "A city?")).final_output, City)

    with pytest.raises(openai.RateLimitError, match="scripted"):
        await Runner.run(plain, "fail with 429")


async def main() -> None:
    url, event = sys.argv[1:]
    set_tracing_disabled(True)
    headers = {"x-tidegate-event-id": event}
    async with AsyncOpenAI(
        base_url=f"{url}/v1", api_key="sk-of-a-test", max_retries=0, default_headers=headers
    ) as client:
        await check(OpenAIResponsesModel("gpt-4o-mini", client))
        await check(OpenAIChatCompletionsModel("gpt-4o-mini", client))
    sys.stdout.write("ok\n")


asyncio.run(main())
