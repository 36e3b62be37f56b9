"""Tables as files."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # pyarrow 26 ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.tables import Column, Format, written

COLUMNS = (
    Column("name"),
    Column("count", "count"),
    Column("on", "flag"),
    Column("at", "moment", "at_us"),
    Column("nano", "nano"),
    Column("usd", "usd", "nano"),
    Column("tags", "texts"),
    Column("more", "json"),
)
ROW = {
    "name": "a",
    "count": 1,
    "on": True,
    "at_us": 1_500_000,
    "nano": 5,
    "tags": ["x", "=y"],
    "more": '{"b":1}',
}


def file_of(shape: Format, *rows: dict[str, Any]) -> bytes:
    return b"".join(written(shape, COLUMNS, [rows]))


def cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def test_a_row_is_told_in_each_format_with_exact_money() -> None:
    (names, row) = cells(file_of("csv", ROW))
    assert names == [column.name for column in COLUMNS]
    assert row == [
        "a",
        "1",
        "true",
        "1970-01-01T00:00:01.500000Z",
        "5",
        "0.000000005",
        '["x","=y"]',
        '{"b":1}',
    ]
    told = msgspec.json.decode(file_of("jsonl", ROW))
    assert (told["usd"], told["tags"], told["more"], told["on"]) == (
        "0.000000005",
        ["x", "=y"],
        {"b": 1},
        True,
    )
    (kept,) = pq.read_table(io.BytesIO(file_of("parquet", ROW))).to_pylist()
    assert (kept["usd"], kept["nano"], kept["at"].microsecond) == (Decimal("0.000000005"), 5, 500_000)


def test_what_nobody_knows_is_empty_and_no_zero() -> None:
    unknown = {**ROW, "nano": None}
    assert cells(file_of("csv", unknown))[1][4:6] == ["", ""]
    told = msgspec.json.decode(file_of("jsonl", unknown))
    assert told["nano"] is told["usd"] is None
    (kept,) = pq.read_table(io.BytesIO(file_of("parquet", unknown))).to_pylist()
    assert kept["nano"] is kept["usd"] is None


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_is_a_formula_and_numbers_stay_numbers(start: str) -> None:
    _, row = cells(file_of("csv", {**ROW, "name": f"{start}1+1", "nano": -5}))
    assert row[0] == f"'{start}1+1"
    assert row[4:6] == ["-5", "-0.000000005"]
    (header, _) = "".join(map(bytes.decode, written("csv", [Column("=a")], [[{"=a": ""}]]))).split("\r\n", 1)
    assert header == "'=a"


@given(st.text(), st.integers(0, 2**64 - 1), st.one_of(st.none(), st.integers(-(2**62), 2**62)))
def test_whatever_is_in_a_row_comes_out_of_every_format(name: str, count: int, nano: int | None) -> None:
    name = name.encode(errors="replace").decode()
    row = {**ROW, "name": name, "count": count, "nano": nano}
    _, line = cells(file_of("csv", row))
    assert line[0] in (name, f"'{name}")
    assert line[1] == str(count)
    told = msgspec.json.decode(file_of("jsonl", row))
    (kept,) = pq.read_table(io.BytesIO(file_of("parquet", row))).to_pylist()
    for found in (told, kept):
        assert (found["name"], found["count"], found["nano"]) == (name, count, nano)
    if nano is not None:
        assert Decimal(line[5]) == Decimal(told["usd"]) == kept["usd"] == Decimal(nano).scaleb(-9)


@pytest.mark.parametrize("shape", ["csv", "jsonl", "parquet"])
def test_a_file_comes_in_pieces_one_for_each_page(shape: Format) -> None:
    taken = 0

    def pages() -> Any:
        nonlocal taken
        for _ in range(3):
            taken += 1
            yield [ROW] * 10

    pieces = written(shape, COLUMNS, pages())
    first = next(pieces)
    assert (bool(first), taken) == (True, 1)
    assert len(list(pieces)) == 3
