from __future__ import annotations

import gzip

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.openai_body import decode, rewrite, small

ODD_VALUES = [
    b"123456789012345678901234567890",
    b"1.0",
    b"1",
    b"-0",
    b"1e2",
    b'"caf\\u00e9 \\/ \\ud83d\\ude00"',
    '"é 😀"'.encode(),
    b'{ "a" : [ 1 ,\n\t2.50 ] , "a": 0 }',
    b"[ ]",
    b"null",
]


@given(
    values=st.lists(st.sampled_from(ODD_VALUES), max_size=6),
    name=st.text(min_size=1, max_size=20),
    model=st.text(min_size=1, max_size=20),
)
def test_renaming_the_model_touches_nothing_else(values, name, model):
    members = [b'"k%d" : %s' % (i, value) for i, value in enumerate(values)]
    members.insert(len(members) // 2, b'"model": ' + msgspec.json.encode(name))
    body = b"{ " + b" ,\n ".join(members) + b" }"

    changed = msgspec.json.decode(rewrite(body, model=model, ask_usage=False), type=dict[str, msgspec.Raw])

    assert msgspec.json.decode(changed.pop("model")) == model
    assert [bytes(value) for value in changed.values()] == values
    assert list(changed) == [f"k{i}" for i in range(len(values))]


def test_a_body_that_needs_no_change_is_the_same_object():
    body = b'{"model": "m", "stream": true, "stream_options": {"include_usage": true}}'

    assert rewrite(body, model="m", ask_usage=True) is body


def test_of_a_repeated_key_the_last_wins():
    assert rewrite(b'{"model":"a","model":"b","x":1}', model="c", ask_usage=False) == b'{"model":"c","x":1}'


@pytest.mark.parametrize(
    ("options", "merged"),
    [
        (b"", b'{"include_usage":true}'),
        (b',"stream_options":null', b'{"include_usage":true}'),
        (b',"stream_options":{"include_usage": false}', b'{"include_usage":true}'),
        (b',"stream_options":{"other" : 1.0}', b'{"other":1.0,"include_usage":true}'),
    ],
    ids=["absent", "null", "false", "others stay"],
)
def test_usage_is_asked_for_beside_what_the_client_said(options, merged):
    body = b'{"model":"m","stream":true%s}' % options

    assert (
        rewrite(body, model="m", ask_usage=True)
        == b'{"model":"m","stream":true,"stream_options":' + merged + b"}"
    )


@pytest.mark.parametrize("stream", [b"false", b"null"])
def test_usage_is_not_asked_for_without_a_stream(stream):
    body = b'{"model":"m","stream":%s}' % stream

    assert rewrite(body, model="m", ask_usage=True) is body


def test_a_key_that_is_not_utf8_is_a_bad_request():
    with pytest.raises(BadRequest):
        rewrite(b'{"model":"m","\xff":1}', model="n", ask_usage=False)


def test_options_of_the_wrong_type_are_left_to_the_provider():
    body = b'{"model":"m","stream":true,"stream_options":7}'

    assert rewrite(body, model="m", ask_usage=True) is body


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a":\n  x}', "byte 8 (line 2, column 3)"),
        (b'{"a": 1', "ends too early at byte 7 (line 1, column 8)"),
        (b"", "byte 0 (line 1, column 1)"),
        (b'{"a": 1} 2', "trailing characters"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"\xff": 1}', "not UTF-8"),
        (gzip.compress(b"{}", mtime=0), "compressed: send it without a content-encoding"),
        (zstandard.compress(b"{}"), "compressed: send it without a content-encoding"),
    ],
)
def test_bad_json_names_where(body, said):
    with pytest.raises(BadRequest) as caught:
        decode(msgspec.json.Decoder(dict[str, msgspec.Raw]), body)

    assert caught.value.code == "invalid_json"
    assert said in str(caught.value)


@pytest.mark.parametrize("value", [2**64, -(2**70), "x" * 65, [1], {"a": 1}, None])
def test_what_no_row_can_hold_is_left_out(value):
    assert small(value) is None
