"""What the hub would have answered is answered without one, and there when it comes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from gateway.places import Places
from gateway.processes.hubless import administer
from gateway.settings import Settings
from tests.fakes.hub_control import Hub


async def test_a_key_made_without_a_hub_is_there_when_one_comes(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    status, answer = await in_thread(hub.places, "POST", "/api/keys", b'{"name":"ci"}')
    made = msgspec.json.decode(answer)

    assert (status, made["key"][:3]) == (201, "tg-")
    assert (await hub.ask("GET", f"/api/keys/{made['id']}"))[1]["name"] == "ci"
    assert hub.places.keys.exists()
    await hub.close()


async def test_asking_makes_no_store_and_a_refusal_is_one(tmp_path: Path) -> None:
    places = Places(data=tmp_path / "data", run=tmp_path / "run")

    assert await in_thread(places, "GET", "/api/keys?limit=5", None) == (
        200,
        b'{"keys":[],"next_before":null}',
    )
    assert (await in_thread(places, "POST", "/api/keys", b"{}"))[0] == 400
    assert (await in_thread(places, "GET", "/api/me", None))[0] == 403
    assert not places.control.exists()


async def in_thread(places: Places, method: str, target: str, body: bytes | None) -> tuple[int, bytes]:
    return await asyncio.to_thread(administer, Settings(), places, method, target, body)
