"""Where memories go in a request to Anthropic's messages; its messages look as in OpenAI's chat.

What we add stands behind the client's last `cache_control`, and has none itself: four are allowed, and they are the
client's. Source: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching (2026-11).
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from gateway.wire.openai_memory import ChatConversation, as_parts


class MessagesConversation(ChatConversation):
    """What a user has said in a request, and the places for what is remembered of them."""

    @override
    def _introduce(self, body: dict[str, Any], profile: str) -> None:
        """Add the profile as the last block of the system prompt."""
        said = body.get("system")
        own = [] if said is None or bytes(said).strip() == b"null" else as_parts(said)
        body["system"] = [*own, {"type": "text", "text": profile}]
