"""The official clients, all asked alike, so that one test can be held with each of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import anthropic
import httpx
import httpx2
import msgspec
import openai
from google import genai
from google.genai import errors, types
from pydantic import BaseModel
from typing_extensions import override

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
KEY = "sk-of-a-client"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = "Say what the weather of a city is."


class City(BaseModel):
    """What structured output is parsed into."""

    name: str
    people: int


class Said(NamedTuple):
    """What a client made of an answer."""

    text: str
    calls: list[tuple[str, Any]]
    input_tokens: int
    output_tokens: int
    turn: Any
    """The answer as the client's next request repeats it."""
    call_ids: list[str]


class Failure(NamedTuple):
    """What a client was told went wrong."""

    kind: str
    status: int
    retry_after: str


class Sdk(Protocol):
    """One client."""

    surface: str
    broken: tuple[type[Exception], ...]
    """What it raises when a stream breaks off."""

    def ask(
        self,
        model: str,
        text: str,
        *,
        stream: bool = False,
        system: str = "",
        image: bool = False,
        **more: Any,
    ) -> Said:
        """Ask something."""
        ...

    def call(self, model: str, text: str, *, stream: bool) -> tuple[Said, Said]:
        """Give it a tool; return its call, and what it says to the tool's result, `rain in <city>`."""
        ...

    def structured(self, model: str, text: str) -> City:
        """Ask for a city."""
        ...

    def failure(self, model: str, text: str, *, stream: bool) -> Failure:
        """Ask for what is refused."""
        ...

    def close(self) -> None:
        """Give its connections back."""
        ...


class _OpenAI:
    broken: tuple[type[Exception], ...] = (openai.APIError, httpx.HTTPError)

    def __init__(self, url: str) -> None:
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    def ask(self, model: str, text: str, **more: Any) -> Said:
        raise NotImplementedError

    def failure(self, model: str, text: str, *, stream: bool) -> Failure:
        try:
            self.ask(model, text, stream=stream)
        except openai.APIStatusError as error:
            found = error.response.headers.get("retry-after", "")
            return Failure(type(error).__name__, error.status_code, found)
        raise AssertionError("it was not refused")

    def close(self) -> None:
        self.client.close()


class Chat(_OpenAI):
    """OpenAI's client asking for chat completions."""

    surface = "openai.chat"

    @override
    def ask(
        self,
        model: str,
        text: str,
        *,
        stream: bool = False,
        system: str = "",
        image: bool = False,
        **more: Any,
    ) -> Said:
        content: Any = text
        if image:
            picture = {"type": "image_url", "image_url": {"url": _data_url()}}
            content = [{"type": "text", "text": text}, picture]
        messages = [{"role": "system", "content": system}] if system else []
        return self._create(model, [*messages, {"role": "user", "content": content}], stream=stream, **more)

    def _create(self, model: str, messages: list[Any], *, stream: bool, **more: Any) -> Said:
        if stream:
            more["stream_options"] = {"include_usage": True}
            with self.client.chat.completions.stream(model=model, messages=messages, **more) as events:
                for _ in events:
                    pass
                answer: Any = events.get_final_completion()
        else:
            answer = self.client.chat.completions.create(model=model, messages=messages, **more)
        message, usage = answer.choices[0].message, answer.usage
        calls = message.tool_calls or []
        assert answer.choices[0].finish_reason == ("tool_calls" if calls else "stop")
        return Said(
            message.content or "",
            [(one.function.name, msgspec.json.decode(one.function.arguments)) for one in calls],
            usage.prompt_tokens,
            usage.completion_tokens,
            message.model_dump(exclude_none=True),
            [one.id for one in calls],
        )

    def call(self, model: str, text: str, *, stream: bool) -> tuple[Said, Said]:
        function = {"name": "weather", "description": WEATHER, "parameters": SCHEMA}
        tools = [{"type": "function", "function": function}]
        messages: list[Any] = [{"role": "user", "content": text}]
        first = self._create(model, messages, stream=stream, tools=tools)
        messages.append(first.turn)
        for call_id, (_, given) in zip(first.call_ids, first.calls, strict=True):
            result = {"role": "tool", "tool_call_id": call_id, "content": f"rain in {given['city']}"}
            messages.append(result)
        return first, self._create(model, messages, stream=stream, tools=tools)

    def structured(self, model: str, text: str) -> City:
        messages: Any = [{"role": "user", "content": text}]
        answer = self.client.chat.completions.parse(model=model, messages=messages, response_format=City)
        parsed = answer.choices[0].message.parsed
        assert parsed is not None
        return parsed


class Responses(_OpenAI):
    """OpenAI's client asking for responses."""

    surface = "openai.responses"

    @override
    def ask(
        self,
        model: str,
        text: str,
        *,
        stream: bool = False,
        system: str = "",
        image: bool = False,
        **more: Any,
    ) -> Said:
        content: list[Any] = [{"type": "input_text", "text": text}]
        if image:
            content.append({"type": "input_image", "image_url": _data_url(), "detail": "auto"})
        if system:
            more["instructions"] = system
        return self._create(model, [{"role": "user", "content": content}], stream=stream, **more)

    def _create(self, model: str, items: list[Any], *, stream: bool, **more: Any) -> Said:
        if stream:
            with self.client.responses.stream(model=model, input=items, **more) as events:
                for _ in events:
                    pass
                answer: Any = events.get_final_response()
        else:
            answer = self.client.responses.create(model=model, input=items, **more)
        assert answer.status == "completed"
        calls = [item for item in answer.output if item.type == "function_call"]
        return Said(
            answer.output_text,
            [(one.name, msgspec.json.decode(one.arguments)) for one in calls],
            answer.usage.input_tokens,
            answer.usage.output_tokens,
            [_sendable(item) for item in answer.output],
            [one.call_id for one in calls],
        )

    def call(self, model: str, text: str, *, stream: bool) -> tuple[Said, Said]:
        tools = [
            {
                "type": "function",
                "name": "weather",
                "description": WEATHER,
                "parameters": SCHEMA,
                "strict": False,
            }
        ]
        items: list[Any] = [{"role": "user", "content": text}]
        first = self._create(model, items, stream=stream, tools=tools)
        items += first.turn
        for call_id, (_, given) in zip(first.call_ids, first.calls, strict=True):
            output = f"rain in {given['city']}"
            items.append({"type": "function_call_output", "call_id": call_id, "output": output})
        return first, self._create(model, items, stream=stream, tools=tools)

    def structured(self, model: str, text: str) -> City:
        answer = self.client.responses.parse(model=model, input=text, text_format=City)
        assert answer.output_parsed is not None
        return answer.output_parsed


class Messages:
    """Anthropic's client."""

    surface = "anthropic.messages"
    broken: tuple[type[Exception], ...] = (anthropic.APIError, httpx2.HTTPError)

    def __init__(self, url: str) -> None:
        self.client = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)

    def ask(
        self,
        model: str,
        text: str,
        *,
        stream: bool = False,
        system: str = "",
        image: bool = False,
        **more: Any,
    ) -> Said:
        content: list[Any] = [{"type": "text", "text": text}]
        if image:
            data = base64.b64encode(PIXEL).decode()
            source = {"type": "base64", "media_type": "image/png", "data": data}
            content.insert(0, {"type": "image", "source": source})
        if system:
            more["system"] = system
        return self._create(model, [{"role": "user", "content": content}], stream=stream, **more)

    def _create(self, model: str, messages: list[Any], *, stream: bool, **more: Any) -> Said:
        asked: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": 64, **more}
        if stream:
            with self.client.messages.stream(**asked) as events:
                answer: Any = events.get_final_message()
        else:
            answer = self.client.messages.create(**asked)
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert answer.stop_reason == ("tool_use" if calls else "end_turn")
        usage = answer.usage
        cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        return Said(
            "".join(block.text for block in answer.content if block.type == "text"),
            [(block.name, block.input) for block in calls],
            usage.input_tokens + cached,
            usage.output_tokens,
            {"role": "assistant", "content": answer.content},
            [block.id for block in calls],
        )

    def call(self, model: str, text: str, *, stream: bool) -> tuple[Said, Said]:
        tools = [{"name": "weather", "description": WEATHER, "input_schema": SCHEMA}]
        messages: list[Any] = [{"role": "user", "content": text}]
        first = self._create(model, messages, stream=stream, tools=tools)
        results = [
            {"type": "tool_result", "tool_use_id": call_id, "content": f"rain in {given['city']}"}
            for call_id, (_, given) in zip(first.call_ids, first.calls, strict=True)
        ]
        messages += [first.turn, {"role": "user", "content": results}]
        return first, self._create(model, messages, stream=stream, tools=tools)

    def structured(self, model: str, text: str) -> City:
        messages: Any = [{"role": "user", "content": text}]
        answer = self.client.messages.parse(model=model, max_tokens=64, messages=messages, output_format=City)
        assert answer.parsed_output is not None
        return answer.parsed_output

    def failure(self, model: str, text: str, *, stream: bool) -> Failure:
        try:
            self.ask(model, text, stream=stream)
        except anthropic.APIStatusError as error:
            found = error.response.headers.get("retry-after", "")
            return Failure(type(error).__name__, error.status_code, found)
        raise AssertionError("it was not refused")

    def close(self) -> None:
        self.client.close()


class Generate:
    """Google's client."""

    surface = "gemini.generate"
    broken: tuple[type[Exception], ...] = (errors.APIError, errors.UnknownApiResponseError, httpx.HTTPError)

    def __init__(self, url: str) -> None:
        self.client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url))

    def ask(
        self,
        model: str,
        text: str,
        *,
        stream: bool = False,
        system: str = "",
        image: bool = False,
        **more: Any,
    ) -> Said:
        contents: list[Any] = [types.Part.from_text(text=text)]
        if image:
            contents.append(types.Part.from_bytes(data=PIXEL, mime_type="image/png"))
        said = [types.Content(role="user", parts=contents)]
        return self._generate(model, said, stream=stream, system_instruction=system or None, **more)

    def _generate(self, model: str, contents: list[Any], *, stream: bool, **more: Any) -> Said:
        config = types.GenerateContentConfig(**more)
        models = self.client.models
        if stream:
            answers = list(models.generate_content_stream(model=model, contents=contents, config=config))
        else:
            answers = [models.generate_content(model=model, contents=contents, config=config)]
        parts = [
            part
            for answer in answers
            for candidate in answer.candidates or ()
            for part in (candidate.content and candidate.content.parts) or ()
        ]
        last = answers[-1]
        assert last.candidates
        assert last.candidates[0].finish_reason == types.FinishReason.STOP
        usage = last.usage_metadata
        assert usage is not None
        calls = [part.function_call for part in parts if part.function_call]
        return Said(
            "".join(part.text for part in parts if part.text and not part.thought),
            [(str(one.name), one.args) for one in calls],
            usage.prompt_token_count or 0,
            (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            types.Content(role="model", parts=parts),
            [one.id or "" for one in calls],
        )

    def call(self, model: str, text: str, *, stream: bool) -> tuple[Said, Said]:
        declared = types.FunctionDeclaration(
            name="weather", description=WEATHER, parameters_json_schema=SCHEMA
        )
        more = {"tools": [types.Tool(function_declarations=[declared])]}
        contents: list[Any] = [types.Content(role="user", parts=[types.Part.from_text(text=text)])]
        first = self._generate(model, contents, stream=stream, **more)
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call_id or None, name=name, response={"output": f"rain in {given['city']}"}
                )
            )
            for call_id, (name, given) in zip(first.call_ids, first.calls, strict=True)
        ]
        contents += [first.turn, types.Content(role="user", parts=results)]
        return first, self._generate(model, contents, stream=stream, **more)

    def structured(self, model: str, text: str) -> City:
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
        answer = self.client.models.generate_content(model=model, contents=text, config=config)
        assert isinstance(answer.parsed, City)
        return answer.parsed

    def failure(self, model: str, text: str, *, stream: bool) -> Failure:
        try:
            self.ask(model, text, stream=stream)
        except errors.APIError as error:
            headers: Mapping[str, str] = error.response.headers
            return Failure(type(error).__name__, error.code, headers.get("retry-after", ""))
        raise AssertionError("it was not refused")

    def close(self) -> None:
        self.client.close()


def _data_url() -> str:
    return "data:image/png;base64," + base64.b64encode(PIXEL).decode()


def _sendable(item: Any) -> dict[str, Any]:
    """An item of an answer as a request may hold it; the client's own parsed copy is none of it."""
    said: dict[str, Any] = item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
    for part in said.get("content", ()):
        part.pop("parsed", None)
    return said
