"""What users of LiteLLM's library do, and what they must see: `litellm_python.py <url> <event>`. Prints `ok` or dies."""

from __future__ import annotations

import sys
from typing import Any

import litellm
import pytest
from pydantic_core import from_json

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Say what the weather of a city is.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def check(**place: Any) -> None:
    ask = [{"role": "user", "content": "hello tide"}]
    answer = litellm.completion(messages=ask, **place)
    assert answer.choices[0].message.content == "hello tide"
    assert answer.usage.total_tokens > 0

    chunks = list(
        litellm.completion(messages=ask, stream=True, stream_options={"include_usage": True}, **place)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "hello tide"
    assert chunks[-1].usage.total_tokens > 0

    ask = [{"role": "user", "content": "How is 'Oslo'?"}]
    answer = litellm.completion(messages=ask, tools=[TOOL], **place).choices[0]
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.message.tool_calls
    assert from_json(call.function.arguments) == {"city": "Oslo"}
    ask += [answer.message, {"role": "tool", "tool_call_id": call.id, "content": "rain in Oslo"}]
    answer = litellm.completion(messages=ask, tools=[TOOL], **place)
    assert "rain in Oslo" in answer.choices[0].message.content

    with pytest.raises(litellm.RateLimitError):
        litellm.completion(messages=[{"role": "user", "content": "fail with 429"}], **place)


def main() -> None:
    url, event = sys.argv[1:]
    litellm.telemetry = False
    same = {"api_key": "sk-of-a-test", "max_retries": 0, "extra_headers": {"x-tidegate-event-id": event}}
    check(model="openai/gpt-4o-mini", api_base=f"{url}/v1", **same)
    check(model="anthropic/claude-sonnet-4-6", api_base=url, max_tokens=64, **same)
    check(model="gemini/gemini-2.5-flash", api_base=f"{url}/v1beta", **same)
    said = litellm.responses(model="openai/gpt-4o-mini", input="hello tide", api_base=f"{url}/v1", **same)
    assert said.output[0].content[0].text == "hello tide"
    vectors = litellm.embedding(
        model="openai/text-embedding-3-small", input=["a", "b"], api_base=f"{url}/v1", **same
    )
    assert len(vectors.data) == 2
    sys.stdout.write("ok\n")


main()
