"""A declared state: all of it or nothing, every mistake at once, and no line too many in the audit log."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.principal import Principal
from gateway.settings import Budget, Control, Limit, Settings
from tests.fakes.hub_control import Hub, admin

HASH = hashlib.sha256(b"x").hexdigest()


@pytest.fixture
async def hub(tmp_path: Path, control_url: str) -> AsyncIterator[Hub]:
    settings = Settings(
        control=Control(url=control_url),
        limits={"file": Limit(rpm=1)},
        budgets={"file": Budget(hard_usd="1")},
    )
    made = Hub(tmp_path, settings)
    yield made
    await made.close()


async def apply(hub: Hub, by: Principal | None = None, **more: Any) -> dict[str, Any]:
    wanted = {name: value for name, value in more.items() if name not in ("prune", "dry_run")}
    flags = {name: value for name, value in more.items() if name in ("prune", "dry_run")}
    status, answer = await hub.ask("POST", "/api/apply", {"wanted": wanted, **flags}, by=by)
    return dict(answer) | {"status": status}


def actions(answer: dict[str, Any]) -> list[str]:
    return [f"{change['action']} {change['name']}" for change in answer["changes"]]


async def lines(hub: Hub) -> list[dict[str, Any]]:
    return list((await hub.ask("GET", "/api/audit?limit=1000"))[1]["lines"])


async def test_all_is_written_at_once_and_a_second_time_nothing(hub: Hub) -> None:
    declared: dict[str, Any] = {
        "users": {
            "Ada@x.example": {"roles": {"red": "admin"}},
            "off@x.example": {"roles": {}, "disabled": True},
        },
        "teams": [{"name": "t", "project": "red", "members": ["Ada@x.example"]}],
        "keys": [{"name": "ci"}, {"name": "ci", "project": "red", "hash": HASH.upper()}],
        "limits": {"each": {"per": ["key"], "rpm": 5}},
        "budgets": {"b": {"hard_usd": "2.50"}},
        "credentials": {"openai": {"secret": "sk-canary"}},
    }
    done = await apply(hub, **declared)
    assert done["status"] == 200, done
    assert actions(done) == [
        "user.create Ada@x.example",
        "project.create Ada@x.example",
        "environment.create Ada@x.example",
        "user.create off@x.example",
        "project.create off@x.example",
        "environment.create off@x.example",
        "user.disable off@x.example",
        "team.create t",
        "key.create ci",
        "key.create ci",
        "limit.create each",
        "budget.create b",
        "credential.set openai",
    ]
    assert [(key["project"], bool(key["key"])) for key in done["issued"]] == [
        ("default", True),
        ("red", False),
    ]
    assert (await apply(hub, **declared, prune=True))["changes"] == []
    logged = await lines(hub)
    assert [line["action"] for line in reversed(logged)] == [one["action"] for one in done["changes"]]
    assert "sk-canary" not in str(logged) + str(done)


async def test_one_mistake_and_nothing_is_written_and_all_mistakes_are_told(hub: Hub) -> None:
    declared: dict[str, Any] = {
        "projects": {"red": {}},
        "users": {"ada@x.example": {"roles": {"red": "owner"}}},
        "teams": [{"name": "t", "members": ["nobody@x.example"]}],
        "keys": [{"name": "a"}, {"name": "a"}, {"name": "b", "hash": "tg-itself"}],
        "limits": {"each": {"rpm": -1}, "fine": {"rpm": 1}},
        "credentials": {"nobody": {"secret": "sk-1"}},
    }
    would = await apply(hub, **declared, dry_run=True)
    assert would["status"] == 200
    assert [tuple(fault["path"]) for fault in would["faults"]] == [
        ("users", "ada@x.example", "roles"),
        ("teams", "0", "members"),
        ("keys", "1"),
        ("keys", "2", "hash"),
        ("limits", "each", "rpm"),
        ("credentials", "nobody"),
    ]
    done = await apply(hub, **declared)
    assert (done["status"], done["error"]["code"], done["error"]["param"]) == (
        400, "not_applied", "users.ada@x.example.roles",
    )  # fmt: skip
    assert "and 5 more" in done["error"]["message"]
    assert "tg-itself" not in str(would) + str(done)
    assert await lines(hub) == []
    assert (await hub.ask("GET", "/api/projects"))[1] == {"projects": []}
    assert (await hub.ask("GET", "/api/limits"))[1]["limits"][0]["id"] == "config:file"


async def test_a_dry_run_says_what_would_be_done_tells_no_secret_and_does_nothing(hub: Hub) -> None:
    would = await apply(hub, keys=[{"name": "ci"}], limits={"l": {"rpm": 1}}, dry_run=True)

    assert "key.create ci" in actions(would)
    assert "limit.create l" in actions(would)
    assert would["issued"] == []
    assert await lines(hub) == []
    assert (await hub.ask("GET", "/api/keys"))[1]["keys"] == []


async def test_a_difference_is_a_change_and_what_cannot_change_is_made_anew(hub: Hub) -> None:
    await apply(hub, limits={"l": {"rpm": 1}, "m": {"rpm": 1}}, budgets={"b": {"hard_usd": "1"}})
    done = await apply(
        hub,
        limits={"l": {"rpm": 1, "tpm": 9}, "m": {"rpm": 1, "per": ["key"]}},
        budgets={"b": {"hard_usd": "1", "match": "x*"}},
    )
    assert actions(done) == [
        "limit.change l", "limit.delete m", "limit.create m", "budget.delete b", "budget.create b",
    ]  # fmt: skip
    assert done["changes"][0]["details"] == {"tpm": [0, 9]}


async def test_a_key_stays_in_its_environment_and_gets_another_secret_by_its_hash(hub: Hub) -> None:
    await apply(hub, keys=[{"name": "ci"}])
    moved = await apply(hub, keys=[{"name": "ci", "environment": "test"}], dry_run=True)
    assert moved["faults"][0]["path"] == ["keys", "0", "environment"]
    assert actions(await apply(hub, keys=[{"name": "ci", "hash": HASH}])) == ["key.rotate ci"]
    taken = await apply(hub, keys=[{"name": "other", "hash": HASH}], dry_run=True)
    assert [fault["code"] for fault in taken["faults"]] == ["key_exists"]


async def test_a_key_that_has_expired_meanwhile_is_still_as_declared(hub: Hub) -> None:
    declared = [{"name": "ci", "expires_at": "2023-11-15T00:00:00Z"}]
    assert (await apply(hub, keys=declared))["status"] == 200
    hub.clock.us += 30 * 24 * 3600 * 1_000_000

    assert (await apply(hub, keys=declared))["changes"] == []


async def test_a_name_that_several_have_is_not_guessed_at(hub: Hub) -> None:
    for _ in range(2):
        await hub.ask("POST", "/api/keys", {"name": "ci"})

    (fault,) = (await apply(hub, keys=[{"name": "ci"}], dry_run=True))["faults"]
    assert (fault["code"], fault["path"]) == ("ambiguous_name", ["keys", "0"])


async def test_pruning_ends_what_given_sections_do_not_name_and_nothing_else(hub: Hub) -> None:
    await apply(
        hub,
        projects={"red": {}},
        users={"ada@x.example": {"roles": {"red": "viewer"}}},
        teams=[{"name": "t"}],
        keys=[{"name": "kept"}, {"name": "gone"}],
        limits={"l": {"rpm": 1}},
        budgets={"b": {"hard_usd": "1"}},
        credentials={"openai": {"secret": "sk-1"}},
    )
    assert actions(await apply(hub, keys=[{"name": "kept"}], prune=True)) == ["key.revoke gone"]
    rest = await apply(
        hub, users={}, teams=[], limits={}, budgets={}, credentials={}, projects={}, prune=True
    )
    assert actions(rest) == [
        "limit.delete l", "budget.delete b", "team.delete t", "user.disable ada@x.example",
        "credential.delete openai",
    ]  # fmt: skip
    again = await apply(hub, users={}, teams=[], limits={}, budgets={}, credentials={}, prune=True)
    assert again["changes"] == []
    assert {one["id"] for one in (await hub.ask("GET", "/api/projects"))[1]["projects"]} >= {"red"}


async def test_nobody_prunes_the_key_they_ask_with_or_themselves(hub: Hub) -> None:
    done = await apply(hub, keys=[{"name": "mine", "scopes": ["owner", "admin"]}])
    mine = Principal(key_id=done["issued"][0]["id"], scopes=("owner", "admin"))
    refused = await apply(hub, mine, keys=[], prune=True)
    assert (refused["status"], "this key asks" in refused["error"]["message"]) == (400, True)
    await apply(hub, users={"ada@x.example": {"roles": {"*": "owner"}}})
    ada = Principal(key_id="person_1", owner="ada@x.example", scopes=("owner", "admin"))
    assert "this is you" in (await apply(hub, ada, users={}, prune=True))["error"]["message"]


async def test_who_administrates_one_project_declares_and_prunes_there_only(hub: Hub) -> None:
    await apply(
        hub,
        keys=[{"name": "a", "project": "blue"}, {"name": "b", "project": "red"}],
        users={"both@x.example": {"roles": {"red": "viewer", "blue": "viewer"}}},
        teams=[{"name": "t", "project": "blue"}],
        limits={"l": {"rpm": 1, "project": "blue"}},
        credentials={"openai": {"secret": "sk-1"}},
    )
    red = admin("red")
    foreign: tuple[dict[str, Any], ...] = (
        {"keys": [{"name": "x", "project": "blue"}]},
        {"limits": {"x": {"rpm": 1}}},
        {"budgets": {"x": {"hard_usd": "1", "project": "blue"}}},
        {"projects": {"blue": {}}},
        {"credentials": {"openai": {"secret": "sk-2"}}},
        {"credentials": {}, "prune": True},
    )
    for section in foreign:
        (fault,) = (await apply(hub, red, **section, dry_run=True))["faults"]
        assert fault["code"] in ("permission_denied", "forbidden"), fault

    done = await apply(hub, red, keys=[], users={}, teams=[], limits={}, prune=True)
    assert actions(done) == ["key.revoke b", "user.change both@x.example"]
    both = (await hub.ask("GET", "/api/people/both@x.example"))[1]
    assert (both["roles"], both["disabled_at"]) == ({"blue": "viewer"}, None)


async def test_a_name_that_is_left_out_stays_and_a_user_of_elsewhere_gets_a_role_here(hub: Hub) -> None:
    await apply(hub, users={"ada@x.example": {"roles": {"blue": "viewer"}, "name": "Ada"}})
    done = await apply(hub, admin("red"), users={"ada@x.example": {"roles": {"red": "engineer"}}})
    assert actions(done)[0] == "user.change ada@x.example"
    ada = (await hub.ask("GET", "/api/people/ada@x.example"))[1]
    assert (ada["name"], ada["roles"]) == ("Ada", {"blue": "viewer", "red": "engineer"})
    gone = await apply(hub, admin("red"), users={"ada@x.example": {"roles": {}}})
    assert gone["changes"][0]["details"]["roles"] == [ada["roles"], {"blue": "viewer"}]


async def test_workers_are_told_of_all_of_it(hub: Hub) -> None:
    await apply(hub, keys=[{"name": "ci"}], limits={"l": {"rpm": 1}})

    assert hub.places.keys.exists()
    assert b"rpm" in (hub.places.rules / "limits.msgpack").read_bytes()


async def test_it_takes_an_admin_and_a_body_that_fits(hub: Hub) -> None:
    assert (await apply(hub, Principal(key_id="k", scopes=("call", "read", "write")), limits={}))[
        "status"
    ] == 403
    status, answer = await hub.ask("POST", "/api/apply", {"wanted": {"limit": {}}})
    assert (status, "unknown field" in answer["error"]["message"]) == (400, True)
