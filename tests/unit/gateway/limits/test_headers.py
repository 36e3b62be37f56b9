"""What clients are told of their limits."""

from __future__ import annotations

import pytest

from gateway.limits.base import Part
from gateway.limits.headers import duration, refused, told


def said(parts: list[Part], left: list[int]) -> dict[str, str]:
    return {name.decode().removeprefix("x-ratelimit-"): value.decode() for name, value in told(parts, left)}


def test_the_tightest_part_is_told_of_each_kind() -> None:
    parts = [Part("a", rpm=100, tpm=1000), Part("b", rpm=50), Part("c", tpm=5000), Part("d", concurrency=3)]

    assert said(parts, [60, 900, 49, -1, -1, 899, -1, -1]) == {
        "limit-requests": "50",
        "remaining-requests": "49",
        "reset-requests": "1m0s",
        "limit-tokens": "5000",
        "remaining-tokens": "899",
        "reset-tokens": "1m0s",
    }


def test_what_is_not_limited_is_not_told() -> None:
    assert said([Part("d", concurrency=3)], [-1, -1]) == {}
    assert set(said([Part("d", tpm=3)], [-1, 3])) == {"limit-tokens", "remaining-tokens", "reset-tokens"}


def test_nothing_taken_is_nothing_to_wait_for() -> None:
    assert said([Part("a", rpm=5, tpm=9)], [5, 9])["reset-requests"] == "0s"
    assert said([Part("a", rpm=5, tpm=9)], [5, 9])["reset-tokens"] == "0s"


def test_a_smooth_rate_has_its_burst_and_gives_it_back_bit_by_bit() -> None:
    assert said([Part("a", rpm=600, burst=10)], [7, -1]) == {
        "limit-requests": "10",
        "remaining-requests": "7",
        "reset-requests": "300ms",
    }


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, b"0ms"),
        (1, b"1ms"),
        (12_000, b"12ms"),
        (1_500_000, b"1.5s"),
        (59_999_000, b"59.999s"),
        (60_000_000, b"1m0s"),
        (360_000_000, b"6m0s"),
        (61_200_000, b"1m1.2s"),
    ],
)
def test_time_spans_are_written_as_openai_does(us: int, text: bytes) -> None:
    assert duration(us) == text


def test_a_refusal_says_when_to_come_back_to_the_millisecond() -> None:
    assert refused(1_234_001) == [(b"retry-after-ms", b"1235")]
