from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, UnknownResponse
from gateway.providers.sandbox import Bytes, Head, play
from gateway.providers.sandbox_kept import answer, id_of, request_of


def made(**body: Any) -> str:
    return id_of(msgspec.json.encode({"model": "echo", "input": "high tide", **body}))


def said(method: str, place: str) -> Any:
    document, events = answer(method, place)
    assert events is None
    return msgspec.json.decode(document)


@given(st.binary(max_size=600))
def test_an_id_holds_its_request(body):
    assert id_of(body) == id_of(body)
    try:
        assert request_of(id_of(body)) == body
    except UnknownResponse:
        assert len(id_of(body)) < 60  # too long to be kept


@pytest.mark.parametrize("body", [b"".join(sha256(b"%d" % i).digest() for i in range(40)), b"a" * 100_000])
def test_a_long_request_is_forgotten(body):
    with pytest.raises(UnknownResponse):
        request_of(id_of(body))


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,60}", fullmatch=True))
def test_no_id_makes_it_fail(name):
    for place in (name, f"resp_1{name}"):
        assert isinstance(next(play(f"/responses/{place}", b"", "GET")), Head)


def test_a_kept_response_is_the_one_that_was_made():
    body = msgspec.json.encode({"model": "echo", "input": "high tide"})
    first = b"".join(step.data for step in play("/responses", body) if isinstance(step, Bytes))

    assert said("GET", id_of(body)) == msgspec.json.decode(first)


def test_a_background_response_is_done_when_it_is_fetched_and_can_be_cancelled():
    name = made(background=True)

    assert said("GET", name)["status"] == "completed"
    assert said("POST", f"{name}/cancel")["status"] == "cancelled"
    with pytest.raises(BadRequest):
        answer("POST", f"{made()}/cancel")


def test_a_stream_goes_on_after_the_last_event_that_was_seen():
    whole = list(answer("GET", f"{made()}?stream=true")[1] or ())
    rest = list(answer("GET", f"{made()}?stream=true&starting_after=4")[1] or ())

    assert rest == whole[5:]
    assert list(answer("GET", f"{made()}?stream=true&starting_after=x")[1] or ()) == whole


def test_input_items_come_newest_first_unless_asked_otherwise():
    items = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    name = made(input=items)

    newest = said("GET", f"{name}/input_items")
    oldest = said("GET", f"{name}/input_items?order=asc")

    assert [item["content"][0]["text"] for item in newest["data"]] == ["b", "a"]
    assert newest["data"] == oldest["data"][::-1]
    assert newest["first_id"] == newest["data"][0]["id"]


def test_deleting_says_so():
    assert said("DELETE", made()) == {"id": made(), "object": "response", "deleted": True}
