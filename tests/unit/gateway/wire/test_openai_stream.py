from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.base import Finding
from gateway.wire.openai_stream import StreamReading
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


# most events are only compared with the one before


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
def test_events_that_differ_only_in_their_word_are_not_searched(monkeypatch, pad, end):
    judged: list[bytes] = []
    judge = StreamReading._judge

    def noting(self: StreamReading, event: bytes) -> bool:
        judged.append(event)
        return judge(self, event)

    monkeypatch.setattr(StreamReading, "_judge", noting)
    words = [word(f"w{n} ", pad=pad and pad[: n % 4]) for n in range(100)]
    later = [word(f"w{n} ", pad=pad, second=2) for n in range(100)]
    events = [event.replace(b"\n", end) for event in [ROLE, *words, *later, LAST, USAGE, DONE]]

    finding = read([b"".join(events)])[1]

    assert judged == [events[n] for n in (0, 1, 101, 201, 202, 203)]
    assert finding == FOUND


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
