"""Calls that nobody expects: absurd usage, bytes that are no text, bodies of megabytes, clocks that are years off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from telemetry.migrate import migrate
from telemetry.questions import Questions, Scope
from telemetry.records import Request
from telemetry.store.embedded import open_folder
from telemetry.upkeep.verify import of_ledger
from tests.fakes.callers import Heard, call, question
from tests.fakes.ledger import BASE_US, payload, settled
from tests.fakes.ledger import call as made
from tests.fakes.provider import Provider, Received, Script, chat, refusal
from tests.fakes.seeded import fill
from tests.fakes.tidegate import Tidegate, eventually

PRICES = {"fake/*": {"input": "600", "output": "600"}}
"""As much as the dearest model of 2026 takes for a million tokens."""
TEN_MB = "tide " * (2 << 20)
GARBLED = chat("ebb \xff flow").body
assert isinstance(GARBLED, bytes)
SCRIPTS = {
    "beyond": chat(prompt_tokens=2**63, tokens=2**63),
    "huge": chat(prompt_tokens=2**53, tokens=2**53),
    "most": chat(prompt_tokens=10**12, tokens=10**12),
    "garbled": Script(body=GARBLED.replace("\xff".encode(), b"\xff")),
    "cross": Script(status=400, body=b'{"error": {"message": "no \xff", "type": "x"}}'),
    "long": chat(TEN_MB),
    "fine": chat(),
}


def script(request: Received) -> Script:
    if b"\xff" in request.body:
        return refusal(400, "this is not UTF-8")
    return SCRIPTS[request.json()["model"]] if request.method == "POST" else chat()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    with Provider(script).in_thread() as provider:
        config = {"providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}}, "prices": PRICES}
        with Tidegate(tmp_path_factory.mktemp("odd"), config) as running:
            eventually(lambda: running.get("/api/calls").status == 200, what="the ledger and its prices")
            yield running
            assert not list((running.data / "journal" / "dead-letters").glob("*"))


def row_of(house: Tidegate, model: str) -> tuple[Heard, dict[str, Any]]:
    heard = call(house, f"fake/{model}", event=model)
    return heard, house.await_calls(1, event_id=model)[0]


def bodies_of(house: Tidegate, row: dict[str, Any], *parts: str) -> dict[str, Any]:
    """Return the call with these bodies, which come in a moment after its row."""

    def look() -> dict[str, Any] | None:
        detail: dict[str, Any] = house.get(f"/api/calls/{row['call_id']}").json()
        return detail if all(detail[part] for part in parts) else None

    return eventually(look, what="the bodies")


@pytest.mark.parametrize("model", ["beyond", "huge"])
def test_tokens_that_no_call_can_have_are_estimated_instead(house: Tidegate, model: str) -> None:
    heard, row = row_of(house, model)

    assert heard.answered
    assert (row["status"], row["usage_source"]) == ("ok", "estimated")
    assert 0 < row["input_tokens"] + row["output_tokens"] < 1000
    assert 0 < row["cost_nano_usd"] < 10**9


def test_the_most_tokens_that_are_believed_are_billed_exactly(house: Tidegate) -> None:
    heard, row = row_of(house, "most")

    assert heard.answered
    assert (row["input_tokens"], row["output_tokens"]) == (10**12, 10**12)
    assert row["cost_nano_usd"] == 2 * 10**12 * 600_000
    sums = house.get("/api/costs?group_by=model").json()
    (most,) = [one for one in sums["rows"] if one["group"]["model"] == "most"]
    assert most["cost_nano_usd"] == row["cost_nano_usd"]


def test_an_answer_that_is_no_text_passes_and_is_kept_as_it_was(house: Tidegate) -> None:
    heard, row = row_of(house, "garbled")

    assert b"ebb \xff flow" in heard.body
    assert row["http_status"] == 200
    detail = bodies_of(house, row, "answer")
    assert "ebb \N{REPLACEMENT CHARACTER} flow" in detail["answer"]["text"]
    assert detail["answer"]["bytes_kept"] == len(heard.body)


def test_a_refusal_that_is_no_text_is_told_and_recorded(house: Tidegate) -> None:
    heard, row = row_of(house, "cross")

    assert heard.status == 400
    assert (row["status"], row["http_status"]) == ("error", 400)
    assert row["error_message"]


def test_a_request_that_is_no_text_is_the_providers_to_refuse(house: Tidegate) -> None:
    body = question("fake/fine", "ebb flow").replace(b"ebb flow", b"ebb \xff flow")
    headers = {"x-tidegate-event-id": "no-text"}
    reply = house.request("POST", "/v1/chat/completions", body, headers)

    assert reply.status == 400
    assert "this is not UTF-8" in reply.json()["error"]["message"]
    (row,) = house.await_calls(1, event_id="no-text")
    assert (row["status"], row["http_status"]) == ("error", 400)
    assert "ebb \N{REPLACEMENT CHARACTER} flow" in bodies_of(house, row, "request")["request"]["text"]


def test_ten_megabytes_each_way_pass_whole_and_their_beginning_is_kept(house: Tidegate) -> None:
    body = {"model": "fake/long", "messages": [{"role": "user", "content": TEN_MB}]}
    reply = house.request("POST", "/v1/chat/completions", body, {"x-tidegate-event-id": "long"})

    assert reply.json()["choices"][0]["message"]["content"] == TEN_MB
    (row,) = house.await_calls(1, event_id="long")
    assert (row["capture"], row["response_bytes"]) == ("cut", len(reply.body))
    assert row["request_bytes"] == len(msgspec.json.encode(body))
    detail = bodies_of(house, row, "request", "answer")
    for said, size in ((detail["request"], row["request_bytes"]), (detail["answer"], len(reply.body))):
        assert said["bytes_total"] == size
        assert said["bytes_kept"] == 1 << 20


def moment(year: int) -> int:
    return int(datetime(year, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000


def test_calls_of_wrong_clocks_are_found_and_summed_up_under_the_day_they_tell(tmp_path: Path) -> None:
    store = open_folder(tmp_path / "clickhouse")
    migrate(store)
    told = {"1970": 0, "2000": moment(2000), "now": BASE_US, "2099": moment(2099)}
    lost = {"before": -1, "2107": moment(2107), "2400": moment(2400), "nonsense": 2**62}
    clocks = [*told.items(), *lost.items()]
    frames = [settled(n, started_at_us=us, event_id=name) for n, (name, us) in enumerate(clocks)]
    bodies = [Request(payload(n, b"{}", started_at_us=us)) for n, (_, us) in enumerate(clocks)]

    fill(store, tmp_path / "journal", [*frames, *bodies])

    ask, scope = Questions(store), Scope("p1", "prod")
    listed = ask.calls(scope, {}, limit=10, cursor="").calls
    assert [one.event_id for one in listed] == ["2099", "now", "2000", "1970"]
    for number, name in enumerate(told):
        assert ask.call(scope, made(number).call_id).event_id == name
        assert ask.group(scope, "event_id", name, limit=5, cursor="").totals.calls == 1
    assert [check for check in of_ledger(store, "here") if not check.ok] == []
    letters = list((tmp_path / "journal" / "dead").glob("*"))
    assert len(letters) == 2 * len(lost)
    store.close()
