"""Budgets over the admin API, over a real file: each change is checked, written, told and in the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.budgets.records import Budget, Closing, Place, Reservation, by_id
from gateway.control.asking import Asked
from gateway.control.budget_accounts import Ask, act
from gateway.control.budget_routes import ROUTES
from gateway.control.budgets import TABLE, Budgets
from gateway.control.keys import Admin
from gateway.control.records_thread import RecordsThread
from gateway.errors import GatewayError
from gateway.principal import Principal, Scope
from tests.fakes.keys import HandClock

HOUSE = Admin("local")
OF_P = Admin("key_p", "p")
FILE = Budget(
    id="from-file", name="from-file", per="project", match="p", project="p", hard_nano_usd=5, window="total"
)
NEW = {
    "name": "ci",
    "per": "key",
    "match": "ci-*",
    "project": "p",
    "hard_usd": "2.50",
    "zone": "Europe/Berlin",
}


class Rig:
    """The routes, and how often workers were told."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.records = RecordsThread(folder / "control.sqlite", "", self.clock)
        self.told = 0
        self.budgets = Budgets(self.records, by_id([FILE]), self._tell, self.clock)

    async def _tell(self) -> None:
        self.told += 1

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        by: Admin = HOUSE,
        scopes: tuple[Scope, ...] = ("owner",),
    ) -> Any:
        """Return the answer as a client gets it; raise GatewayError."""
        self.clock.us += 1_000_000
        root, _, found = path.removeprefix("/api/budgets").partition("/")
        assert root == ""
        wanted = "/api/budgets/{id}" if found else "/api/budgets"
        handler = next(do for one, do in ROUTES.items() if (one.method, one.path) == (method, wanted))
        packed = msgspec.json.encode(body) if body is not None else b""
        who = Principal(key_id="k", scopes=scopes)
        answer = await handler(self.budgets, Asked(by, who, found, {}, packed))
        return msgspec.json.decode(msgspec.json.encode(answer))

    async def actions(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the audit log, oldest first."""
        lines = await self.records.do(lambda store: store.audit("", 0, 100))
        return [(line.action, line.details) for line in reversed(lines)]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.records.close()


async def refusal(rig: Rig, *asked: Any, **more: Any) -> tuple[int, str, str]:
    with pytest.raises(GatewayError) as refused:
        await rig.ask(*asked, **more)
    return refused.value.status, refused.value.code, refused.value.param


async def test_a_budget_is_made_changed_and_ended_and_each_leaves_a_line(rig: Rig) -> None:
    made = await rig.ask("POST", "/api/budgets", NEW)
    assert {name: made[name] for name in NEW} == NEW | {"hard_usd": "2.5"}
    assert made["configured"] is False

    changed = await rig.ask("PATCH", f"/api/budgets/{made['id']}", {"hard_usd": "3", "soft_usd": "1"})
    assert (changed["hard_usd"], changed["soft_usd"], changed["match"]) == ("3", "1", "ci-*")
    assert (await rig.records.query(TABLE.read))[0].hard_nano_usd == 3_000_000_000
    await rig.ask("DELETE", f"/api/budgets/{made['id']}")
    assert await rig.records.query(TABLE.read) == ()

    create, change, delete = await rig.actions()
    assert (create[0], create[1]["hard_nano_usd"]) == ("budget.create", 2_500_000_000)
    assert change == (
        "budget.change",
        {"hard_nano_usd": [2_500_000_000, 3_000_000_000], "soft_nano_usd": [None, 1_000_000_000]},
    )
    assert delete[0] == "budget.delete"
    assert rig.told == 3


async def test_what_is_spent_is_shown_with_the_budget(rig: Rig) -> None:
    made = await rig.ask("POST", "/api/budgets", NEW)
    places = (Place(made["id"], "", "ci-1"), Place("from-file", "", "p"))
    asked: list[Ask] = [
        Reservation("r1", "w", places, 5),
        Closing("r1", None),
        Reservation("r2", "w", places[:1], 3),
    ]
    await rig.records.query(lambda database: act(database, by_id([FILE]), asked, rig.clock.now_us()))

    (account,) = (await rig.ask("GET", f"/api/budgets/{made['id']}"))["accounts"]
    assert account == {
        "project": "",
        "subject": "ci-1",
        "spent_nano_usd": 5,
        "bounded_nano_usd": 5,
        "reserved_nano_usd": 3,
        "ends_at": "2023-11-30T23:00:00Z",
    }
    (shown,) = (await rig.ask("GET", "/api/budgets/from-file"))["accounts"]
    assert (shown["subject"], shown["spent_nano_usd"], shown["ends_at"]) == ("p", 5, None)
    listed = (await rig.ask("GET", "/api/budgets"))["budgets"]
    sums = [(one["spent_nano_usd"], one["bounded_nano_usd"], one["reserved_nano_usd"]) for one in listed]
    assert sums == [(5, 5, 0), (5, 5, 3)]
    weekly = await rig.ask("PATCH", f"/api/budgets/{made['id']}", {"window": "week"})
    assert (weekly["spent_nano_usd"], weekly["ends_at"]) == (0, "2023-11-19T23:00:00Z")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"hard_usd": ""}, "hard_usd"),
        ({"hard_usd": "-1"}, "hard_usd"),
        ({"hard_usd": "1e3"}, "hard_usd"),
        ({"hard_usd": "1.0000000001"}, "hard_usd"),
        ({"soft_usd": "3"}, "soft_usd"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"window": "year"}, "window"),
        ({"per": "planet"}, "per"),
        ({"match": ""}, "match"),
        ({"match": "a\nb"}, "match"),
        ({"name": ""}, "name"),
        ({"max_output_reserve": 0}, "max_output_reserve"),
        ({"webhook": "ftp://x"}, "webhook"),
        ({"amount": 3}, "amount"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_named(rig: Rig, more: dict[str, Any], param: str) -> None:
    status, _, named = await refusal(rig, "POST", "/api/budgets", NEW | more)

    assert (status, named) == (400, param)
    assert not rig.records.there


async def test_a_change_that_makes_no_sense_changes_nothing(rig: Rig) -> None:
    made = await rig.ask("POST", "/api/budgets", NEW)

    assert (await refusal(rig, "PATCH", f"/api/budgets/{made['id']}", {"soft_usd": "9"}))[2] == "soft_usd"
    assert await rig.ask("GET", f"/api/budgets/{made['id']}") == made


async def test_who_administrates_one_project_neither_sees_nor_touches_another_ones(rig: Rig) -> None:
    theirs = await rig.ask("POST", "/api/budgets", NEW | {"project": "q"})
    mine = await rig.ask("POST", "/api/budgets", NEW, by=OF_P)
    path = f"/api/budgets/{theirs['id']}"

    assert [one["id"] for one in (await rig.ask("GET", "/api/budgets", by=OF_P))["budgets"]] == [
        "from-file",
        mine["id"],
    ]
    assert (await refusal(rig, "POST", "/api/budgets", NEW | {"project": ""}, by=OF_P))[0] == 403
    assert (await refusal(rig, "GET", path, by=OF_P))[0] == 404
    assert (await refusal(rig, "PATCH", path, {"hard_usd": "1"}, by=OF_P))[0] == 404
    assert (await refusal(rig, "DELETE", path, by=OF_P))[0] == 404
    assert len((await rig.ask("GET", "/api/budgets"))["budgets"]) == 3


async def test_a_budget_of_the_configuration_is_changed_there(rig: Rig) -> None:
    assert (await rig.ask("GET", "/api/budgets/from-file"))["configured"] is True
    for method, body in (("PATCH", {"hard_usd": "1"}), ("DELETE", None)):
        assert (await refusal(rig, method, "/api/budgets/from-file", body))[:2] == (409, "budget_configured")
    assert (await refusal(rig, "GET", "/api/budgets/nobody"))[:2] == (404, "budget_not_found")


async def test_who_may_only_look_at_sums_is_not_shown_the_webhook(rig: Rig) -> None:
    made = await rig.ask("POST", "/api/budgets", {**NEW, "webhook": "https://hooks.example/secret"})
    looks: dict[Scope, str] = {"admin": "https://hooks.example/secret", "costs": "", "read": ""}
    for scope, seen in looks.items():
        one = await rig.ask("GET", f"/api/budgets/{made['id']}", scopes=(scope,))
        (*_, last) = (await rig.ask("GET", "/api/budgets", scopes=(scope,)))["budgets"]
        assert (one["webhook"], last["webhook"]) == (seen, seen)
