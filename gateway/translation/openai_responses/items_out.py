"""Items of an answer, as a response holds them."""

from __future__ import annotations

import msgspec

from gateway.translation.conversation import Family, Media, Thinking, ToolCall
from gateway.translation.openai_responses.tools import Toolbox
from gateway.translation.signatures import seal, seal_call


def thought_item(thought: Thinking, item_id: str) -> dict[str, object]:
    """Return a reasoning item. One that shows nothing has no summary, one that shows no words an empty one."""
    item: dict[str, object] = {"type": "reasoning"}
    if item_id:
        item["id"] = item_id
    item["summary"] = [] if thought.hidden else [{"type": "summary_text", "text": thought.text}]
    if thought.signature:
        item["encrypted_content"] = seal(thought.signature, thought.origin, "openai")
    return item


def sealed_item(signature: str, origin: Family, item_id: str) -> dict[str, object]:
    """Return a reasoning item that carries the signature of the call after it."""
    return {
        "type": "reasoning",
        "id": item_id,
        "summary": [],
        "encrypted_content": seal_call(signature, origin),
    }


def call_item(toolbox: Toolbox, call: ToolCall, item_id: str, status: str) -> dict[str, object]:
    """Return a call; Gemini's have no ids, but who returns a result names one."""
    if not call.id:
        call = msgspec.structs.replace(call, id=f"call_{item_id.partition('_')[2]}")
    return {"id": item_id, "status": status, **toolbox.item(call)}


def message_item(item_id: str, content: list[object], status: str) -> dict[str, object]:
    """Return a message of the model's."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def picture_item(item_id: str, media: Media) -> dict[str, object]:
    """Return an image that the model made."""
    return {
        "id": item_id,
        "type": "image_generation_call",
        "status": "completed",
        "result": media.data,
        "output_format": media.media_type.removeprefix("image/"),
    }
