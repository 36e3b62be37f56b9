"""Clients, unchanged, each before a provider of another API, which its own model's name is a route to."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.config import environment
from tests.e2e.conftest import run_well
from tests.e2e.test_anthropic_clients import CLAUDE
from tests.e2e.test_frameworks import (
    CHAT,
    FROM_NODE,
    FROM_PYTHON,
    GENERATE,
    LANGCHAIN_SKIPS,
    LLMS,
    MESSAGES,
    OFFLINE,
    RESPONSES,
    Expected,
    run_langchain,
    run_llm,
)
from tests.e2e.upstream import model, played
from tests.fakes import anthropic as anthropic_fake
from tests.fakes import gemini as gemini_fake
from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Tidegate

pytestmark = pytest.mark.e2e

KEY = "of-the-house"
GPTS, CLAUDES, GEMINIS = (
    ("gpt-4o-mini", "gpt-4o"),
    ("claude-sonnet-4-6", "claude-opus-4-1"),
    ("gemini-2.5-flash",),
)
GPT, SONNET, FLASH = f"openai/{GPTS[0]}", f"anthropic/{CLAUDES[0]}", f"gemini/{GEMINIS[0]}"
NOVA = "bedrock/amazon.nova-pro-v1:0"
ON_BEDROCK = "bedrock/anthropic.claude-sonnet-4-6-v1:0"
COMPATIBLE = "harbour/llama-4"
WAYS: Mapping[str, tuple[str, str, str]] = {
    "claude-gemini-gpt": (SONNET, FLASH, GPT),
    "gemini-gpt-claude": (FLASH, GPT, SONNET),
    "bedrock-compatible-bedrock": (ON_BEDROCK, COMPATIBLE, NOVA),
}
"""Who answers instead of GPT, of Claude, of Gemini."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with Provider(model).in_thread() as provider:
        yield provider


def config_of(upstream: Provider, way: tuple[str, str, str]) -> dict[str, object]:
    """Every name of a model is a route to another provider's."""
    places = {"openai": "/v1", "anthropic": "", "gemini": "", "bedrock": ""}
    providers = {
        name: {"base_url": f"{upstream.base_url}{path}", "api_key": KEY} for name, path in places.items()
    }
    providers["harbour"] = {"base_url": f"{upstream.base_url}/v1", "api_key": KEY}
    instead = zip((GPTS, CLAUDES, GEMINIS), way, strict=True)
    routes = {
        name: {"deployments": [{"model": target}], "drop_unsupported": True}
        for names, target in instead
        for name in names
    }
    return {"providers": providers, "routes": routes}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    return WAYS[request.param]


@pytest.fixture(scope="module")
def gate(
    upstream: Provider, tmp_path_factory: pytest.TempPathFactory, way: tuple[str, str, str]
) -> Iterator[Tidegate]:
    with Tidegate(tmp_path_factory.mktemp("e2e-across"), config_of(upstream, way)) as house:
        yield house


def look_up(gate: Tidegate, event: str, expected: Expected) -> None:
    """Find every call of an event in the ledger, counted by whoever answered."""
    wanted = {(surface, "ok"): ok for surface, (ok, _) in expected.items()}
    wanted |= {(surface, "error"): failed for surface, (_, failed) in expected.items() if failed}
    calls = gate.await_calls(sum(wanted.values()), event_id=event)
    assert Counter((call["surface"], call["status"]) for call in calls) == wanted
    for call in calls:
        if call["surface"] in (CHAT, RESPONSES, MESSAGES, GENERATE):
            assert call["status"] == "error" or call["usage_source"] == "provider"


@pytest.mark.parametrize("name", FROM_PYTHON)
def test_python_clients_work(gate: Tidegate, client_python: Path, name: str) -> None:
    run_well([client_python, f"{name}_python.py", gate.url, name], OFFLINE)

    look_up(gate, name, FROM_PYTHON[name])


@pytest.mark.parametrize("name", FROM_NODE)
def test_node_clients_work(gate: Tidegate, node_modules: Path, name: str) -> None:
    run_well(["node", node_modules / f"{name}_node.mjs", gate.url, f"{name}-node"])

    look_up(gate, f"{name}-node", FROM_NODE[name])


def test_openais_python_client_works(gate: Tidegate, client_python: Path) -> None:
    what = "chat,stream,tools,structured,kept_here,response_tools,refused"
    run_well([client_python, "openai_python.py", f"{gate.url}/v1", what, GPTS[0]])


def test_openais_node_client_works(gate: Tidegate, node_modules: Path) -> None:
    what = "chat,stream,structured,refused"
    run_well(["node", node_modules / "openai_node.mjs", f"{gate.url}/v1", what, GPTS[0]])


@pytest.mark.parametrize("what", ["sdk", "langchain", "pydantic_ai"])
def test_anthropics_python_client_works(gate: Tidegate, client_python: Path, what: str) -> None:
    run_well([client_python, "anthropic_python.py", gate.url, what, CLAUDES[0]])


def test_anthropics_node_client_works(gate: Tidegate, node_modules: Path) -> None:
    run_well(["node", node_modules / "anthropic_node.mjs", gate.url, CLAUDES[0]])


def test_langchain_passes_its_own_suite(
    gate: Tidegate, client_python: Path, tmp_path: Path, way: tuple[str, str, str]
) -> None:
    answering = way[0].partition("/")[0]
    count, skipped = run_langchain(gate, client_python, tmp_path, TIDE_ACROSS=answering)

    more = {case for case in skipped - set(LANGCHAIN_SKIPS) if not case.endswith("with_model_override")}
    assert {case.partition(".")[2] for case in more} == (
        set() if answering == "gemini" else {"test_json_mode"}
    )
    assert count > 140


@pytest.mark.parametrize("name", LLMS)
def test_llm_works(gate: Tidegate, llm_python: Path, tmp_path: Path, name: str) -> None:
    run_llm(gate, llm_python, tmp_path, name)

    look_up(gate, f"llm-{name}", {LLMS[name]: (5, 1)})


# --- agents ----------------------------------------------------------------------------------------

NOTE = "high water at noon"


def agent(request: Received) -> Script:
    """Have an agent look into the note with its own tool, then say what it found."""
    if request.method != "POST" or not re.search(rb'"(?:Read|exec_command)"', request.body):
        return model(request)
    if NOTE.encode() in request.body:
        return _told(request, f"It says: {NOTE}.")
    asked = re.search(rb"What does (/[^ ]+) say", request.body)
    assert asked is not None
    path = asked[1].decode()
    if b'"Read"' in request.body:
        return _told(request, tool="Read", file_path=path)
    return _told(request, tool="exec_command", cmd=f"cat {path}")


def _told(request: Received, text: str = "", tool: str = "", **arguments: str) -> Script:
    """Stream words or a call in the format of whoever is asked."""
    if request.path.startswith("/v1/messages"):
        block = anthropic_fake.tool_use(tool, **arguments) if tool else anthropic_fake.text(text)
        return anthropic_fake.stream(anthropic_fake.events(block))
    if ":stream" in request.path:
        call = {"functionCall": {"name": tool, "args": arguments}}
        said = gemini_fake.response([call if tool else {"text": text}], "STOP")
        return gemini_fake.stream([said], request.path)
    calls = [{"name": tool, "arguments": arguments}] if tool else None
    return played(request, {"tool_calls": calls} if calls else {"text": text})


@pytest.fixture(scope="module")
def agents_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tidegate, Provider]]:
    with Provider(agent).in_thread() as upstream:
        config = config_of(upstream, WAYS["claude-gemini-gpt"])
        routes: dict[str, object] = {
            f"by-{target.partition('/')[0]}": {
                "deployments": [{"model": target}],
                "drop_unsupported": True,
            }
            for target in (GPT, SONNET, FLASH, COMPATIBLE)
        }
        folder = tmp_path_factory.mktemp("e2e-agents")
        with Tidegate(folder, {**config, "routes": routes}) as house:
            yield house, upstream


def _run(command: list[str | Path], folder: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["by-openai", "by-gemini", "by-harbour"])
def test_claude_code_reads_a_file_with_a_model_that_is_no_claude(
    agents_gate: tuple[Tidegate, Provider], node_modules: Path, tmp_path: Path, name: str
) -> None:
    gate, _ = agents_gate
    (tmp_path / "note.txt").write_text(NOTE)
    env = {
        "PATH": environment()["PATH"],
        "HOME": str(tmp_path),
        "CLAUDE_CONFIG_DIR": str(tmp_path / "claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ANTHROPIC_BASE_URL": gate.url,
        "ANTHROPIC_AUTH_TOKEN": "tg-of-a-test",
        "ANTHROPIC_CUSTOM_HEADERS": f"x-tidegate-event-id: claude-code-{name}",
    }
    command: list[str | Path] = ["node", node_modules / CLAUDE, "-p", f"What does {tmp_path}/note.txt say?"]

    said = _run([*command, "--model", name, "--allowedTools", "Read"], tmp_path, env)

    assert said == f"It says: {NOTE}."
    calls = gate.await_calls(2, event_id=f"claude-code-{name}")
    assert {(call["surface"], call["status"], call["provider"]) for call in calls} == {
        (MESSAGES, "ok", name.removeprefix("by-"))
    }


@pytest.mark.parametrize("name", ["by-anthropic", "by-gemini"])
def test_codex_reads_a_file_with_a_model_that_is_no_gpt(
    agents_gate: tuple[Tidegate, Provider], node_modules: Path, tmp_path: Path, name: str
) -> None:
    gate, _ = agents_gate
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    (work / "note.txt").write_text(NOTE)
    place = f'{{name="tide",base_url="{gate.url}/v1",env_key="TIDE_KEY",wire_api="responses",'
    place += f'http_headers={{"x-tidegate-event-id"="codex-{name}"}}}}'
    command: list[str | Path] = [node_modules / "node_modules/.bin/codex", "exec"]
    command += ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", name]
    command += ["-c", "model_provider=tide", "-c", f"model_providers.tide={place}"]
    env = {**environment(), "HOME": str(home), "CODEX_HOME": str(home), "TIDE_KEY": "mine"}

    said = _run([*command, f"What does {work}/note.txt say?"], work, env)

    assert said == f"It says: {NOTE}."
    calls = gate.await_calls(2, event_id=f"codex-{name}")
    assert {(call["surface"], call["status"], call["provider"]) for call in calls} == {
        (RESPONSES, "ok", name.removeprefix("by-"))
    }
