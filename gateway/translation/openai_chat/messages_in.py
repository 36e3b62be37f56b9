"""Reads a client's messages."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translation.conversation import (
    Cache,
    Media,
    Message,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.translation.conversation import Part as Spoken
from gateway.translation.openai_chat.content_in import CacheControl, Part, read_content
from gateway.translation.openai_chat.thoughts import read_blocks, signature_of
from gateway.wire.openai_body import missing

_ROLES = "'system', 'developer', 'user', 'assistant', 'tool', 'function'"


class _Function(msgspec.Struct):
    name: str = ""
    arguments: Any = None


class _Call(msgspec.Struct):
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    extra_content: Any = None
    cache_control: CacheControl | None = None


class _Voice(msgspec.Struct):
    id: str = ""


class Said(msgspec.Struct):
    """A message, whoever says it."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    function_call: _Function | None = None
    audio: _Voice | None = None
    images: list[Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[Any] | None = None
    cache_control: CacheControl | None = None

    def cache(self) -> Cache | None:
        """Return the cache point at the end of the message."""
        return self.cache_control.cache() if self.cache_control else None


def arguments_of(said: object) -> str:
    """Return a call's arguments as text; some send them as an object."""
    if isinstance(said, str):
        return said or "{}"
    return "{}" if said is None else msgspec.json.encode(said).decode()


class Messages:
    """Takes messages one after another. Tool results and the user's words right after them are one message."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self.others: list[str] = []
        """Calls of tools that are no functions."""
        self._results: list[ToolResult] = []
        self._names: dict[str, str] = {}
        """Of functions, by the ids of their calls."""
        self._made = 0
        """How many ids the client left to us."""

    def take(self, said: Said, place: str) -> None:
        """Take the next message; `place` is what it is called in errors."""
        match said.role:
            case "user":
                self._user(said, place)
            case "assistant":
                self._assistant(said, place)
            case "tool" | "function":
                self._result(said, place)
            case "system" | "developer":
                self._system(said, place)
            case _:
                raise BadRequest(
                    f"Invalid value: '{said.role[:64]}'. Supported values are: {_ROLES}.",
                    code="invalid_value",
                    param=f"{place}.role",
                )

    def end(self) -> None:
        """Nothing follows."""
        if self._results:
            self.messages.append(Message("user", tuple(self._results)))
            self._results = []

    def _system(self, said: Said, place: str) -> None:
        words = [part for part in _parts(said, place) if isinstance(part, Text)]
        self.end()
        if self.messages:
            self.messages.append(Message("system", tuple(words), said.name or ""))
        else:
            self.system.extend(words)

    def _user(self, said: Said, place: str) -> None:
        if said.name:
            self.end()
        parts = (*self._results, *_parts(said, place))
        self._results = []
        self.messages.append(Message("user", parts, said.name or ""))

    def _result(self, said: Said, place: str) -> None:
        if said.role == "function":  # the deprecated form, which names the function only
            called = said.name or ""
            known = [id_ for id_, name in self._names.items() if name == called]
            id_ = known[-1] if known else self._make_id()
        else:
            id_ = said.tool_call_id or ""
            if not id_:
                raise missing(f"{place}.tool_call_id")
        self._results.append(
            ToolResult(
                id=id_,
                name=self._names.get(id_) or said.name or "",
                parts=tuple(p for p in read_content(said.content, place) if not isinstance(p, Refusal)),
                cache=said.cache(),
            )
        )

    def _assistant(self, said: Said, place: str) -> None:
        self.end()
        parts: list[Spoken] = list(read_blocks(said.thinking_blocks))
        shown = said.reasoning_content or said.reasoning
        if shown and not parts:
            parts.append(Thinking(text=shown))
        parts.extend(_parts(said, place))
        if said.refusal:
            parts.append(Refusal(said.refusal))
        parts.extend(read_content(said.images, f"{place}.images"))
        if said.audio is not None and said.audio.id:
            parts.append(Media(kind="audio", file_id=said.audio.id, origin="openai"))
        for index, call in enumerate(said.tool_calls or ()):
            self._call(call, parts, f"{place}.tool_calls[{index}]")
        if said.function_call is not None:
            self._call(_Call(function=said.function_call), parts, f"{place}.function_call")
        self.messages.append(Message("assistant", tuple(parts), said.name or ""))

    def _call(self, call: _Call, parts: list[Spoken], place: str) -> None:
        if call.type not in ("function", "", None):
            self.others.append(place)
            return
        if call.function is None or not call.function.name:
            raise missing(f"{place}.function.name")
        signature, origin = signature_of(call.extra_content)
        id_ = call.id or self._make_id()
        self._names[id_] = call.function.name
        parts.append(
            ToolCall(
                id=id_,
                name=call.function.name,
                arguments=arguments_of(call.function.arguments),
                signature=signature,
                origin=origin,
                cache=call.cache_control.cache() if call.cache_control else None,
            )
        )

    def _make_id(self) -> str:
        self._made += 1
        return f"call_{self._made}"


def _parts(said: Said, place: str) -> list[Text | Media | Refusal]:
    """Read the content; a cache point of the message is one of its last part."""
    parts = list(read_content(said.content, place))
    cache = said.cache()
    if cache is not None and parts and not isinstance(parts[-1], Refusal):
        parts[-1] = msgspec.structs.replace(parts[-1], cache=cache)
    return parts
