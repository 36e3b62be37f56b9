"""What a user of the official Python client does, and what it must see: `openai_python.py <url> <what> <model>`.

Runs in the client's own virtual environment, so it imports nothing of ours. Prints `ok` or dies.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import openai
from openai import OpenAI
from pydantic import BaseModel

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
            },
        },
    }
]
ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


class City(BaseModel):
    """What structured output is parsed into."""

    name: str
    population: int


def ask(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def chat(client: OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=ask("hello tide"), extra_headers={"x-tidegate-event-id": "e2e"}
    )
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert raw.headers["x-tidegate-event-id"] == "e2e"
    assert raw.headers["x-tidegate-call-id"]
    assert raw.headers["x-request-id"]


def stream(client: OpenAI, model: str) -> None:
    chunks = list(client.chat.completions.create(model=model, messages=ask("hello tide"), stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text
    assert chunks[-1].choices[0].finish_reason in {"stop", "length"}
    assert not any(chunk.usage for chunk in chunks), "a usage event nobody asked for"
    chunks = list(
        client.chat.completions.create(
            model=model, messages=ask("hello tide"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0


def several(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=ask("hello tide"), n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]


def tools(client: OpenAI, model: str) -> None:
    messages = ask("What is the weather in Paris?")
    answer = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    messages.append(answer.choices[0].message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "18 degrees"})
    final = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert final.choices[0].message.content
    with client.chat.completions.stream(model=model, messages=ask("Weather?"), tools=TOOLS) as events:
        for _ in events:
            pass
        streamed = events.get_final_completion().choices[0].message.tool_calls[0]
    assert streamed.function.name == "get_weather"


def structured(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=ask("A city?"), response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)


def responses(client: OpenAI, model: str) -> None:
    kept_here(client, model)
    made = client.responses.create(model=model, input="hello tide", metadata={"a": "b"})
    assert client.responses.retrieve(made.id) == made
    waiting = client.responses.create(model=model, input="hello tide", background=True)
    assert waiting.status == "queued"
    assert client.responses.cancel(waiting.id).status == "cancelled"


def kept_here(client: OpenAI, model: str) -> None:
    made = client.responses.create(model=model, input="hello tide", metadata={"a": "b"})
    assert made.status == "completed"
    assert made.output_text == "hello tide"
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens > 0
    more = client.responses.create(model=model, input="and more", previous_response_id=made.id)
    assert more.previous_response_id == made.id
    assert client.responses.retrieve(made.id).output_text == "hello tide"
    assert client.responses.input_items.list(made.id).data[0].content[0].text == "hello tide"
    with client.responses.stream(model=model, input="hello tide") as events:
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert events.get_final_response().output_text == text == "hello tide"
    parsed = client.responses.parse(model=model, input="A city?", text_format=City)
    assert isinstance(parsed.output_parsed, City)
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
    except openai.NotFoundError:
        return
    raise AssertionError("a deleted response was found")


def response_tools(client: OpenAI, model: str) -> None:
    tools = [{"type": "function", **TOOLS[0]["function"]}]
    items = ask("What is the weather in Paris?")
    made = client.responses.create(model=model, input=items, tools=tools)
    call = made.output[0]
    assert (call.type, call.name) == ("function_call", "get_weather")
    items += [call.model_dump(exclude_none=True)]
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}]
    assert client.responses.create(model=model, input=items, tools=tools).output_text
    with client.responses.stream(model=model, input="Weather?", tools=tools) as events:
        streamed = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
        assert events.get_final_response().output[0].arguments == "".join(streamed)


def completions(client: OpenAI, model: str) -> None:
    answer = client.completions.create(model=model, prompt="hello tide")
    assert answer.choices[0].text
    assert answer.usage.total_tokens > 0
    chunks = list(client.completions.create(model=model, prompt="hello tide", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text
    assert not any(chunk.usage for chunk in chunks), "a usage event nobody asked for"


def embeddings(client: OpenAI, model: str) -> None:
    answer = client.embeddings.create(model=model, input=["high tide", "low tide"])
    assert [entry.index for entry in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) == len(answer.data[1].embedding) > 1
    # aimock 1.43.0 counts no tokens of embeddings (its own answer says 0).
    assert answer.usage.prompt_tokens > 0 or model.startswith("aimock/")


def refusal(
    expected: type[openai.APIStatusError], call: Callable[..., object], **what: object
) -> openai.APIStatusError:
    try:
        call(**{"messages": ask("hello"), **what})
    except expected as error:
        return error
    raise AssertionError(f"no {expected.__name__} for {what}")


def errors(client: OpenAI, model: str) -> None:
    create = client.chat.completions.create
    for status, expected in ERRORS.items():
        error = refusal(expected, create, model=f"sandbox/error-{status}")
        assert error.status_code == status
        assert error.request_id, status
        assert error.body["message"], status
    assert refusal(openai.NotFoundError, create, model="no-such-model").code == "model_not_found"
    assert refusal(openai.BadRequestError, create, model=model, messages="not a list").param == "messages"


def refused(client: OpenAI, model: str) -> None:
    for status, expected in ERRORS.items():
        messages = ask(f"fail with {status}")
        error = refusal(expected, client.chat.completions.create, model=model, messages=messages)
        assert error.status_code == status
        assert error.body["message"] == "scripted", error.body


def cut(client: OpenAI, model: str) -> None:
    chunks = client.chat.completions.create(model="sandbox/cut-3", messages=ask("a b c d e f g"), stream=True)
    assert next(chunks), "what came before the cut was not passed on"
    try:
        for _ in chunks:
            pass
    except openai.APIError:
        return
    raise AssertionError("a cut stream ended as if it were whole")


def models(client: OpenAI, model: str) -> None:
    assert "sandbox/echo" in [entry.id for entry in client.models.list()]


def main() -> None:
    url, what, model = sys.argv[1:4]
    client = OpenAI(base_url=url, api_key="sk-of-a-test", max_retries=0)
    for name in what.split(","):
        globals()[name](client, model)
    sys.stdout.write("ok\n")


main()
