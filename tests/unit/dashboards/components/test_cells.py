from __future__ import annotations

from typing import Any

import pytest

from dashboards.components.cells import address, cost, count, status_of, tokens
from telemetry.answers import CallAnswer


def call(**changes: Any) -> CallAnswer:
    given = {"status": "ok", "http_status": 200, "usage_source": "provider", "cost_nano_usd": 1500}
    return CallAnswer.model_construct(**{**given, "price_row": "p", "error_type": "", **changes})


@pytest.mark.parametrize(
    ("identifier", "path"),
    [("plain", "/events/plain"), ("a/b?c#d", "/events/a%2Fb%3Fc%23d"), ("<ü>", "/events/%3C%C3%BC%3E")],
)
def test_an_address_holds_any_id(identifier, path):
    assert address("events", identifier) == path


def test_thousands_stand_apart():
    assert count(1234567).split("\u202f") == ["1", "234", "567"]


def test_tokens_that_nobody_counted_are_no_zero():
    assert tokens(0, call(usage_source="none")).text == "–"
    assert tokens(12, call(usage_source="estimated")).text == "~12"
    assert tokens(0, call()).text == "0"


def test_a_cost_that_nobody_knows_is_no_zero():
    known, unknown = cost(call()), cost(call(cost_nano_usd=None, cost_reason="no_usage"))

    assert known.text == "$0.0000015"
    assert (unknown.text, unknown.hint) == ("–", "no_usage")


def test_a_failure_says_its_status():
    assert status_of(call()).text == "ok"
    failed = status_of(call(status="error", http_status=503, error_type="overloaded"))
    assert (failed.text, failed.tone, failed.hint) == ("error 503", "bad", "overloaded")
