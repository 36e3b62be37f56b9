"""Writes the turns of a conversation as Anthropic takes them.

A user begins; user and assistant take turns; the results of tools stand first in the user's message after the calls.
Source: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use (2026-11).

A system message may only stand after a user's and before an assistant's, and not every model takes it there. It moves
behind what the user says next, or to the system's words before all messages, as Anthropic itself does it for clients of
OpenAI's SDK. Sources: https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages and
https://docs.anthropic.com/en/api/openai-sdk, "System / Developer message hoisting" (2026-11).
"""

from __future__ import annotations

import msgspec

from gateway.translation.anthropic.blocks import BlockOut, TextBlock, ToolResultBlock
from gateway.translation.anthropic.parts_out import blocks_of, text_blocks
from gateway.translation.conversation import Message, Request

_OPENING = "..."
"""What a user says who said nothing before the model did."""


class Turn(msgspec.Struct):
    """A message."""

    role: str
    content: list[BlockOut]


class Turns:
    """Takes messages in their order."""

    def __init__(self, request: Request, lost: list[str], *, system_inside: bool) -> None:
        self.system: list[TextBlock] = []
        self.turns: list[Turn] = []
        self._lost = lost
        self._system_inside = system_inside
        self._held: list[BlockOut] = []
        """A system message on its way behind the user's next words."""
        for text in request.system:
            self.system.extend(text_blocks(text, lost))
        for message in request.messages:
            self._take(message)
        self._finish()

    def _take(self, message: Message) -> None:
        if message.name:
            self._lost.append("name")
        blocks = [block for part in message.parts for block in blocks_of(part, self._lost)]
        if message.role == "system":
            if self._system_inside and self.turns:
                self._held.extend(blocks)
            else:
                self.system.extend(block for block in blocks if isinstance(block, TextBlock))
            return
        if not blocks:
            return
        if message.role == "assistant":
            self._place_held()
            if not self.turns:
                self.turns.append(Turn("user", [TextBlock(_OPENING)]))
        if self.turns and self.turns[-1].role == message.role:
            self.turns[-1].content.extend(blocks)
        else:
            self.turns.append(Turn(message.role, blocks))

    def _place_held(self) -> None:
        if self._held and self.turns[-1].role == "user":
            self.turns.append(Turn("system", self._held))
            self._held = []

    def _finish(self) -> None:
        if not self.turns:
            self.turns.append(Turn("user", [TextBlock(_OPENING)]))
        self._place_held()
        self.system.extend(block for block in self._held if isinstance(block, TextBlock))
        for turn in self.turns:
            if turn.role == "user":
                turn.content.sort(key=_is_no_result)
        last = self.turns[-1]
        if last.role == "assistant" and isinstance(ending := last.content[-1], TextBlock):
            ending.text = ending.text.rstrip()  # what a model is to go on from may not end so


def _is_no_result(block: BlockOut) -> bool:
    return not isinstance(block, ToolResultBlock)
