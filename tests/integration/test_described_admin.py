"""Whatever the description of the administration allows, and much that it does not: no 5xx, and no secret is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway import people_calls as calls
from gateway.principal import SCOPES, Principal
from gateway.settings import Control, Settings
from tests.fakes.described import check_described, requests
from tests.fakes.hub_control import Hub, admin

PASSWORD = "canary-password-0123456789"
CREDENTIAL = "sk-canary-credential-0123456789"
EXAMPLES = (2, pytest.param(8, marks=pytest.mark.slow))
"""Of each operation, as many again of what it does not allow."""


@pytest.fixture
async def hub(tmp_path: Path, control_url: str) -> AsyncIterator[Hub]:
    made = Hub(tmp_path, Settings(control=Control(url=control_url)))
    yield made
    await made.close()


async def settle(hub: Hub) -> tuple[list[str], list[str], str]:
    """Keep some secrets; return them, ids of what they belong to, and the id of somebody."""
    wanted = {"email": "ada@x.example", "roles": {"shop": "admin"}, "password": PASSWORD}
    _, ada = await hub.ask("POST", "/api/people", wanted)
    _, key = await hub.ask("POST", "/api/keys", {"name": "canary", "project": "shop"})
    await hub.ask("PUT", "/api/credentials/openai", {"secret": CREDENTIAL})
    await hub.ask("POST", "/api/teams", {"name": "blue", "project": "shop"})
    ticket: Any = await hub.call(calls.SIGN_IN, calls.Login("ada@x.example", PASSWORD, "10.0.0.1"))
    master = (hub.places.secrets / "master-key").read_text().strip()
    secrets = [PASSWORD, CREDENTIAL, key["key"], ticket["token"], master, "$argon2"]
    return secrets, [key["id"], ada["id"], "ada@x.example", "openai", "blue"], ada["id"]


@pytest.mark.parametrize("examples", EXAMPLES)
async def test_no_answer_is_a_5xx_or_holds_a_secret(
    hub: Hub, caplog: pytest.LogCaptureFixture, examples: int
) -> None:
    secrets, ids, person = await settle(hub)
    document = (await hub.ask("GET", "/api/admin/openapi.json"))[1]
    askers = [
        None,
        Principal(key_id="boss", scopes=SCOPES),
        admin("shop"),
        Principal(key_id=person, owner="ada@x.example", project="shop", scopes=("read", "admin")),
        Principal(key_id="ci", scopes=("call",)),
    ]
    seen: set[int] = set()
    with caplog.at_level(logging.DEBUG):
        for number, request in enumerate(requests(document, examples=examples, ids=ids)):
            by = askers[number % len(askers)]
            method, target, body = request.method, request.target, request.body
            status, answer = await hub.ask(method, target, body, by=by)
            assert status < 500, (request, answer)
            told = str(answer)
            assert [one[:12] for one in secrets if one in told and one not in target] == [], request
            if urlsplit(target).path != "/api/admin/openapi.json" and status != 405:
                check_described(document, request, status, answer)
            seen.add(status)
    assert seen >= {200, 201, 400, 403, 404}
    said = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert [one[:12] for one in secrets if one in said] == []
