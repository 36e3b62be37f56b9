"""The hub as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, UnixConnector, web

from gateway.link import LinkClient
from gateway.places import Places
from gateway.principal import Principal
from gateway.processes.children import PROGRAMS
from gateway.processes.doors import bind_unix
from gateway.processes.lifeline import Seat, settings_file
from gateway.recollection import RECALL, Asker, Question, Recollection
from gateway.settings import Embedder, Memory, ProviderSettings, Settings
from tests.fakes.waiting import until


async def _models(request: web.Request) -> web.Response:
    assert request.headers["authorization"] == "Bearer sk-test"
    return web.json_response({"object": "list", "data": [{"id": "own-1"}, {"id": "own-2"}]})


@pytest.fixture
async def provider_port() -> AsyncIterator[int]:
    app = web.Application()
    app.add_routes([web.get("/v1/models", _models)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def hub(
    tmp_path: Path, provider_port: int, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Places]]:
    memory = getattr(request, "param", Memory(enabled=False))
    own = ProviderSettings(base_url=f"http://127.0.0.1:{provider_port}/v1", api_key="sk-test")
    places = Places(data=tmp_path, run=tmp_path)
    http, link = bind_unix(places.hub), bind_unix(places.link)
    settings_fd = settings_file(Settings(providers={"own": own}, memory=memory))
    seat = Seat(
        role="hub",
        settings_fd=settings_fd,
        listen_fd=http.fileno(),
        private_fd=link.fileno(),
        data_dir=str(tmp_path),
        run_dir=str(tmp_path),
    )
    process = await asyncio.create_subprocess_exec(
        *PROGRAMS["hub"],
        seat.argument(),
        pass_fds=[settings_fd, http.fileno(), link.fileno()],
        stderr=asyncio.subprocess.PIPE,
    )
    http.close()
    link.close()
    yield process, places
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def test_it_answers_workers_pushes_the_model_lists_and_reports(
    hub: tuple[asyncio.subprocess.Process, Places],
) -> None:
    process, places = hub
    worker = LinkClient(str(places.link))
    heard: list[object] = []
    worker.subscribe("models", heard.append)
    worker.start()
    assert await worker.wait_connected(10)
    assert await worker.call("ping", {"n": 1}, timeout_s=5) == {"n": 1}
    await until(lambda: {"own": ["own-1", "own-2"]} in heard)
    newcomer = LinkClient(str(places.link))
    newcomer.subscribe("models", heard.append)
    newcomer.start()
    await until(lambda: len(heard) == 2)

    async with ClientSession(connector=UnixConnector(path=str(places.hub))) as session:
        async with session.get("http://hub/health") as answer:
            health = msgspec.json.decode(await answer.read())
        assert health["ok"] is True
        assert health["role"] == "hub"
        assert health["workers"] == 2
        assert health["last_success"].startswith("20")
        async with session.get("http://hub/metrics") as answer:
            metrics = await answer.text()
        assert "tidegate_hub_link_workers 2\n" in metrics
        assert "tidegate_hub_listed_providers 1\n" in metrics
        for path in ("nothing", "internal/capture"):
            async with session.get(f"http://hub/{path}") as answer:
                assert answer.status == 404
        async with session.get("http://hub/api/memories?user_id=alice") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "memory_disabled")

    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, log = await process.communicate()
    assert time.monotonic() - began < 1.5
    assert process.returncode == 0
    assert b"Traceback" not in log
    await until(lambda: not worker.connected)
    await worker.close()
    await newcomer.close()


NOWHERE = Memory(embedder=Embedder(base_url="http://127.0.0.1:1/v1", model="none", dimensions=8))


@pytest.mark.parametrize("hub", [NOWHERE], indirect=True)
async def test_it_serves_while_its_memory_opens_and_recalls_by_words_while_the_embedder_is_away(
    hub: tuple[asyncio.subprocess.Process, Places],
) -> None:
    process, places = hub
    worker = LinkClient(str(places.link))
    worker.start()
    assert await worker.wait_connected(10)
    question = Question(asker=Asker(project="p", environment="prod", user_id="alice"), query="my dog Rex")
    principal = msgspec.json.encode(Principal(key_id="k", project="p")).decode()

    async with ClientSession(connector=UnixConnector(path=str(places.hub))) as session:
        opening = time.monotonic() + 20
        while (await health(session))["memory"]["error"]:
            assert time.monotonic() < opening
            assert await worker.call("ping", 1, timeout_s=5) == 1
        told = await worker.call(RECALL, question, timeout_s=5)
        assert msgspec.convert(told, Recollection).status == "empty"
        added = {"text": "my dog is called Rex", "user_id": "alice"}
        headers = {"x-tidegate-principal": principal}
        async with session.post("http://hub/api/memories", json=added, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        told = await worker.call(RECALL, question, timeout_s=5)
        found = msgspec.convert(told, Recollection)
        assert (found.status, found.reason) == ("injected", "embedder_unavailable")
        assert "Rex" in found.block
        async with session.get("http://hub/metrics") as answer:
            assert 'tidegate_memory_recalls_total{status="injected"} 1' in await answer.text()

    process.send_signal(signal.SIGTERM)
    _, log = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in log
    await worker.close()


async def health(session: ClientSession) -> dict[str, Any]:
    async with session.get("http://hub/health") as answer:
        return msgspec.json.decode(await answer.read(), type=dict[str, Any])


async def test_hub_and_supervisor_import_nothing_heavy() -> None:
    code = (
        "import sys, gateway.processes.hub, gateway.processes.supervisor\n"
        "heavy = {'fastapi', 'starlette', 'pydantic', 'chdb', 'pyarrow', 'litellm', 'qdrant_client', 'aiohttp', 'numpy', 'qdrant_edge', 'onnxruntime'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or None)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert said == b""
    assert process.returncode == 0
