"""Time zones go by their IANA names."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from gateway.zones import zone_of


def test_a_zone_is_found_by_its_name() -> None:
    assert zone_of("UTC") is UTC
    assert zone_of("Europe/Berlin") == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "a\0b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        zone_of(name)
