from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.base import Finding
from gateway.wire.openai_stream import StreamReading
from gateway.wire.sse import data_of
from telemetry.records import Usage


def chunk(choices: str, extra: str = "") -> bytes:
    return f'data: {{"id":"c-1","model":"m-1","choices":[{choices}]{extra}}}\n\n'.encode()


def delta(text: str, finish: str = "null", index: int = 0) -> str:
    return f'{{"index":{index},"delta":{text},"logprobs":null,"finish_reason":{finish}}}'


ROLE = chunk(delta('{"role":"assistant","content":""}'), ',"usage":null')
WORD = chunk(delta('{"content":"data: [DONE] \\"usage\\":{ \\"error\\": 1"}'), ',"usage":null')
LAST = chunk(delta("{}", '"stop"'), ',"usage":null')
USAGE = chunk("", ',"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}')
DONE = b"data: [DONE]\n\n"
STREAM = ROLE + WORD * 3 + LAST + USAGE + DONE
FOUND = Finding(
    complete=True,
    usage=Usage(input_uncached=12, output_text=5),
    raw_usage=b'{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}',
    finish_reason="stop",
    response_model="m-1",
    response_id="c-1",
)


def read(chunks: list[bytes], *, strip: bool = False) -> tuple[bytes, Finding]:
    reading = StreamReading(strip_usage=strip)
    passed = b"".join(reading.feed(c) for c in chunks) + reading.end()
    return passed, reading.finding()


def variants(stream: bytes) -> list[bytes]:
    """The same events with other line ends, spaced JSON, comments, data over two lines, no last blank line."""
    spaced = stream.replace(b'"choices":[', b'"choices" : [').replace(b'"usage":{', b'"usage" : {')
    return [
        stream,
        stream.replace(b"\n", b"\r\n"),
        stream.replace(b"\n", b"\r"),
        spaced.replace(b'"finish_reason":', b'"finish_reason" : '),
        b": hello\n\n" + stream.replace(b"data: {", b": ping\nevent: message\nid: 7\ndata: {"),
        stream.replace(b'data: {"id":"c-1",', b'data: {"id":"c-1",\ndata: '),
        stream.rstrip(b"\n"),
    ]


@pytest.mark.parametrize(
    "stream", variants(STREAM), ids=["lf", "crlf", "cr", "spaced", "comments", "lines", "open"]
)
@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_the_finding_is_the_same_however_the_stream_arrives(stream, strip, size):
    passed, finding = read([stream[i : i + size] for i in range(0, len(stream), size)], strip=strip)

    assert finding == FOUND
    if not strip:
        assert passed == stream
    else:
        assert b"total_tokens" not in passed
        assert passed == read([stream], strip=True)[0]
        assert stream.startswith(passed[: passed.rindex(b"stop")])


def test_exactly_the_usage_event_is_taken_out():
    assert read([STREAM], strip=True)[0] == ROLE + WORD * 3 + LAST + DONE


@pytest.mark.parametrize("last", [DONE, WORD])
def test_what_was_held_back_is_returned_at_the_end(last):
    assert read([ROLE + last.rstrip(b"\n")], strip=True)[0] == ROLE + last.rstrip(b"\n")


def test_usage_beside_content_stays():
    last = chunk(delta("{}", '"stop"'), ',"usage":{"prompt_tokens":1,"completion_tokens":1}')

    passed, finding = read([ROLE + last + DONE], strip=True)

    assert passed == ROLE + last + DONE
    assert finding.usage == Usage(input_uncached=1, output_text=1)


@given(st.lists(st.sampled_from([ROLE, WORD, LAST, USAGE, DONE, b": x\n\n"]), max_size=12), st.data())
def test_any_stream_in_any_pieces_reads_the_same(events, data):
    stream = b"".join(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    for strip in (False, True):
        assert read(pieces, strip=strip) == read([stream], strip=strip)
    assert read(pieces)[0] == stream
    assert read(pieces, strip=True)[0] == b"".join(e for e in events if e is not USAGE)


def test_a_stream_without_done_is_complete_once_every_choice_finished():
    two = chunk(delta('{"content":"a"}', index=1))

    assert read([ROLE + LAST])[1].complete
    assert not read([ROLE + WORD])[1].complete
    assert not read([ROLE + two + LAST])[1].complete
    assert read([ROLE + two + LAST + chunk(delta("{}", '"length"', 1))])[1].complete


def test_of_many_choices_each_counts_also_in_one_piece():
    second, third = (chunk(delta('{"content":"a"}', index=index)) for index in (1, 2))
    ends = [LAST, chunk(delta("{}", '"stop"', 1))]

    assert not read([b"".join([ROLE, WORD, second, third, *ends])])[1].complete
    assert read([b"".join([ROLE, WORD, second, *ends])])[1].complete


@pytest.mark.parametrize("colon", [b":", b": ", b" :", b":  ", b"\t:", b":\t"])
def test_white_space_around_a_colon_hides_nothing(colon):
    error = b'data: {"error":{"message":"bad"}}\n\n'
    events = [ROLE, WORD, WORD, LAST, USAGE, error, DONE]

    passed, finding = read([b"".join(spaced(event, colon) for event in events)], strip=True)

    assert finding.finish_reason == "stop"
    assert finding.usage == FOUND.usage
    assert finding.error == "bad"
    assert b"total_tokens" not in passed


def test_the_word_done_in_an_answer_ends_nothing():
    assert not read([ROLE + WORD])[1].complete


def test_an_event_that_never_ends_is_let_through():
    reading = StreamReading(strip_usage=True)
    piece = b"data: " + b"x" * 600_000

    passed = reading.feed(piece) + reading.feed(piece)

    assert passed == piece * 2
    assert reading.feed(b"\n\n" + USAGE) == b"\n\n"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n', "overloaded"),
        (b'data: {"error": "overloaded"}\n\n', "overloaded"),
        (b'event: error\ndata: {"message":"overloaded"}\n\n', "overloaded"),
        (b"event: error\ndata: oh no\n\n", "error"),
        (b'data: {"id":"c-1","choices":[],"error":null}\n\n', ""),
    ],
)
@pytest.mark.parametrize("before", [b"", ROLE], ids=["first", "later"])
def test_an_error_after_the_200_is_told(before, event, said):
    assert read([before + event])[1].error == said


@pytest.mark.parametrize(
    ("said", "began"),
    [
        ('{"role":"assistant","content":""}', False),
        ('{"role":"assistant","content":null}', False),
        ('{"content":"a"}', True),
        ('{"content": "a"}', True),
        ('{"reasoning_content":"a"}', True),
        ('{"refusal":"a"}', True),
        ('{"tool_calls":[{"index":0}]}', True),
        ('{"content":[{"type":"text"}]}', True),
        ("{}", False),
    ],
)
def test_content_has_begun_with_the_first_content(said, began):
    reading = StreamReading(strip_usage=False)

    reading.feed(chunk(delta(said)))

    assert reading.began is began


def test_groqs_own_usage_is_a_fallback():
    last = chunk(
        delta("{}", '"stop"'), ',"x_groq":{"id":"r","usage":{"prompt_tokens":18,"completion_tokens":7}}'
    )

    passed, finding = read([ROLE + last + DONE], strip=True)

    assert finding.usage == Usage(input_uncached=18, output_text=7)
    assert passed == ROLE + last + DONE


def test_an_empty_first_event_does_not_hide_who_answers():
    azure = b'data: {"choices":[],"id":"","model":"","prompt_filter_results":[]}\n\n'

    passed, finding = read([azure + STREAM], strip=True)

    assert (finding.response_id, finding.response_model) == ("c-1", "m-1")
    assert passed.startswith(azure)


# most events are not read


def word(said: str, *, pad: str | None = None, second: int = 1) -> bytes:
    padding = "" if pad is None else f',"obfuscation":"{pad}"'
    return chunk(delta(f'{{"content":"{said}"}}'), f',"usage":null,"created":{second}{padding}')


HIDING = [
    ("", ""),
    ('\\"', ""),
    ("usage", ""),
    ("data: [DONE]", ""),
    ('a"}}],"error":"bad","choices":[{"delta":{"y":"b', "bad"),
    ('a"},"x":{"finish_reason":"length","index":0,"y":"b', ""),
    ('finish_reason":"', ""),
]


@pytest.mark.parametrize("pad", [None, "", "Xy7"])
@pytest.mark.parametrize(("said", "error"), HIDING)
def test_what_stands_where_a_word_is_expected_is_still_read(said, error, pad):
    events = [ROLE, word("one", pad=pad), word("two", pad=pad), word(said, pad=pad), word("end", pad=pad)]

    whole = read([b"".join(events)])

    assert whole == read(events)
    assert whole[1].error == error
    assert not whole[1].complete


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("pad", [None, "Xy7"])
def test_events_that_say_nothing_but_a_word_are_not_read(monkeypatch, pad, end):
    noted: list[bytes] = []
    note = StreamReading._note

    def noting(self: StreamReading, data: bytes, event: bytes) -> bool:
        noted.append(data)
        return note(self, data, event)

    monkeypatch.setattr(StreamReading, "_note", noting)
    words = [word(f"w{n} ", pad=pad and pad[: n % 4], second=n) for n in range(100)]
    events = [event.replace(b"\n", end) for event in [ROLE, *words, LAST, USAGE, DONE]]

    finding = read([b"".join(events)])[1]

    assert noted == [data_of(events[n]) for n in (0, 1, 101, 102)]
    assert finding == FOUND


# a reader that takes its time


def slow(stream: bytes, *, strip: bool) -> tuple[bytes, dict[str, object]]:
    """Read every event with a plain JSON parser; return what may pass, and what was found."""
    passed = b""
    said: dict[str, object] = {"id": "", "model": "", "usage": b"", "error": "", "done": False, "finish": ""}
    seen, finished = {0}, set()
    for event in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", stream):
        lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
        data = b"\n".join(lines)
        said["done"] = said["done"] or data == b"[DONE]"
        try:
            value = msgspec.json.decode(data)
        except msgspec.DecodeError:
            passed += event
            continue
        choices, usage = value.get("choices") or [], value.get("usage")
        said["id"] = said["id"] or value.get("id", "")
        said["model"] = said["model"] or value.get("model", "")
        said["error"] = said["error"] or (value.get("error") or {}).get("message", "")
        for choice in choices:
            seen.add(choice["index"])
            if choice["finish_reason"]:
                finished.add(choice["index"])
                if not said["finish"] or choice["index"] == 0:
                    said["finish"] = choice["finish_reason"]
        if usage:
            said["usage"] = usage
        if not (strip and usage and not choices):
            passed += event
    said["done"] = said["done"] or finished >= seen
    return passed, said


def spaced(event: bytes, colon: bytes) -> bytes:
    """Write the colons between keys and values in another style."""
    return re.sub(rb'(?<=[a-z])":(?=["{\[ntf0-9])', b'"' + colon, event)


SPEECH = st.sampled_from(
    [
        "",
        "a",
        "\\n",
        "[DONE]",
        "event: error",
        '\\"usage\\":{',
        '\\"error\\":1',
        '\\"index\\":1',
        "\u00e9",
        "data: ",
    ]
)
EVENTS = (
    st.sampled_from(
        [ROLE, LAST, USAGE, DONE, b": ping\n\n", b"data: {\n\n", b'data: {"error":{"message":"bad"}}\n\n']
    )
    | st.builds(word, SPEECH, pad=st.sampled_from([None, "p"]))
    | st.builds(
        lambda said, finish, index: chunk(delta(f'{{"content":"{said}"}}', finish, index)),
        SPEECH,
        st.sampled_from(["null", '"stop"', '"length"']),
        st.sampled_from([0, 1]),
    )
)


@given(
    begun=st.booleans(),
    events=st.lists(EVENTS, max_size=14),
    colon=st.sampled_from([b":", b": ", b" : ", b":  ", b"\t:\t", b" :"]),
    end=st.sampled_from([b"\n", b"\r\n"]),
    data=st.data(),
)
def test_a_quick_reader_finds_what_a_slow_one_finds(begun, events, colon, end, data):
    events = [ROLE, WORD, *events] if begun else events
    stream = b"".join(spaced(event, colon).replace(b"\n", end) for event in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    for strip in (False, True):
        passed, finding = read(pieces, strip=strip)
        expected, said = slow(stream, strip=strip)

        assert passed == expected
        assert (finding.response_id, finding.response_model) == (said["id"], said["model"])
        assert finding.finish_reason == said["finish"]
        assert finding.error == said["error"]
        assert finding.complete == said["done"]
        assert msgspec.json.decode(finding.raw_usage or b'""') == (said["usage"] or "")


@given(
    st.lists(
        st.sampled_from([ROLE, LAST, USAGE, DONE])
        | st.builds(
            word,
            st.sampled_from(["a", "", '\\"', "\\\\", "[DONE]", 'x","usage":{"y":"', "\u00e9"]),
            pad=st.sampled_from([None, "", "p", "\\"]),
        ),
        max_size=12,
    ),
    st.data(),
)
def test_words_of_any_kind_in_any_pieces_read_the_same(events, data):
    stream = b"".join(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert read(pieces) == read([stream])
    assert read(pieces, strip=True)[0] == b"".join(e for e in events if e is not USAGE)


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_the_last_service_tier_that_is_told_is_the_one(size):
    first = chunk(delta('{"role":"assistant","content":""}'), ',"service_tier":"auto"')
    last = chunk("", ',"service_tier":"priority","usage":{"prompt_tokens":12,"completion_tokens":5}')
    stream = first + WORD * 3 + LAST + last + DONE

    for strip in (False, True):
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert read(pieces, strip=strip)[1].service_tier == "priority"
    assert read([first + WORD + LAST + DONE])[1].service_tier == "auto"
