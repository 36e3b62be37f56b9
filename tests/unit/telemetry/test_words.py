from __future__ import annotations

import pytest

from telemetry.words import dollars, duration


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (2_500_000_000, "$2.50"),
        (1_234_567_890_123_456_789, "$1234567890.123456789"),
        (-5_000_000, "-$0.005"),
    ],
)
def test_dollars_are_exact(nano, text):
    assert dollars(nano) == text


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0 us"),
        (999, "999 us"),
        (1_000, "1.0 ms"),
        (250_400, "250.4 ms"),
        (1_500_000, "1.50 s"),
        (61_000_000, "1 min 1 s"),
        (3_720_000_000, "1 h 2 min"),
        (200_000_000_000, "2 d 7 h"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_fits(us, text):
    assert duration(us) == text
