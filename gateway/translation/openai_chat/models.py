"""What differs from one model to another, as far as its name tells."""

from __future__ import annotations

import re

_THINKING = re.compile(r"(?:ft:)?(?:o[1-9]|gpt-(?:[5-9]|\d\d))")
_PLAIN = re.compile(r"(?:ft:)?(?:gpt-[34]|chatgpt-)")


def counts_thoughts(model: str) -> bool:
    """Say whether this is one of OpenAI's own that want `max_completion_tokens` and refuse `max_tokens`.

    Sources: OpenAI's OpenAPI file, `max_tokens` (o series); litellm 1.106.2, llms/openai/chat (gpt-5) (2026-11).
    """
    return _THINKING.match(model) is not None


def never_thinks(model: str) -> bool:
    """Say whether this is one of OpenAI's own that refuse `reasoning_effort`, as they do not reason.

    Sources: https://github.com/davidmigloz/langchain_dart/issues/712 (2025-06),
    https://github.com/AAswordman/Operit/issues/1048 (2026-08).
    """
    return _PLAIN.match(model) is not None


_EFFORTS = (
    (re.compile(r"(?:ft:)?o[1-9]"), {"none": "low", "minimal": "low", "xhigh": "high"}),
    (re.compile(r"gpt-5(?!\.)"), {"none": "minimal", "xhigh": "high"}),
    (re.compile(r"gpt-5\.1"), {"minimal": "low", "xhigh": "high"}),
    (re.compile(r"gpt-(?:5\.|[6-9]|\d\d)"), {"minimal": "low"}),
)
"""What OpenAI's own models take in place of an effort that they refuse.

Sources: https://github.com/enricoros/big-AGI/issues/940, read 2026-11 (o series: low, medium, high); the price table
of litellm 1.106.2 for the others (`supports_none_reasoning_effort` and the like).
"""


def nearest_effort(model: str, effort: str) -> str:
    """Return the effort, or the nearest one that the model takes."""
    taken = next((table for name, table in _EFFORTS if name.match(model)), {})
    return taken.get(effort, effort)


def wants_thoughts(model: str) -> bool:
    """Say whether the model's provider wants `reasoning_content` back; Groq and Cerebras refuse a body that has it.

    In a conversation with tools DeepSeek refuses the model's own messages without it. It takes words as strings only.
    Sources: https://github.com/anomalyco/opencode/issues/24722, which quotes DeepSeek; litellm 1.106.2, llms/deepseek;
    https://github.com/janhq/jan/issues/8136, https://github.com/Kilo-Org/kilocode/issues/10375 (2026-11).
    """
    return model.startswith("deepseek-") and not model.startswith("deepseek-r1-")


def signs_calls(model: str) -> bool:
    """Say whether this is one of Google's, whose calls are signed.

    Source: https://github.com/crmne/ruby_llm/pull/588 (2026-01).
    """
    return model.rpartition("/")[2].startswith("gemini-")
