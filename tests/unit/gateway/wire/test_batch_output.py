from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.batch_output import LONGEST_LINE, BatchObject, BatchOutput
from telemetry.records import Usage
from tests.fakes.account import gemini_answer, gemini_batch, output_line, result_line

THREE = Usage(input_uncached=3000, output_text=300)


def read(*chunks: bytes, counted: bool = True) -> BatchOutput:
    reading = BatchOutput("batch_1")
    reading.counted = counted
    for chunk in chunks:
        assert reading.feed(chunk) == chunk
    assert reading.end() == b""
    return reading


@given(st.lists(st.integers(0, 900), max_size=6), st.booleans())
def test_the_sum_is_the_same_however_the_lines_arrive(places, ended):
    output = b"\n".join(output_line(index) for index in range(3)) + b"\n" * ended
    cuts = [0, *sorted(place % len(output) for place in places), len(output)]
    found = read(*(output[a:b] for a, b in itertools.pairwise(cuts))).finding()

    assert (found.usage, found.response_id) == (THREE, "batch_1")
    assert (found.service_tier, found.raw_usage) == ("batch", b'{"answers":3}')
    assert found.response_model == "gpt-4o-mini-2024-07-18"


def test_anthropics_results_are_read_too():
    assert read(b"\n".join(result_line(index) for index in range(3))).finding().usage == THREE


def test_geminis_answers_are_read_too_in_a_file_or_in_the_batch_itself():
    lines = [msgspec.json.encode({"key": str(index), "response": gemini_answer()}) for index in range(3)]
    in_file = read(b"\n".join([*lines, b'{"key":"4","error":{"code":400}}'])).finding()
    reading = BatchObject("batch_1")
    reading.counted = True
    whole = msgspec.json.encode(gemini_batch(3))
    for part in (whole[:40], whole[40:]):
        assert reading.feed(part) == part
    assert reading.end() == b""

    assert in_file.usage == THREE
    assert reading.finding() == in_file
    assert in_file.response_model == "gemini-2.5-flash"


def test_a_batch_that_holds_no_answers_is_not_its_output():
    others: list[Any] = [{"name": "b"}, {"response": {"responsesFile": "files/1"}}, {"response": 1}, []]
    for said in others:
        reading = BatchObject("batches/1")
        reading.feed(msgspec.json.encode(said))
        reading.end()
        found = reading.finding()
        assert (found.response_id, found.usage, found.usage_due) == ("", None, "elsewhere")


def test_what_another_call_has_counted_is_not_counted_again():
    found = read(output_line(1), counted=False).finding()

    assert (found.usage, found.usage_due, found.service_tier) == (None, "elsewhere", "")


def test_a_line_that_is_too_long_to_read_leaves_the_sum_unknown():
    found = read(output_line(1) + b"\n", b"x" * LONGEST_LINE, b"x\n", output_line(2)).finding()

    assert (found.usage, found.usage_due, found.service_tier) == (None, "untold", "batch")


def test_answers_of_several_models_have_no_one_model():
    found = read(output_line(1) + b"\n" + output_line(2, model="gpt-5")).finding()

    assert found.response_model == ""
    assert found.usage is not None


def test_an_output_that_was_cut_off_names_no_batch():
    reading = BatchOutput("batch_1")
    reading.feed(output_line(1))

    assert reading.finding().response_id == ""


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_make_it_fail(chunks):
    read(
        *chunks, b'\n{"response":{"body":{"usage":[]}}}\n{"result":null}\n{"response":{"body":{"usage":{}}}}'
    )
