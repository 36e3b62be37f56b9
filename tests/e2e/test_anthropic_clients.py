"""Clients of Anthropic's API, unchanged, before an upstream that plays Anthropic."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import environment
from tests.e2e.conftest import run_well
from tests.e2e.upstream import model
from tests.fakes import anthropic as fake
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Tidegate

pytestmark = pytest.mark.e2e

NOTE = "high water at noon"
CLAUDE = (
    "node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs"  # what stands in .bin needs an install script
)


def script(request: Received) -> Script:
    """Play Anthropic: an agent that can read files is told to read the note, once."""
    if request.path.partition("?")[0] != "/v1/messages":
        return model(request)
    tools = [tool["name"] for tool in request.json().get("tools") or []]
    if "Read" not in tools:
        return model(request)
    if NOTE.encode() in request.body:
        return fake.stream(fake.events(fake.text(f"It says: {NOTE}.")))
    asked = re.search(rb"What does (/[^ ]+) say", request.body)
    assert asked is not None
    return fake.stream(fake.events(fake.text("Reading."), fake.tool_use("Read", file_path=asked[1].decode())))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with Provider(script).in_thread() as provider:
        yield provider


@pytest.fixture(scope="module")
def gate(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    providers = {"anthropic": {"base_url": upstream.base_url, "api_key": "of-the-house"}}
    config = {"providers": providers, "memory": {"enabled": False}}
    with Tidegate(tmp_path_factory.mktemp("e2e-anthropic"), config) as house:
        yield house


@pytest.mark.parametrize("what", ["sdk", "langchain", "pydantic_ai"])
def test_python_clients_work(gate: Tidegate, client_python: Path, what: str) -> None:
    run_well([client_python, "anthropic_python.py", gate.url, what, fake.MODEL])


def test_anthropic_node_works(gate: Tidegate, node_modules: Path) -> None:
    run_well(["node", node_modules / "anthropic_node.mjs", gate.url, fake.MODEL])


def test_claude_code_reads_a_file_and_says_what_it_costs(
    gate: Tidegate, node_modules: Path, tmp_path: Path, upstream: Provider
) -> None:
    (tmp_path / "note.txt").write_text(NOTE)
    settings = {
        "PATH": environment()["PATH"],
        "HOME": str(tmp_path),
        "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ANTHROPIC_BASE_URL": gate.url,
        "ANTHROPIC_AUTH_TOKEN": "tg-of-a-test",
        "ANTHROPIC_CUSTOM_HEADERS": "x-tidegate-event-id: claude-code",
    }
    command: list[str | Path] = ["node", node_modules / CLAUDE, "-p", f"What does {tmp_path}/note.txt say?"]
    command += ["--model", fake.MODEL, "--allowedTools", "Read"]

    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout.strip() == f"It says: {NOTE}.", done.stdout + done.stderr
    calls = gate.await_calls(2, event_id="claude-code")
    assert {call["finish_reason"] for call in calls} == {"tool_use", "end_turn"}
    assert len({call["thread_id"] for call in calls}) == 1
    assert all(call["status"] == "ok" and call["stream"] for call in calls)
    sent = upstream.requests[-1]
    assert sent.path == "/v1/messages?beta=true"
    assert "claude-code" in sent.headers["anthropic-beta"]
    assert not any(name.startswith("x-tidegate") or name == "authorization" for name in sent.headers)
