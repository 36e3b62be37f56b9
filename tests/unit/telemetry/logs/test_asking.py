"""What somebody wants of a list, in the body or behind the path."""

from __future__ import annotations

import msgspec
import pytest
from starlette.datastructures import QueryParams

from telemetry.answers import Refusal
from telemetry.logs.asking import Listing, listing_of
from telemetry.logs.filters import Filter


def listing(body: object = None, query: str = "") -> Listing:
    raw = b"" if body is None else msgspec.json.encode(body)
    return listing_of(raw, QueryParams(query))


def test_nothing_said_is_the_newest_fifty() -> None:
    plain = listing()
    assert (plain.page, plain.page_size, plain.offset) == (1, 50, 0)
    assert (plain.sort_by, plain.descending, plain.from_us) == ("start_time", True, None)


def test_the_body_outweighs_the_query() -> None:
    told = listing({"page": 2, "sort_by": "cost"}, "page=9&page_size=10&sort_by=-latency&environment=test")
    assert (told.page, told.page_size, told.offset) == (2, 10, 10)
    assert (told.sort_by, told.descending, told.environment) == ("cost", False, "test")


def test_filters_may_be_named_or_listed() -> None:
    named = listing({"filters": {"model": {"operator": "in", "value": ["a", "b"]}, "cost": {"value": 1}}})
    assert named.filters == [
        Filter(field="model", operator="in", value=["a", "b"]),
        Filter(field="cost", value=1),
    ]
    either = listing({"operator": "OR", "filters": {"model": {"value": "a"}, "cost": {"value": 1}}})
    assert {one.connector for one in either.filters} == {"OR"}
    listed = listing({"filters": [{"field": "cost", "operator": "gt", "value": [1]}]})
    assert listed.filters == [Filter(field="cost", operator="gt", value=[1])]


def test_times_are_moments_and_tests_are_an_environment() -> None:
    told = listing({"start_time": "2026-11-18T11:06:40Z", "end_time": 1_795_000_001, "is_test": True})
    assert (told.from_us, told.to_us) == (1_795_000_000_000_000, 1_795_000_001_000_000)
    assert told.environment == "test"
    assert listing(query="is_test=false").environment == "prod"


def test_fields_are_named_by_any_of_their_names() -> None:
    assert listing({"include_fields": ["id", "ttft"]}).fields == ("unique_id", "time_to_first_token")
    assert listing(query="include_fields=cost,model&include_fields=id").fields == (
        "cost",
        "model",
        "unique_id",
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"page": 0}, "page"),
        ({"page_size": 1001}, "page"),
        ({"page": 2000, "page_size": 1000}, "page"),
        ({"sort_by": "beauty"}, "sort_by"),
        ({"sort_by": "metadata"}, "sort_by"),
        ({"include_fields": ["everything"]}, "include_fields"),
        ({"filters": {"model": "x"}}, "filters"),
        ({"start_time": "soon"}, "start_time"),
        ({"filter": {"model": {"value": "x"}}}, "filters"),
        ({"filters": {"model": {"values": ["x"]}}}, "filters"),
        ([], "filters"),
    ],
)
def test_what_makes_no_list_is_named(body: object, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        listing(body)
    assert (refused.value.status, refused.value.param) == (400, param)
