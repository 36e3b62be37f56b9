from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.conversation import Citation, Media, Reply, Text, Thinking, ToolCall
from gateway.translation.openai_chat.reply_out import write_reply
from tests.fakes.chats import ANSWERING


def write(reply: Reply) -> Any:
    return msgspec.json.decode(write_reply(reply, ANSWERING))


def test_what_the_provider_did_not_say_is_made_from_the_call():
    said = write(Reply(parts=(ToolCall(id="", name="f"), ToolCall(id="", name="f"))))

    assert said["id"] == f"chatcmpl-{ANSWERING.call_id}"
    assert (said["model"], said["created"]) == ("m", ANSWERING.created_s)
    first, second = said["choices"][0]["message"]["tool_calls"]
    assert first["id"] != second["id"]
    assert "usage" not in said


def test_silence_is_null_only_beside_something_else():
    assert write(Reply(parts=()))["choices"][0]["message"]["content"] == ""
    assert write(Reply(parts=(ToolCall(id="a", name="f"),)))["choices"][0]["message"]["content"] is None


def test_texts_are_one_and_their_citations_move_along():
    cited = Text("wet.", citations=(Citation(url="https://a.example", start=0, end=3), Citation(document=1)))

    message = write(Reply(parts=(Text("It is "), cited)))["choices"][0]["message"]

    assert message["content"] == "It is wet."
    assert [one["url_citation"]["start_index"] for one in message["annotations"]] == [6]


def test_thoughts_are_shown_and_signed():
    thoughts = (
        Thinking(text="A", signature="s", origin="anthropic"),
        Thinking(signature="h", hidden=True, origin="anthropic"),
    )

    message = write(Reply(parts=(*thoughts, Text("x"))))["choices"][0]["message"]

    assert message["reasoning_content"] == "A"
    assert [block["type"] for block in message["thinking_blocks"]] == ["thinking", "redacted_thinking"]


def test_media_and_a_stop_sequence_are_told():
    media = (
        Media(kind="image", url="https://a.example/b"),
        Media(kind="audio", media_type="audio/wav", data="AAAA"),
        Media(kind="document", data="AAAA"),
    )

    choice = write(Reply(parts=media, stop="stop_sequence", stop_sequence="END"))["choices"][0]

    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "END")
    assert choice["message"]["images"][0]["image_url"] == {"url": "https://a.example/b"}
    assert choice["message"]["audio"]["data"] == "AAAA"


def test_only_tiers_that_openai_knows_are_told():
    assert write(Reply(service_tier="priority"))["service_tier"] == "priority"
    assert "service_tier" not in write(Reply(service_tier="standard"))
