"""Percentiles as the query API tells them."""

from __future__ import annotations

import math

from telemetry.figures import percentiles


def test_a_percentile_is_told_in_no_more_digits_than_were_measured():
    told = percentiles([44897.99999999999, 20.819999999999997, 0.3, 1e12 + 0.5])
    assert (told.p50, told.p90, told.p95, told.p99) == (44898.0, 20.82, 0.3, 1e12 + 0.5)


def test_percentiles_of_nothing_are_none():
    told = percentiles([math.nan] * 4)
    assert told.model_dump() == {"p50": None, "p90": None, "p95": None, "p99": None}
