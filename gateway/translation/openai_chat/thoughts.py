"""Thoughts and signatures, for which OpenAI's chat has no fields of its own.

What is shown of thoughts is `reasoning_content`, as DeepSeek, vLLM and LiteLLM have it; signed ones are repeated in
`thinking_blocks`, LiteLLM's fields for Anthropic's. A call's signature is `extra_content.google.thought_signature`.
Both fields have an owner; signatures of others are sealed in them.

Sources, read 2026-11: https://docs.litellm.ai/docs/reasoning_content, https://github.com/crmne/ruby_llm/pull/588.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.translation.conversation import Family, Thinking, ToolCall
from gateway.translation.signatures import seal, unseal
from gateway.wire.openai_answer import text


def block_of(thought: Thinking) -> dict[str, Any]:
    """Return the thought as one of `thinking_blocks`."""
    signature = seal(thought.signature, thought.origin, "anthropic")
    block: dict[str, Any]
    if thought.hidden:
        block = {"type": "redacted_thinking", "data": signature}
    else:
        block = {"type": "thinking", "thinking": thought.text, "signature": signature}
    if thought.id:
        block["id"] = thought.id
    return block


def blocks_of(thoughts: Sequence[Thinking]) -> list[dict[str, Any]]:
    """Return `thinking_blocks`; none if `reasoning_content` says it all."""
    if any(thought.signature or thought.id for thought in thoughts):
        return [block_of(thought) for thought in thoughts]
    return []


def read_blocks(blocks: object) -> Iterator[Thinking]:
    """Read `thinking_blocks`; what is none is passed over."""
    for block in blocks if isinstance(blocks, list) else ():
        if not isinstance(block, dict):
            continue
        hidden = block.get("type") == "redacted_thinking"
        signature, origin, _ = unseal(text(block.get("data" if hidden else "signature")), "anthropic")
        shown = "" if hidden else text(block.get("thinking"))
        if shown or signature:
            yield Thinking(
                text=shown, signature=signature, hidden=hidden, id=text(block.get("id")), origin=origin
            )


def extra_of(call: ToolCall) -> dict[str, Any]:
    """Return what a signed call has more than others."""
    if not call.signature:
        return {}
    signature = seal(call.signature, call.origin, "gemini")
    return {"extra_content": {"google": {"thought_signature": signature}}}


def signature_of(extra: object) -> tuple[str, Family]:
    """Return the signature in a call's `extra_content`, and whose it is."""
    google = extra.get("google") if isinstance(extra, dict) else None
    sealed = text(google.get("thought_signature")) if isinstance(google, dict) else ""
    signature, origin, _ = unseal(sealed, "gemini")
    return signature, origin
