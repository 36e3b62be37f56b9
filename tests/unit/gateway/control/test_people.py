"""People: who may make them what, and what they may do about themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.principal import Principal
from tests.fakes.hub_control import Hub, admin

PASSWORD = "correct horse battery"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    made = Hub(tmp_path)
    yield made
    await made.close()


async def make(hub: Hub, email: str, roles: dict[str, str], **more: Any) -> dict[str, Any]:
    status, made = await hub.ask("POST", "/api/people", {"email": email, "roles": roles, **more})
    assert status == 201, made
    return dict(made)


def session(person: dict[str, Any], project: str) -> Principal:
    """Return what a worker makes of somebody's session."""
    return Principal(key_id=person["id"], owner=person["email"], project=project, scopes=("read",))


async def test_asking_makes_no_database_and_a_password_is_told_nowhere(hub: Hub) -> None:
    assert await hub.ask("GET", "/api/people") == (200, {"people": []})
    assert (await hub.ask("GET", "/api/people/ada@x.example"))[0] == 404
    assert not hub.places.control.exists()
    made = await make(hub, "Ada@X.example", {"shop": "engineer"}, password=PASSWORD)

    assert (made["email"], made["roles"], made["has_password"]) == (
        "ada@x.example",
        {"shop": "engineer"},
        True,
    )
    assert await hub.ask("GET", "/api/people/ADA@x.example") == (200, made)
    told = [await hub.ask("GET", path) for path in ("/api/people", "/api/audit")]
    assert PASSWORD not in str(told)
    assert "argon2" not in str(told)
    assert "$argon2id$" in hub.places.control.with_name("control.sqlite-wal").read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"email": "ada", "roles": {}}, "email"),
        ({"email": "ada@x.example", "roles": {"shop": "owner"}}, "roles"),
        ({"email": "ada@x.example", "roles": {"shop": "service"}}, "roles"),
        ({"email": "ada@x.example", "roles": {"shop": "king"}}, "roles"),
        ({"email": "ada@x.example", "roles": {"shop": "viewer"}, "password": "short"}, "password"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(hub: Hub, body: dict[str, Any], param: str) -> None:
    status, said = await hub.ask("POST", "/api/people", body)

    assert (status, said["error"]["param"]) == (400, param)


async def test_an_address_is_one_person(hub: Hub) -> None:
    await make(hub, "ada@x.example", {"shop": "viewer"})

    status, said = await hub.ask("POST", "/api/people", {"email": "ADA@x.example", "roles": {}})
    assert (status, said["error"]["code"]) == (409, "email_taken")


async def test_an_admin_of_a_project_gives_roles_there_and_touches_nobody_with_more(hub: Hub) -> None:
    await make(hub, "boss@x.example", {"*": "owner"}, password=PASSWORD)
    both = await make(hub, "both@x.example", {"shop": "viewer", "lab": "engineer"})
    mine = await make(hub, "mine@x.example", {"shop": "viewer"})
    shop = admin("shop")

    async def status(method: str, path: str, body: object = None) -> int:
        return (await hub.ask(method, f"/api/people{path}", body, by=shop))[0]

    listed = (await hub.ask("GET", "/api/people", by=shop))[1]["people"]
    assert {one["email"]: one["roles"] for one in listed} == {
        "both@x.example": {"shop": "viewer"},
        "mine@x.example": {"shop": "viewer"},
    }
    assert await status("GET", "/boss@x.example") == 404
    assert await status("PATCH", "/boss@x.example", {"password": PASSWORD}) == 404
    assert await status("PATCH", "/boss@x.example", {"roles": {"*": None}}) == 403
    assert await status("PATCH", f"/{both['id']}", {"password": PASSWORD}) == 403
    assert await status("PATCH", f"/{both['id']}", {"disabled": True}) == 403
    assert await status("PATCH", f"/{both['id']}", {"roles": {"lab": "admin"}}) == 403
    assert await status("PATCH", f"/{both['id']}", {"roles": {"shop": "finance"}}) == 200
    assert await status("PATCH", f"/{mine['id']}", {"disabled": True, "password": PASSWORD}) == 200
    assert await status("POST", "", {"email": "o@x.example", "roles": {"*": "owner"}}) == 403
    assert await status("POST", "", {"email": "o@x.example", "roles": {"shop": "admin"}}) == 201
    after = (await hub.ask("GET", f"/api/people/{both['id']}"))[1]
    assert after["roles"] == {"shop": "finance", "lab": "engineer"}


async def test_each_change_leaves_a_line(hub: Hub) -> None:
    made = await make(hub, "ada@x.example", {"shop": "viewer"}, password=PASSWORD)
    path = f"/api/people/{made['id']}"
    for body in (
        {"roles": {"shop": "engineer"}},
        {"password": f"another {PASSWORD}"},
        {"disabled": True},
        {"disabled": False},
    ):
        assert (await hub.ask("PATCH", path, body))[0] == 200

    lines = (await hub.ask("GET", "/api/audit"))[1]["lines"]
    mine = [line for line in lines if line["target"] == made["id"]]
    assert [line["action"] for line in mine] == [
        "user.enable", "user.disable", "user.password", "user.change", "user.create",
    ]  # fmt: skip
    assert mine[3]["details"] == {"roles": [{"shop": "viewer"}, {"shop": "engineer"}]}
    assert mine[2]["details"] == {"password": "changed"}


async def test_somebody_looks_at_any_project_of_theirs_and_no_other(hub: Hub) -> None:
    made = await make(hub, "ada@x.example", {"shop": "viewer", "lab": "engineer"})
    me = session(made, "lab")

    told = (await hub.ask("GET", "/api/me", by=me))[1]
    assert (told["role"], told["person"]["email"]) == ("engineer", "ada@x.example")
    status, moved = await hub.ask("PATCH", "/api/me", {"project": "shop", "environment": "test"}, by=me)
    assert (status, moved["project"], moved["environment"], moved["role"]) == (200, "shop", "test", "viewer")
    assert (await hub.ask("PATCH", "/api/me", {"project": "bank"}, by=me))[0] == 403
    assert (await hub.ask("PATCH", "/api/me", {"project": "*"}, by=me))[0] == 400


async def test_another_password_needs_the_former_one(hub: Hub) -> None:
    made = await make(hub, "ada@x.example", {"shop": "viewer"}, password=PASSWORD)
    me, new = session(made, "shop"), f"{PASSWORD} staple"

    wrong = {"password": new, "former_password": new}
    assert (await hub.ask("PATCH", "/api/me", wrong, by=me))[1]["error"]["code"] == "wrong_password"
    right = {"password": new, "former_password": PASSWORD}
    assert (await hub.ask("PATCH", "/api/me", right, by=me))[0] == 200


async def test_a_key_is_nobody_and_may_still_ask_what_it_is(hub: Hub) -> None:
    key = Principal(key_id="ci", project="shop", scopes=("call",), team="blue")

    told = (await hub.ask("GET", "/api/me", by=key))[1]
    assert (told["scopes"], told["team"], told["person"]) == (["call"], "blue", None)
    assert (await hub.ask("PATCH", "/api/me", {"project": "lab"}, by=key))[0] == 403
    assert (await hub.ask("GET", "/api/me"))[0] == 403


async def test_a_token_does_no_more_than_its_owner_and_ends_with_the_role(hub: Hub) -> None:
    made = await make(hub, "ada@x.example", {"shop": "engineer", "lab": "viewer"})
    me = session(made, "shop")

    async def make_token(**wanted: Any) -> tuple[int, Any]:
        return await hub.ask("POST", "/api/me/keys", {"name": "mine", **wanted}, by=me)

    assert (await make_token(scopes=["admin"]))[0] == 403
    assert (await make_token(project="lab", scopes=["read"]))[0] == 403
    assert (await make_token(project="bank"))[0] == 403
    status, token = await make_token(project="shop", scopes=["call", "read"])
    assert (status, token["owner"], token["key"][:3]) == (201, "ada@x.example", "tg-")
    kept = (await make_token(project="lab", scopes=["view"]))[1]
    other = (await hub.ask("POST", "/api/keys", {"name": "x", "project": "shop"}))[1]
    mine = (await hub.ask("GET", "/api/me/keys", by=me))[1]["keys"]
    assert {one["id"] for one in mine} == {token["id"], kept["id"]}
    assert (await hub.ask("POST", f"/api/me/keys/{other['id']}/revoke", by=me))[0] == 404

    await hub.ask("PATCH", f"/api/people/{made['id']}", {"roles": {"shop": "finance"}})
    states = {one["id"]: one["state"] for one in (await hub.ask("GET", "/api/me/keys", by=me))[1]["keys"]}
    assert states == {token["id"]: "revoked", kept["id"]: "active"}
    await hub.ask("PATCH", f"/api/people/{made['id']}", {"disabled": True})
    assert (await hub.ask("GET", f"/api/keys/{kept['id']}"))[1]["state"] == "revoked"
    assert (await hub.ask("GET", f"/api/keys/{other['id']}"))[1]["state"] == "active"


async def test_who_signs_in_is_in_no_list_of_keys(hub: Hub) -> None:
    made = await make(hub, "ada@x.example", {"shop": "viewer"})

    assert (await hub.ask("GET", "/api/keys"))[1]["keys"] == []
    for path in ("", "/rotate", "/revoke"):
        method = "POST" if path else "GET"
        assert (await hub.ask(method, f"/api/keys/{made['id']}{path}"))[0] == 404


async def test_the_first_owner_is_made_once(hub: Hub) -> None:
    people = hub.control._people
    await people.make_first_owner("boss@x.example", "short")
    assert (await hub.ask("GET", "/api/people"))[1]["people"] == []
    await people.make_first_owner("boss@x.example", PASSWORD)
    await people.make_first_owner("second@x.example", PASSWORD)

    (only,) = (await hub.ask("GET", "/api/people"))[1]["people"]
    assert (only["email"], only["roles"]) == ("boss@x.example", {"*": "owner"})
