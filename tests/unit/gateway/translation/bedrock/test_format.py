from __future__ import annotations

from gateway.translation.base import ProviderFormat
from gateway.translation.bedrock.format import BedrockFormat
from gateway.translation.conversation import Message, Request, Text, Thinking
from tests.fakes.clouds import converse

FORMAT: ProviderFormat = BedrockFormat()


def test_it_is_asked_for_a_stream_by_the_path_alone():
    request = Request(messages=(Message("user", (Text("Hi"),)),))
    streamed = Request(messages=request.messages, stream=True)

    plain = FORMAT.write_request(request, model="amazon.nova-pro-v1:0", usage=True)

    assert plain == FORMAT.write_request(streamed, model="amazon.nova-pro-v1:0", usage=False)


def test_what_was_answered_can_be_said_again():
    reasoning = {"reasoningText": {"text": "hm", "signature": "sig"}}
    content = [{"reasoningContent": reasoning}, {"text": "Hi"}]
    body = converse(output={"message": {"content": content}}).body
    assert isinstance(body, bytes)

    reply = FORMAT.read_reply(body)
    history = (Message("user", (Text("Hi"),)), Message("assistant", reply.parts))
    again = FORMAT.write_request(Request(messages=history), model="anthropic.claude-sonnet-5", usage=False)

    assert reply.parts[0] == Thinking(text="hm", signature="sig", origin="anthropic")
    assert (
        b'{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},{"text":"Hi"}' in again.body
    )
    assert (reply.id, reply.model) == ("", "")
