"""Our parts stand behind the client's last cache breakpoint, and move none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.wire.anthropic_memory import MessagesConversation

MARK = {"type": "ephemeral"}
USER = {"role": "user", "content": "hi"}


def introduced(**more: Any) -> Any:
    body = msgspec.json.encode({"model": "m", "messages": [USER], **more})
    return msgspec.json.decode(MessagesConversation(body).remember([], "P"))


@pytest.mark.parametrize(
    ("system", "before"),
    [
        ("s", [{"type": "text", "text": "s"}]),
        (
            [{"type": "text", "text": "s", "cache_control": MARK}],
            [{"type": "text", "text": "s", "cache_control": MARK}],
        ),
        ([], []),
        (None, []),
    ],
)
def test_the_profile_is_the_last_block_of_the_system_prompt(system: Any, before: list[Any]) -> None:
    found = introduced(system=system)

    assert found["system"] == [*before, {"type": "text", "text": "P"}]
    assert found["messages"] == [USER]


def test_without_a_system_prompt_the_profile_is_all_of_it() -> None:
    assert introduced()["system"] == [{"type": "text", "text": "P"}]


def test_a_system_prompt_keeps_its_bytes() -> None:
    body = b'{"messages":[{"role":"user","content":"hi"}],"system":"caf\\u00e9 \\/"}'

    assert b'[{"type":"text","text":"caf\\u00e9 \\/"},' in MessagesConversation(body).remember([], "P")


def test_a_block_follows_the_clients_breakpoint_and_has_none() -> None:
    part = {"type": "text", "text": "look", "cache_control": MARK}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "rain", "cache_control": MARK}
    body = msgspec.json.encode(
        {
            "messages": [
                {"role": "user", "content": [part]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [result]},
            ]
        }
    )

    said = MessagesConversation(body)
    found = msgspec.json.decode(said.remember([(0, "B")]))["messages"]

    assert (said.turns, said.fresh) == (["look"], False)
    assert found[0]["content"] == [part, {"type": "text", "text": "B"}]
    assert found[2]["content"] == [result]
