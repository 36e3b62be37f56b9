"""Documents that are answers, and those that are none."""

import pytest

from gateway.translation.anthropic.reply_in import read_reply
from gateway.translation.conversation import Text


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"type":"error","error":{"message":"x"}}', b'{"content":5}']
)
def test_what_is_no_answer_is_an_error(body):
    with pytest.raises(ValueError, match=r"[Ee]xpected|missing|truncated"):
        read_reply(body)


def test_blocks_that_make_no_sense_are_passed_over():
    body = b"""{"content":[{"type":"text","text":"a"},5,{"type":"text"},{"type":"web_search_tool_result","content":[]},
        {"type":"tool_use","input":[]},{"type":"text","text":"b"},{"type":"tool_result","tool_use_id":"x"}],
        "stop_reason":"brand_new","usage":null,"id":null}"""

    reply = read_reply(body)

    assert (reply.parts, reply.stop, reply.usage, reply.raw_usage) == ((Text("ab"),), "other", None, b"")


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("pause_turn", "pause"),
        ("model_context_window_exceeded", "context"),
        ("refusal", "refusal"),
        ("max_tokens", "length"),
    ],
)
def test_reasons_to_stop_have_names_of_ours(reason, stop):
    assert read_reply(b'{"content":[],"stop_reason":"' + reason.encode() + b'"}').stop == stop


def test_the_stop_sequence_is_told():
    reply = read_reply(b'{"content":[],"stop_reason":"stop_sequence","stop_sequence":"END"}')

    assert (reply.stop, reply.stop_sequence) == ("stop_sequence", "END")
