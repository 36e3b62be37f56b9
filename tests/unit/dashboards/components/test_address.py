from __future__ import annotations

import pytest
from starlette.requests import Request

from dashboards.components.address import Address, to
from telemetry.answers import Refusal
from telemetry.questions import Range


def address(query: str, path: str = "/calls") -> Address:
    scope = {"type": "http", "path": path, "query_string": query.encode(), "headers": [], "server": ("h", 1)}
    return Address(Request(scope))


def test_filters_have_the_names_of_the_query_api():
    here = address("user=u%201&billed=m&status=&property=feature%20=%20a=b")
    assert here.filters(("user", "billed", "status")) == {
        "user_id": "u 1",
        "billed_model": "m",
        "property:feature": "a=b",
    }


@pytest.mark.parametrize("said", ["feature", "=x", "feature="])
def test_a_property_needs_a_name_and_a_value(said):
    with pytest.raises(Refusal, match="write name=value"):
        address(f"property={said}").filters(())


def test_a_last_day_is_meant_to_its_end():
    within = address("from=1970-01-02&to=1970-01-03T00:00Z").within()
    assert (within.from_us, within.to_us) == (86_400_000_000, 2 * 86_400_000_000)
    assert address("to=1970-01-02").within(Range(5, 6)) == Range(5, 2 * 86_400_000_000)


@pytest.mark.parametrize("query", ["from=2026-01-02&to=2026-01-01", "from=yesterday"])
def test_a_time_that_is_none_is_refused(query):
    with pytest.raises(Refusal):
        address(query).within()


def test_pages_are_turned_without_losing_the_filters():
    here = address("user=u&after=c1&after=c2&live=1")
    assert (here.turned, here.cursor) == (["c1", "c2"], "c2")
    assert here.page(["c1"]) == "?user=u&live=1&after=c1"
    assert here.with_(user="v", by="") == "/calls?user=v&live=1"


def test_how_a_list_looks_does_not_narrow_it():
    assert not address("sort=newest&by=user&live=1&user=").narrowed
    assert address("sort=newest&user=u").narrowed


def test_an_address_holds_anything():
    assert to("/calls", user='a&b="ü"', model="") == "/calls?user=a%26b%3D%22%C3%BC%22"
    assert to("/calls", user="") == "/calls"
