"""Codex, unchanged, at work through the gateway: it is told to run a command, and what came of it comes back."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config import environment
from tests.fakes.provider import Provider, Received, Script, refusal, sse
from tests.fakes.responses import USAGE, event, message
from tests.fakes.tidegate import Tidegate

COMMAND = "echo high-tide > out.txt; cat out.txt"


def model(request: Received) -> Script:
    """Have a command run, then say what it printed."""
    if request.method != "POST":
        return refusal(404)
    asked = request.json()
    outputs = [item for item in asked["input"] if item.get("type") == "function_call_output"]
    item: dict[str, Any]
    if outputs:
        seen = "high-tide" in msgspec.json.encode(outputs).decode()
        item = message("The tide is high." if seen else "I cannot see the tide.")
    else:
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "exec_command"}
        item = {**call, "status": "completed", "arguments": msgspec.json.encode({"cmd": COMMAND}).decode()}
    whole = {
        "id": f"resp_{len(outputs)}",
        "object": "response",
        "model": "m",
        "output": [item],
        "usage": USAGE,
    }
    return sse(
        [
            event("response.created", 0, response={**whole, "status": "in_progress", "output": []}),
            event("response.output_item.added", 1, output_index=0, item=item),
            event("response.output_item.done", 2, output_index=0, item=item),
            event("response.completed", 3, response={**whole, "status": "completed"}),
        ]
    )


@pytest.mark.e2e
def test_codex_works_its_tool_loop_through_the_gateway(tmp_path: Path, node_modules: Path) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    with Provider(model).in_thread() as provider:
        settings = {"one": {"base_url": f"{provider.base_url}/v1", "api_key": "sk-one"}}
        with Tidegate(tmp_path / "house", {"providers": settings}) as house:
            place = f'{{name="tide",base_url="{house.url}/v1",env_key="TIDE_KEY",wire_api="responses"}}'
            command: list[str | Path] = [node_modules / "node_modules/.bin/codex", "exec"]
            command += ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", "one/m"]
            command += ["-c", "model_provider=tide", "-c", f"model_providers.tide={place}"]
            env = {**environment(), "HOME": str(home), "CODEX_HOME": str(home), "TIDE_KEY": "mine"}
            done = subprocess.run(
                [*command, "How high is the tide?"],
                cwd=work,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            calls = house.await_calls(2)

    assert done.stdout.strip() == "The tide is high.", done.stdout + done.stderr
    assert (work / "out.txt").read_text() == "high-tide\n"
    assert [(c["surface"], c["status"], c["usage_source"]) for c in calls] == [
        ("openai.responses", "ok", "provider")
    ] * 2
    asked = [request for request in provider.requests if request.method == "POST"]
    assert {request.headers["authorization"] for request in asked} == {"Bearer sk-one"}
