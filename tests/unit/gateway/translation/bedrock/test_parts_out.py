from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.translation.bedrock.parts_out import PartsOut, call_id
from gateway.translation.conversation import (
    Cache,
    Citation,
    Media,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)


def content(*parts: Part, role: Any = "user", maker: str = "anthropic") -> tuple[list[Any], list[str]]:
    """What a message becomes, and what of it is lost."""
    out = PartsOut(maker)
    before = (Message("user", (Text("?"),)),) if role == "assistant" else ()
    turns = out.turns((*before, Message(role, parts)))
    return msgspec.json.decode(msgspec.json.encode(turns[-1].content)), list(out.lost)


SIGNED = Thinking(text="hm", signature="sig", origin="anthropic")
HIDDEN = Thinking(signature="c2VjcmV0", hidden=True, origin="bedrock")


def test_claudes_thoughts_come_back_to_claude_wherever_they_were_thought():
    said, lost = content(SIGNED, HIDDEN, Text("Hi"), role="assistant")

    assert said == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "Hi"},
    ]
    assert lost == []


@pytest.mark.parametrize(
    "foreign",
    [
        Thinking(text="hm"),
        Thinking(text="hm", signature="x", origin="gemini"),
        Thinking(signature="x", hidden=True, origin="openai"),
        Thinking(signature="x", hidden=True, origin="anthropic"),
    ],
)
def test_thoughts_of_others_stay_away_without_a_word(foreign):
    assert content(foreign, Text("Hi"), role="assistant") == ([{"text": "Hi"}], [])
    assert content(SIGNED, Text("Hi"), role="assistant", maker="amazon") == ([{"text": "Hi"}], [])


def test_media_of_every_kind():
    said, lost = content(
        Media(kind="image", media_type="image/jpeg", data="aGk="),
        Media(
            kind="document", media_type="application/pdf", data="aGk=", name="My_boat: (log).pdf", cite=True
        ),
        Media(kind="document", text="words", name="My_boat: (log).pdf"),
        Media(kind="video", media_type="video/mp4", url="s3://bucket/film.mp4"),
        Media(kind="audio", media_type="audio/wav", data="aGk="),
    )

    assert said == [
        {"image": {"format": "jpeg", "source": {"bytes": "aGk="}}},
        {
            "document": {
                "format": "pdf",
                "name": "My boat (log) pdf",
                "source": {"bytes": "aGk="},
                "citations": {"enabled": True},
            }
        },
        {"document": {"format": "txt", "name": "My boat (log) pdf 2", "source": {"text": "words"}}},
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/film.mp4"}}}},
        {"audio": {"format": "wav", "source": {"bytes": "aGk="}}},
    ]
    assert lost == []


def test_text_of_a_document_is_bytes_for_all_but_claude():
    said, _ = content(Media(kind="document", text="hi"), maker="meta")

    assert said[0]["document"]["source"] == {"bytes": "aGk="}


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="image", media_type="image/png", url="https://example.com/a.png"),
        Media(kind="image", file_id="file-1", origin="openai"),
        Media(kind="image", media_type="image/tiff", data="aGk="),
    ],
)
def test_media_that_cannot_be_carried_are_told(media):
    said, lost = content(Text("Look"), media)

    assert said == [{"text": "Look"}]
    assert lost == ["image"]


def test_results_stand_first_and_say_if_they_failed():
    said, lost = content(
        Text("And now?"),
        ToolResult(
            id="t1", parts=(Text("no"), Media(kind="image", media_type="image/png", data="aGk=")), failed=True
        ),
        ToolResult(id="t2", parts=(Media(kind="audio", media_type="audio/wav", data="aGk="),)),
    )

    assert said == [
        {
            "toolResult": {
                "toolUseId": "t1",
                "content": [{"text": "no"}, {"image": {"format": "png", "source": {"bytes": "aGk="}}}],
                "status": "error",
            }
        },
        {"toolResult": {"toolUseId": "t2", "content": []}},
        {"text": "And now?"},
    ]
    assert lost == ["audio"]


def test_cache_points_stand_behind_what_they_are_about():
    said, lost = content(Text("long", cache=Cache("1h")), Text("short", cache=Cache()))

    assert said == [
        {"text": "long"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "short"},
        {"cachePoint": {"type": "default"}},
    ]
    assert lost == []
    assert content(Text("long", cache=Cache()), maker="meta") == ([{"text": "long"}], ["cache"])


def test_citations_of_bedrocks_own_go_back_as_they_came():
    own = Citation(title="t", raw='{"title":"t"}', origin="bedrock")
    foreign = Citation(title="t", raw='{"type":"x"}', origin="anthropic")

    assert content(Text("so", citations=(own, foreign)), role="assistant")[0] == [
        {"citationsContent": {"content": [{"text": "so"}], "citations": [{"title": "t"}]}}
    ]
    assert content(Text("so", citations=(foreign,)), role="assistant") == ([{"text": "so"}], [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [('{"a":1}', {"a": 1}), ("", {}), ('{"a":', {"arguments": '{"a":'}), ("[1]", {"arguments": "[1]"})],
)
def test_broken_arguments_are_kept_as_words(arguments, said):
    made, _ = content(ToolCall(id="t", name="f", arguments=arguments), role="assistant")

    assert made[0]["toolUse"]["input"] == said


def test_blank_words_are_left_out_and_a_refusal_is_words():
    assert content(Text("  "), Refusal("I will not"), role="assistant")[0] == [{"text": "I will not"}]


def test_turns_of_one_role_are_joined_and_a_user_begins():
    out = PartsOut("anthropic")

    turns = out.turns(
        (
            Message("assistant", (Text("Hello"),)),
            Message("user", (Text("a"),), name="ada"),
            Message("user", (Text("b"),)),
        )
    )

    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert [block.text for block in turns[2].content] == ["a", "b"]
    assert list(out.lost) == ["name"]


def test_ids_are_cut_to_what_is_allowed():
    assert call_id("fc_1|call 2") == "fc_1_call_2"
    assert len(call_id("x" * 100)) == 64
    assert call_id("") == "_"
