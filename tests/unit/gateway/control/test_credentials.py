"""Keys of providers: in they go, sealed; out they come only in the workers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.control.credentials import sealed_credentials
from gateway.credential_feed import opened
from gateway.master_key import master_key
from gateway.settings import ProviderSettings
from tests.fakes.hub_control import Hub, admin

SECRET = "sk-canary-0123456789abcdef"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    made = Hub(tmp_path)
    yield made
    await made.close()


async def told(hub: Hub) -> dict[str, str]:
    """Return what the workers are told."""
    return dict(await hub.control._records.query(sealed_credentials))


async def put(hub: Hub, secret: str = SECRET, provider: str = "openai", **more: Any) -> tuple[int, Any]:
    return await hub.ask("PUT", f"/api/credentials/{provider}", {"secret": secret}, **more)


def keys(hub: Hub, sealed: dict[str, str]) -> dict[str, str]:
    """Return what a worker makes of it."""
    known = {"openai": ProviderSettings(base_url="https://x.example", api_key="from the file")}
    found = opened(sealed, known, lambda: master_key(hub.places.secrets, {}))
    assert found["openai"].base_url == "https://x.example"
    return {name: one.api_key for name, one in found.items()}


async def test_what_is_set_reaches_workers_and_nobody_else(hub: Hub) -> None:
    assert await hub.ask("GET", "/api/credentials") == (200, {"credentials": []})
    answers = [
        await put(hub),
        await put(hub, f"{SECRET}2", "anthropic"),
        await hub.ask("GET", "/api/credentials"),
        await hub.ask("GET", "/api/audit"),
    ]

    assert keys(hub, await told(hub)) == {"openai": SECRET, "anthropic": f"{SECRET}2"}
    assert SECRET not in str(answers)
    assert SECRET not in str(await told(hub))
    contents = {path.name: path.read_bytes() for path in hub.places.data.rglob("*") if path.is_file()}
    assert {"control.sqlite", "master-key", "credentials.msgpack"} <= contents.keys()
    assert [name for name, content in contents.items() if SECRET.encode() in content] == []
    assert (hub.places.secrets / "master-key").stat().st_mode & 0o077 == 0


async def test_a_fingerprint_tells_one_key_from_another_and_a_change_leaves_a_line(hub: Hub) -> None:
    first, again, other = [(await put(hub, secret))[1] for secret in (SECRET, SECRET, f"{SECRET}2")]

    assert first["fingerprint"] == again["fingerprint"] != other["fingerprint"]
    assert (await hub.ask("DELETE", "/api/credentials/openai"))[0] == 200
    assert (await hub.ask("DELETE", "/api/credentials/openai"))[0] == 404
    assert keys(hub, await told(hub)) == {"openai": "from the file"}
    lines = (await hub.ask("GET", "/api/audit"))[1]["lines"]
    assert [line["action"] for line in lines] == ["credential.delete", *["credential.set"] * 3]


async def test_only_owners_touch_them_and_only_for_providers_there_are(hub: Hub) -> None:
    assert (await put(hub, by=admin("shop")))[0] == 403
    assert (await hub.ask("GET", "/api/credentials", by=admin("shop")))[0] == 403
    assert (await put(hub, by=admin("shop", "owner")))[0] == 200
    for provider, secret, param in (
        ("nobody", SECRET, "id"),
        ("openai", "a\nb", "secret"),
        ("openai", "", "secret"),
    ):
        status, said = await put(hub, secret, provider)
        assert (status, said["error"]["param"]) == (400, param)
        assert SECRET not in str(said)


async def test_another_master_key_opens_nothing_until_they_are_sealed_anew(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    await put(hub)
    await put(hub, provider="anthropic")
    file = hub.places.secrets / "master-key"
    former = file.read_text().strip()
    file.write_text("ab" * 32)
    with caplog.at_level(logging.WARNING):
        assert keys(hub, await told(hub)) == {"openai": "from the file"}
    assert {record.message for record in caplog.records} == {"credential_refused"}
    before = await told(hub)
    wrong = {"former": "cd" * 32}
    assert (await hub.ask("POST", "/api/credentials/reseal", wrong))[0] == 400
    assert (await hub.ask("POST", "/api/credentials/reseal", {"former": "short"}))[0] == 400
    assert await told(hub) == before

    asked = {"former": former}
    assert await hub.ask("POST", "/api/credentials/reseal", asked) == (200, {"resealed": 2})
    assert await hub.ask("POST", "/api/credentials/reseal", asked) == (200, {"resealed": 0})
    assert keys(hub, await told(hub)) == {"openai": SECRET, "anthropic": SECRET}


async def test_a_sealed_key_cannot_be_moved_to_another_provider(hub: Hub) -> None:
    await put(hub)
    sealed = (await told(hub))["openai"]

    assert keys(hub, {"anthropic": sealed}) == {"openai": "from the file"}


async def test_without_a_master_key_nothing_is_taken(hub: Hub) -> None:
    hub.places.secrets.mkdir(parents=True)
    (hub.places.secrets / "master-key").write_text("none")
    (hub.places.secrets / "master-key").chmod(0o600)

    status, said = await put(hub)
    assert (status, said["error"]["code"]) == (503, "no_master_key")
