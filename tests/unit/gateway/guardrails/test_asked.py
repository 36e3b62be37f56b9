"""Prompts that are too long, and tools that nobody allowed."""

from __future__ import annotations

import msgspec
import pytest

from gateway.guardrails.asked import forbidden_tool, tokens


def test_tokens_are_estimated_by_four_letters_or_one_character_of_other_scripts() -> None:
    assert tokens(["four", "fivee"]) == 3
    assert tokens(["\u6211\u4eec"]) == 2
    assert tokens([]) == 0


@pytest.mark.parametrize(
    "tools",
    [
        [{"type": "function", "function": {"name": "send_mail"}}],
        [{"type": "function", "name": "send_mail"}],
        [{"name": "send_mail", "input_schema": {}}],
        [{"functionDeclarations": [{"name": "send_mail"}]}],
        [{"type": "namespace", "name": "x", "tools": [{"type": "function", "name": "send_mail"}]}],
        [{"type": "send_mail"}],
        [{"send_mail": {}}],
    ],
)
def test_a_tool_goes_by_its_name_in_every_api(tools: object) -> None:
    body = msgspec.json.encode({"tools": tools})
    assert forbidden_tool(body, ("read_*",))
    assert not forbidden_tool(body, ("read_*", "send_*"))


def test_no_tools_are_always_allowed_and_unreadable_ones_never() -> None:
    assert not forbidden_tool(b"{}", ())
    assert forbidden_tool(b'{"tools": "\xff"}', ("*",))
