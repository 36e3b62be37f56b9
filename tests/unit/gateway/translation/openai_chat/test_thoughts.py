from __future__ import annotations

from gateway.translation.conversation import Thinking, ToolCall
from gateway.translation.openai_chat.thoughts import blocks_of, extra_of, read_blocks, signature_of


def test_unsigned_thoughts_need_no_blocks():
    assert blocks_of([Thinking(text="Hm."), Thinking(text="So.")]) == []


def test_signatures_of_others_are_sealed_in_anthropics_blocks():
    thoughts = [
        Thinking(text="A", signature="c2ln", origin="anthropic"),
        Thinking(text="B", signature="c2ln", origin="openai", id="rs_1"),
        Thinking(signature="aGlk", hidden=True, origin="anthropic"),
        Thinking(text="C"),
    ]

    blocks = blocks_of(thoughts)

    assert blocks[0] == {"type": "thinking", "thinking": "A", "signature": "c2ln"}
    assert blocks[1]["signature"] == "tg:openai:c2ln"
    assert blocks[2] == {"type": "redacted_thinking", "data": "aGlk"}
    assert list(read_blocks(blocks)) == thoughts


def test_what_is_no_block_is_passed_over():
    assert list(read_blocks(None)) == []
    assert (
        list(read_blocks(["x", {}, {"type": "thinking", "thinking": 1}, {"type": "redacted_thinking"}])) == []
    )


def test_a_calls_signature_is_googles_unless_it_says_otherwise():
    own = ToolCall(id="a", name="f", signature="Z2Vt", origin="gemini")
    foreign = ToolCall(id="a", name="f", signature="Z2Vt", origin="openai")

    assert extra_of(own) == {"extra_content": {"google": {"thought_signature": "Z2Vt"}}}
    assert signature_of(extra_of(own)["extra_content"]) == ("Z2Vt", "gemini")
    assert signature_of(extra_of(foreign)["extra_content"]) == ("Z2Vt", "openai")
    assert extra_of(ToolCall(id="a", name="f")) == {}
    assert signature_of({"google": {"thought_signature": 1}}) == ("", "")
