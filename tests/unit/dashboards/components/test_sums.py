from __future__ import annotations

from dashboards.components.sums import COLUMNS, cells, exact, money, total
from telemetry.figures import Sums


def test_dollars_stand_below_each_other_and_are_exact():
    assert exact(1) == "$0.000000001"
    assert exact(9_007_199_254_740_993_000_000_001) == "$9007199254740993.000000001"


def test_what_nobody_can_price_is_no_zero():
    assert money(Sums(calls=1, unpriced=1, cost_nano_usd=None)).text == "–"
    left_out = money(Sums(calls=3, priced=1, unpriced=2, cost_nano_usd=0))
    assert (left_out.text, left_out.hint) == ("$0.000000000", "without 2 calls that have no price")


def test_the_last_line_has_a_cell_for_every_column():
    assert len(total(2, Sums())) == 2 + len(COLUMNS)
    assert len(cells(Sums())) == len(COLUMNS)
