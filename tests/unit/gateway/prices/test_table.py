from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.prices.table import FORMAT, FREE, Book, Entry, File, PriceRow, PriceTable, Rates

HOUR = 3_600_000_000
DAY = 24 * HOUR


def row(name: str, **when: Any) -> PriceRow:
    return PriceRow(id=name, rates=Rates(input=1), **when)


def table(**books: Book) -> PriceTable:
    packed = {name: msgspec.Raw(msgspec.msgpack.encode(book)) for name, book in books.items()}
    return PriceTable.decode(msgspec.msgpack.encode(File(format=FORMAT, version="v", books=packed)))


def found(prices: PriceTable, model: str, at_us: int = 0, provider: str = "acme") -> str:
    hit = prices.find(provider, model, at_us)
    return hit.id if hit else ""


@pytest.mark.parametrize(
    ("match", "model"),
    [
        (["=", "abc"], "ABC"),
        (["^", "ab"], "abx"),
        (["$", "bc"], "xbc"),
        (["*", "b"], "abc"),
        (["~", "^a.c$"], "abc"),
        (["|", ["=", "x"], ["=", "abc"]], "abc"),
        (["&", ["^", "a"], ["$", "c"]], "abc"),
    ],
)
def test_a_model_is_recognised_by_its_match(match, model):
    prices = table(acme=Book(entries=(Entry(match=match, rows=(row("hit"),)),)))

    assert found(prices, model) == "hit"
    assert found(prices, "qqq") == ""
    assert found(prices, model, provider="other") == ""


@pytest.mark.parametrize("model", ["m-2024-08-06", "m-20240806", "m@20240806", "m"])
def test_a_dated_name_falls_to_its_row(model):
    assert found(table(acme=Book(entries=(Entry(match=["=", "m"], rows=(row("hit"),)),))), model) == "hit"


def test_a_dated_name_with_its_own_row_keeps_it():
    own = Entry(match=["=", "m-2024-05-13"], rows=(row("dated"),))
    prices = table(acme=Book(entries=(Entry(match=["=", "m"], rows=(row("plain"),)), own)))

    assert found(prices, "m-2024-05-13") == found(prices, "m-20240513") == "dated"


def test_overrides_win_and_spare_rows_come_last():
    entry = Entry(match=["*", "m"], rows=(row("entry"),))
    book = Book(overrides={"m1": row("own")}, entries=(entry,), spare={"m1": row("s"), "x": row("spare")})
    prices = table(acme=book)

    assert [found(prices, m) for m in ("m1", "m2", "x")] == ["own", "entry", "spare"]


def test_the_last_row_that_holds_is_the_one():
    rows = (
        row("first"),
        row("later", valid_from_us=10 * DAY),
        row("peak", day_from_us=22 * HOUR, day_until_us=2 * HOUR),
    )
    prices = table(acme=Book(entries=(Entry(match=["=", "m"], rows=rows),)))

    at = {"first": 5 * DAY + 12 * HOUR, "later": 10 * DAY + 2 * HOUR, "peak": 9 * DAY + 23 * HOUR}
    assert {name: found(prices, "m", time) for name, time in at.items()} == {n: n for n in at}
    assert found(prices, "m", DAY + HOUR) == "peak"


def test_a_row_ends():
    assert row("r", valid_until_us=5).holds(4)
    assert not row("r", valid_until_us=5).holds(5)


def test_the_sandbox_is_free():
    assert table().find("sandbox", "anything", 0) is FREE


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="format"):
        PriceTable.decode(msgspec.msgpack.encode(File(format=99, version="v", books={})))
    with pytest.raises(ValueError, match=r"."):
        PriceTable.decode(b"garbage")


def test_names_nobody_knows_do_not_fill_the_memory():
    prices = table()
    for i in range(5000):
        prices.find("acme", f"m{i}", 0)

    assert len(prices._rows) <= 4096
