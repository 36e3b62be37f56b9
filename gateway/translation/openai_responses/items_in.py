"""Items that stand for themselves, in a request's input as in a response's output."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.translation.conversation import Media, Thinking, ToolCall
from gateway.translation.openai_responses.shapes import Item, Part
from gateway.translation.openai_responses.tools import freeform_arguments, joined
from gateway.translation.signatures import unseal

BETWEEN = "\n\n"
"""Between the parts of a thought's summary."""


def read_thought(item: Item) -> tuple[Thinking, bool]:
    """Return a thought, and whether it is but the signature of the call that follows.

    Only a thought of OpenAI's keeps its item's id: of others it was made here.
    """
    signature, origin, of_call = unseal(item.encrypted_content or "", "openai")
    shown = item.summary or (item.content if isinstance(item.content, list) else None)
    thought = Thinking(
        text=words(shown),
        signature=signature,
        hidden=bool(signature) and not shown,
        id=item.id or "" if origin == "openai" else "",
        origin=origin,
    )
    return thought, of_call


def words(parts: Iterable[Part] | None) -> str:
    """Return what is shown of a thought."""
    return BETWEEN.join(part.text for part in parts or () if part.text)


def read_call(item: Item) -> ToolCall | None:
    """Read a call; None if it is none."""
    if not item.name or item.call_id is None:
        return None
    if item.type == "custom_tool_call":
        arguments = freeform_arguments(item.input or "")
    elif item.type == "function_call" and not isinstance(item.arguments, dict):
        arguments = item.arguments or "{}"
    else:
        return None
    return ToolCall(id=item.call_id, name=joined(item.namespace or "", item.name), arguments=arguments)


def signed(call: ToolCall, signature: Thinking | None) -> ToolCall:
    """Return the call with the signature that came before it."""
    if signature is None:
        return call
    return msgspec.structs.replace(call, signature=signature.signature, origin=signature.origin)


def read_picture(item: Item) -> Media | None:
    """Return an image that was generated; None if it was not finished."""
    if not item.result:
        return None
    return Media(kind="image", media_type=f"image/{item.output_format or 'png'}", data=item.result)
