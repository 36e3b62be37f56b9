"""Puts together what a model said in its turn, in a request or in an answer."""

from __future__ import annotations

from msgspec import UNSET, Raw, UnsetType

from gateway.translation.conversation import Media, Text, Thinking, ToolCall
from gateway.translation.gemini import signatures

Said = Text | Media | Thinking | ToolCall


class Turn:
    """What was said so far.

    A part with words and a signature is read as the words, then a hidden thought: what is signed is the thought that
    led to them. A signature without words signs the thought before it, if that has none.
    """

    def __init__(self) -> None:
        self.parts: list[Said] = []

    def say(self, text: str, signed: str | None, *, join: bool) -> None:
        """Add words; with `join`, they go on from words before them."""
        last = self.parts[-1] if self.parts else None
        if text:
            if join and isinstance(last, Text):
                self.parts[-1] = Text(last.text + text)
            else:
                self.parts.append(Text(text))
        elif signed and isinstance(last, Thinking) and not last.signature:
            self.think("", signed, join=True)
            return
        self.sign(signed)

    def think(self, text: str, signed: str | None, *, join: bool) -> None:
        """Add a thought, or more of it."""
        signature, origin = signatures.read(signed)
        last = self.parts[-1] if self.parts else None
        if isinstance(last, Thinking) and not last.signature and (join or not text):
            self.parts[-1] = Thinking(text=last.text + text, signature=signature, origin=origin)
        elif text or signature:
            self.parts.append(Thinking(text=text, signature=signature, origin=origin))

    def sign(self, signed: str | None) -> None:
        """Add a thought of which only the signature is told."""
        signature, origin = signatures.read(signed)
        if signature:
            self.parts.append(Thinking(signature=signature, origin=origin, hidden=True))

    def call(self, name: str, arguments: str, id: str, signed: str | None) -> ToolCall:  # noqa: A002 - as ToolCall has it
        """Add the call of a function."""
        signature, origin = signatures.read(signed)
        call = ToolCall(id=id, name=name, arguments=arguments, signature=signature, origin=origin)
        self.parts.append(call)
        return call

    def show(self, medium: Media, signed: str | None) -> None:
        """Add an image or the like."""
        self.parts.append(medium)
        self.sign(signed)


def arguments_of(args: Raw | UnsetType) -> str:
    """Return a call's arguments as text; raise ValueError if they are no text at all."""
    text = "" if args is UNSET else bytes(args).decode()
    return "{}" if text in ("", "null") else text
