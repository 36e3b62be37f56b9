"""What is wrong with limits and budgets although each value is of the right type."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.faults import budget_faults, limit_faults
from gateway.settings import Budget, Limit


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"rpm": 1}, []),
        ({"tpm": 1, "per": ["user", "model"]}, []),
        ({"concurrency": 1, "users": ["a*"]}, []),
        ({"rpm": 60, "burst": 5}, []),
        ({}, ["rpm"]),
        ({"rpm": -1, "tpm": 1}, ["rpm"]),
        ({"rpm": 2_000_000_000}, ["rpm"]),
        ({"tpm": 5, "burst": 5}, ["burst"]),
        ({"rpm": 5, "keys": [""], "routes": [" "]}, ["keys", "routes"]),
    ],
)
def test_a_limit_must_limit_something_and_somebody(fields: dict[str, Any], wrong: list[str]) -> None:
    assert [field for field, _, _ in limit_faults(msgspec.convert(fields, Limit))] == wrong


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"hard_usd": "10.00"}, []),
        ({"soft_usd": "0.000000001"}, []),
        ({"soft_usd": "8", "hard_usd": "8", "zone": "Europe/Berlin", "webhook": "https://h.example/b"}, []),
        ({}, ["hard_usd"]),
        ({"hard_usd": "10$"}, ["hard_usd"]),
        ({"hard_usd": "-1"}, ["hard_usd"]),
        ({"soft_usd": "0.0000000001"}, ["soft_usd"]),
        ({"soft_usd": "9", "hard_usd": "8"}, ["soft_usd"]),
        ({"hard_usd": "1", "match": ""}, ["match"]),
        ({"hard_usd": "1", "zone": "Mars/Olympus"}, ["zone"]),
        ({"hard_usd": "1", "max_output_reserve": 0}, ["max_output_reserve"]),
        ({"hard_usd": "1", "webhook": "ftp://h.example"}, ["webhook"]),
    ],
)
def test_a_budget_has_an_amount_a_calendar_and_somebody(fields: dict[str, Any], wrong: list[str]) -> None:
    assert [field for field, _, _ in budget_faults(msgspec.convert(fields, Budget))] == wrong
