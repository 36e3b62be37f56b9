"""OpenAI, Anthropic, Gemini and Bedrock as one upstream whose model has a little sense.

It says again what the user said, or what a tool found out. Given tools, it calls the one it may, with what the
user put into quotes for texts and with the number he named for integers. Told to `fail with 429`, it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.providers.sandbox import Bytes, Head, play
from gateway.providers.sandbox_schema import instance
from tests.fakes import anthropic as anthropic_fake
from tests.fakes import clouds as bedrock_fake
from tests.fakes import gemini as gemini_fake
from tests.fakes.provider import Received, Script
from tests.fakes.provider import refusal as openai_refusal

Object = dict[str, Any]

_FAIL = re.compile(r"fail with (\d{3})")
_QUOTED = re.compile(r"'(\w+)'")
_NAMES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_GEMINI_NAMES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def model(request: Received) -> Script:
    """Answer in the format of the API that has this path."""
    path = request.path.partition("?")[0]
    if path.endswith("/models"):
        return openai_refusal(404)  # a list would cost a second model that nobody asks for
    if path.startswith("/model/"):
        return _bedrock(request)
    if ":" in path:
        return _gemini(request)
    return (
        _anthropic(request) if path.startswith("/v1/messages") else _openai(request, path.removeprefix("/v1"))
    )


def _openai(request: Received, path: str) -> Script:
    asked = request.json() if request.body else {}
    messages = asked.get("messages") or asked.get("input") or []
    last = messages[-1] if isinstance(messages, list) and messages else {"content": messages}
    last = last if isinstance(last, dict) else {}
    words = _text(last.get("content"))
    if failed := _FAIL.search(words):
        return openai_refusal(int(failed[1]), "scripted", kind=_NAMES.get(int(failed[1]), "server_error"))
    functions = [tool.get("function", tool) for tool in asked.get("tools") or []]
    for function in functions:
        function["parameters"] = _sensible(function.get("parameters"), words)
    if last.get("role") == "tool" or last.get("type") == "function_call_output":
        asked["sandbox"] = _after_a_result(asked, _text(last.get("content") or last.get("output")), functions)
    form = asked.get("response_format") or (asked.get("text") or {}).get("format") or {}
    if form.get("type") == "json_object":
        asked["sandbox"] = {
            "text": msgspec.json.encode({word: word for word in _QUOTED.findall(words)}).decode()
        }
    return _played(path, {**asked, "model": "echo"}, request.method, asked.get("model", ""))


def _after_a_result(asked: Object, found: str, functions: Sequence[Object]) -> Object:
    """Return what the sandbox is to do: say what was found, or call again what must be called."""
    choice = asked.get("tool_choice")
    if choice != "required" and not isinstance(choice, dict):
        return {"text": found or "nothing"}
    named = choice.get("function", choice).get("name") if isinstance(choice, dict) else None
    function = next(one for one in functions if named in {None, one["name"]})
    return {"tool_calls": [{"name": function["name"], "arguments": instance(function["parameters"])}]}


def played(request: Received, sandbox: Object) -> Script:
    """Have OpenAI's sandbox do this."""
    asked = request.json()
    path = request.path.partition("?")[0].removeprefix("/v1")
    said = {**asked, "model": "echo", "sandbox": sandbox}
    return _played(path, said, request.method, asked.get("model", ""))


def _played(path: str, asked: Object, method: str, name: str) -> Script:
    """Let the sandbox answer under another model's name."""
    head, *parts = play(path, msgspec.json.encode(asked), method)
    assert isinstance(head, Head)
    headers = [
        (field.decode(), value.decode()) for field, value in head.headers if field != b"content-length"
    ]
    said = [
        part.data.replace(b'"sandbox/echo"', b'"%b"' % name.encode())
        for part in parts
        if isinstance(part, Bytes)
    ]
    return Script(status=head.status, headers=tuple(headers), body=tuple(said), framing="chunked")


def _anthropic(request: Received) -> Script:
    if request.path.startswith("/v1/messages/count_tokens"):
        return anthropic_fake.anthropic(request)
    asked = request.json()
    last = asked["messages"][-1]["content"]
    words = _text(last)
    if failed := _FAIL.search(words):
        return anthropic_fake.refusal(int(failed[1]), _NAMES.get(int(failed[1]), "api_error"), "scripted")
    results = [part for part in last if part["type"] == "tool_result"] if isinstance(last, list) else []
    choice = asked.get("tool_choice") or {"type": "auto"}
    tools = {
        tool["name"]: tool["input_schema"] for tool in asked.get("tools") or [] if "input_schema" in tool
    }
    name = _chosen(tools, [choice["name"]] if "name" in choice else [])
    schema = ((asked.get("output_config") or {}).get("format") or asked.get("output_format") or {}).get(
        "schema"
    )
    if name and choice["type"] != "none" and (not results or choice["type"] != "auto"):
        block = anthropic_fake.tool_use(name) | {"input": instance(_sensible(tools[name], words))}
    elif schema is not None:
        block = anthropic_fake.text(msgspec.json.encode(instance(schema)).decode())
    else:
        block = anthropic_fake.text(_text(results[-1].get("content")) if results else words or "nothing")
    if asked.get("stream"):
        return anthropic_fake.stream(anthropic_fake.events(block, model=asked["model"]))
    return anthropic_fake.message(block, model=asked["model"])


def _gemini(request: Received) -> Script:
    asked = request.json()
    if "enerateContent" not in request.path:
        return gemini_fake.gemini(request)
    parts = asked["contents"][-1]["parts"]
    words = _text(parts)
    if failed := _FAIL.search(words):
        return gemini_fake.refusal(
            int(failed[1]), _GEMINI_NAMES.get(int(failed[1]), "INTERNAL"), said="scripted"
        )
    results = [found for part in parts if (found := _get(part, "functionResponse"))]
    declared = [one for tool in asked.get("tools") or [] for one in _get(tool, "functionDeclarations") or []]
    tools = {
        one["name"]: _get(one, "parametersJsonSchema") or _lowered(one.get("parameters")) for one in declared
    }
    calling = _get(_get(asked, "toolConfig"), "functionCallingConfig")
    name = _chosen(tools, _get(calling, "allowedFunctionNames") or [])
    wanted = _get(asked, "generationConfig")
    mode = _get(calling, "mode") or "AUTO"
    if name and mode != "NONE" and (not results or mode == "ANY"):
        arguments = instance(_sensible(tools[name], words))
        said: Object = {"functionCall": {"name": name, "args": arguments}}
    elif _get(wanted, "responseMimeType") == "application/json":
        schema = _get(wanted, "responseJsonSchema") or _lowered(_get(wanted, "responseSchema"))
        found = {word: word for word in _QUOTED.findall(words)} if schema is None else instance(schema)
        said = {"text": msgspec.json.encode(found).decode()}
    else:
        said = {"text": _found(results[-1]["response"]) if results else words}
    whole = gemini_fake.response([said], "STOP")
    if ":streamGenerateContent" in request.path:
        begun = [gemini_fake.response([{"text": said["text"][:4]}])] if "text" in said else []
        rest = {"text": said["text"][4:]} if begun else said
        return gemini_fake.stream([*begun, gemini_fake.response([rest], "STOP")], request.path)
    return Script(headers=gemini_fake.JSON, body=gemini_fake.pretty(whole))


def _found(response: Object) -> str:
    """Return what a function returned: its words, if that is all."""
    values = list(response.values())
    alone = len(values) == 1 and isinstance(values[0], str)
    return values[0] if alone else msgspec.json.encode(response).decode()


def _bedrock(request: Received) -> Script:
    asked = bedrock_fake.check_converse(request.body)
    last = asked["messages"][-1]["content"]
    words = _text(last)
    if failed := _FAIL.search(words):
        return bedrock_fake.refusal(int(failed[1]), "scripted")
    results = [part["toolResult"] for part in last if "toolResult" in part]
    config = asked.get("toolConfig") or {"tools": []}
    choice = config.get("toolChoice") or {"auto": {}}
    declared = [tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool]
    tools = {tool["name"]: tool["inputSchema"]["json"] for tool in declared}
    name = _chosen(tools, [choice["tool"]["name"]] if "tool" in choice else [])
    wanted = (asked.get("outputConfig") or {}).get("textFormat")
    block: Object
    if name and (not results or "auto" not in choice):
        use = {"toolUseId": "tooluse_1", "name": name, "input": instance(_sensible(tools[name], words))}
        block = {"toolUse": use}
    elif wanted is not None:
        schema = msgspec.json.decode(wanted["structure"]["jsonSchema"]["schema"])
        block = {"text": msgspec.json.encode(instance(schema)).decode()}
    else:
        block = {"text": _text(results[-1]["content"]) if results else words or "nothing"}
    if request.path.endswith("/converse-stream"):
        return bedrock_fake.stream_of(block)
    return bedrock_fake.answer_of(block)


def _get(said: Any, name: str) -> Any:
    """Return a field, which Gemini takes in camel case and in snake case."""
    said = said or {}
    return said.get(name, said.get(re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)))


def _chosen(tools: Iterable[str], allowed: Sequence[str]) -> str:
    """Return the tool to call: the first that is allowed; all are if none is named."""
    return next((name for name in tools if not allowed or name in allowed), "")


def _text(said: object) -> str:
    """Return the words of a content, be it a text or a list of parts."""
    if isinstance(said, str):
        return said
    parts = said if isinstance(said, list) else []
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, Mapping) and "text" in part)


def _sensible(said: object, words: str) -> Object:
    """Return the schema with the user's own words for the texts and integers that it asks for."""
    schema: Object = said if isinstance(said, dict) else {"type": "object"}
    known = {
        "string": re.findall("'([^']+)'", words),
        "integer": [int(one) for one in re.findall(r"\d+", words)],
    }
    properties = {}
    for name, one in (schema.get("properties") or {}).items():
        values = known.get(one.get("type"))
        properties[name] = {**one, "const": values[0]} if values else one
    return {**schema, "properties": properties}


def _lowered(schema: object) -> object:
    """Return a schema of Gemini's own kind as JSON schema: its types are in capitals there."""
    if isinstance(schema, list):
        return [_lowered(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else _lowered(value)
        for key, value in schema.items()
    }
