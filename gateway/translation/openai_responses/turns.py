"""Gathers the items of an input into the turns of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from gateway.errors import BadRequest
from gateway.translation.conversation import Media, Message, Part, Refusal, Text, Thinking, ToolResult
from gateway.translation.openai_responses import shapes
from gateway.translation.openai_responses.items_in import read_call, read_picture, read_thought, signed
from gateway.translation.openai_responses.parts import read_part
from gateway.translation.openai_responses.shapes import Item, invalid

Role = Literal["system", "user", "assistant"]
_ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


class Turns:
    """What was said so far. Neighbouring items of the same side are one message."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self.others: list[str] = []
        """Items that only OpenAI understands."""
        self._role: Role = "system"
        self._parts: list[Part] = []
        self._functions: dict[str, str] = {}
        """By the id of a call."""
        self._signature: Thinking | None = None
        """Of the call that comes next."""

    def take(self, items: Iterable[Item]) -> None:
        """Read a whole input; raise BadRequest."""
        for number, item in enumerate(items):
            self._take(item, f"input[{number}]")
        self._turn("system")

    def _take(self, item: Item, place: str) -> None:
        match item.type or ("message" if item.role else "item_reference"):
            case "message":
                self._say(item, place)
            case "function_call" | "custom_tool_call":
                self._call(item, place)
            case "function_call_output" | "custom_tool_call_output":
                self._return(item, place)
            case "reasoning":
                self._think(item)
            case "image_generation_call":
                if (picture := read_picture(item)) is not None:
                    self._add("assistant", picture)
            case "item_reference":
                raise BadRequest(
                    f"'{place}' refers to an item that OpenAI keeps, and this model is another provider's. "
                    "Send the item itself.",
                    code="item_reference_unsupported",
                    param=place,
                )
            case _:
                self.others.append(place)

    def _say(self, item: Item, place: str) -> None:
        role = _ROLES.get(item.role or "")
        if role is None:
            raise invalid(
                f"{place}.role", f"expected user, assistant, system or developer, but got {item.role!r}"
            )
        if isinstance(item.content, str):
            if item.content:
                self._add(role, Text(item.content))
            return
        for part in _parts(item.content, f"{place}.content"):
            self._add(role, part if role == "assistant" else _plain(part))

    def _call(self, item: Item, place: str) -> None:
        call = read_call(item)
        if call is None:
            raise invalid(place, "expected call_id, name and arguments, each a string")
        self._functions[call.id] = call.name
        self._add("assistant", signed(call, self._signature))

    def _return(self, item: Item, place: str) -> None:
        if item.call_id is None or item.output is None or isinstance(item.output, dict):
            raise invalid(place, "expected call_id and output, a string or a list of parts")
        parts: tuple[Text | Media, ...] = ()
        if isinstance(item.output, list):
            parts = tuple(map(_plain, _parts(item.output, f"{place}.output")))
        elif item.output:
            parts = (Text(item.output),)
        name = self._functions.get(item.call_id, "")
        self._add("user", ToolResult(id=item.call_id, name=name, parts=parts))

    def _think(self, item: Item) -> None:
        thought, of_call = read_thought(item)
        if of_call:
            self._signature = thought
        elif thought.text or thought.signature:
            self._add("assistant", thought)

    def _add(self, role: Role, part: Part) -> None:
        if role != self._role:
            self._turn(role)
        self._parts.append(part)
        self._signature = None

    def _turn(self, role: Role) -> None:
        """End the message that is being gathered. A first one of the system stands before all others."""
        parts, self._parts = self._parts, []
        texts = [part for part in parts if isinstance(part, Text)]
        if self._role == "system" and not self.messages and len(texts) == len(parts):
            self.system += texts
        elif parts:
            self.messages.append(Message(self._role, tuple(parts)))
        self._role = role


def _parts(parts: list[shapes.Part] | None, place: str) -> Iterator[Text | Media | Refusal]:
    for number, part in enumerate(parts or ()):
        yield read_part(part, f"{place}[{number}]")


def _plain(part: Text | Media | Refusal) -> Text | Media:
    """Return the part as somebody says it who cannot refuse."""
    return Text(part.text) if isinstance(part, Refusal) else part
