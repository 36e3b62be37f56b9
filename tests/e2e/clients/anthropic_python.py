"""What users of Anthropic's API in Python do, and what they must see: `anthropic_python.py <url> <what> <model>`.

Runs in the clients' own virtual environment, so it imports nothing of ours. Prints `ok` or dies.
"""

from __future__ import annotations

import sys

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic, beta_tool
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

KEY = "sk-of-a-test"
ANTHROPICS = "claude-haiku-4-5"
"""Counts tokens, which no other provider can be asked for."""


@tool
def weather(city: str) -> str:
    """Say what the weather of a city is."""
    return f"rain in {city}"


def sdk(url: str, model: str) -> None:
    client = Anthropic(base_url=url, api_key=KEY, max_retries=0)
    ask = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello, world!"}]}
    answer = client.messages.create(**ask)
    assert answer.content[0].text == "Hello, world!"
    assert answer._request_id

    with client.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == "Hello, world!"
        assert stream.get_final_message().usage.output_tokens > 0

    asked = []

    @beta_tool
    def weather(city: str) -> str:
        """Say what the weather of a city is."""
        asked.append(city)
        return f"rain in {city}"

    ask["messages"] = [{"role": "user", "content": "weather in 'Oslo'?"}]
    last = client.beta.messages.tool_runner(tools=[weather], **ask).until_done()
    assert asked == ["Oslo"]
    assert "rain in Oslo" in last.content[0].text

    assert client.messages.count_tokens(model=ANTHROPICS, messages=ask["messages"]).input_tokens == 14
    with pytest.raises(anthropic.NotFoundError, match="not_found_error"):
        client.messages.create(**{**ask, "model": "unheard-of"})


def langchain(url: str, model: str) -> None:
    chat = ChatAnthropic(model=model, base_url=url, api_key=KEY, max_tokens=64, max_retries=0)
    assert chat.invoke("Hello, world!").text == "Hello, world!"
    parts = list(chat.stream("Hello, world!"))
    assert "".join(part.text for part in parts) == "Hello, world!"

    bound = chat.bind_tools([weather])
    ask = HumanMessage("weather in 'Oslo'?")
    called = bound.invoke([ask])
    (call,) = called.tool_calls
    assert call["args"] == {"city": "Oslo"}
    assert called.usage_metadata["input_tokens"] > 0
    result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
    assert "rain in Oslo" in bound.invoke([ask, called, result]).text


def pydantic_ai(url: str, model: str) -> None:
    provider = AnthropicProvider(anthropic_client=AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0))
    agent = Agent(AnthropicModel(model, provider=provider))
    asked = []

    @agent.tool_plain
    def weather(city: str) -> str:
        """Say what the weather of a city is."""
        asked.append(city)
        return f"rain in {city}"

    assert "rain in Oslo" in agent.run_sync("weather in 'Oslo'?").output
    assert asked == ["Oslo"]


def main() -> None:
    url, what, model = sys.argv[1:4]
    for name in what.split(","):
        globals()[name](url, model)
    sys.stdout.write("ok\n")


main()
