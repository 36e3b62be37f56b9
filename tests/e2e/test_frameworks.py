"""Frameworks and tools, unchanged, each with the providers it has classes for, before an upstream that plays them.

`llm-gemini` is not among them: its provider's address is written into its code (0.35).
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.e2e.conftest import run, run_well
from tests.e2e.upstream import model
from tests.fakes.aimock import CLIENTS
from tests.fakes.provider import Provider
from tests.fakes.tidegate import Tidegate

pytestmark = pytest.mark.e2e

KEY = "of-the-house"
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""Else LiteLLM looks for prices on GitHub, three times, before it does anything."""
CHAT, RESPONSES, MESSAGES, GENERATE = (
    "openai.chat",
    "openai.responses",
    "anthropic.messages",
    "gemini.generate",
)
EMBEDDINGS, BATCH_EMBED, COUNT = "openai.embeddings", "gemini.batch_embed", "gemini.count"
Expected = Mapping[str, tuple[int, int]]
"""By surface: how many calls went well, and how many failed."""

FROM_PYTHON: Mapping[str, Expected] = {
    "agents": {CHAT: (6, 1), RESPONSES: (6, 1)},
    "genai": {GENERATE: (9, 1), BATCH_EMBED: (1, 0), COUNT: (1, 0)},
    "instructor": {CHAT: (5, 1), RESPONSES: (1, 0), MESSAGES: (1, 0)},
    "litellm": {CHAT: (4, 1), MESSAGES: (4, 1), GENERATE: (4, 1), RESPONSES: (1, 0), EMBEDDINGS: (1, 0)},
    "pydantic_ai": {CHAT: (5, 1), RESPONSES: (5, 1), MESSAGES: (5, 1)},
}
FROM_NODE: Mapping[str, Expected] = {
    "genai": {GENERATE: (4, 1), BATCH_EMBED: (1, 0), COUNT: (1, 0)},
    "vercel": {CHAT: (7, 1), RESPONSES: (7, 1), MESSAGES: (7, 1), GENERATE: (7, 1), EMBEDDINGS: (1, 0)},
}
LANGCHAIN_SKIPS = {
    "TestChatCompletions.test_pdf_tool_message": "OpenAI's chat completions take no files from tools",
    "TestResponses.test_audio_inputs": "OpenAI's responses take no audio",
    "TestMessages.test_audio_inputs": "Anthropic takes no audio",
    "TestMessages.test_json_mode": "Anthropic has no JSON mode",
    "TestChatCompletions.test_stream_time": "a benchmark of LangChain's own recordings",
    "TestResponses.test_stream_time": "a benchmark of LangChain's own recordings",
    "TestMessages.test_stream_time": "a benchmark of LangChain's own recordings",
}
"""What LangChain's suite leaves out itself, given what the classes of `langchain_suite.py` say they can do."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Provider]:
    with Provider(model).in_thread() as provider:
        yield provider


@pytest.fixture(scope="module")
def gate(upstream: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    providers = {
        name: {"base_url": f"{upstream.base_url}{path}", "api_key": KEY}
        for name, path in (("openai", "/v1"), ("anthropic", ""), ("gemini", ""))
    }
    with Tidegate(tmp_path_factory.mktemp("e2e-frameworks"), {"providers": providers}) as house:
        yield house


def look_up(gate: Tidegate, upstream: Provider, event: str, expected: Expected) -> None:
    """Find every call of an event in the ledger; no provider saw a client's key, or what is ours."""
    wanted = {(surface, "ok"): ok for surface, (ok, _) in expected.items()}
    wanted |= {(surface, "error"): failed for surface, (_, failed) in expected.items() if failed}
    calls = gate.await_calls(sum(wanted.values()), event_id=event)
    assert Counter((call["surface"], call["status"]) for call in calls) == wanted
    for call in calls:
        if call["status"] == "ok" and call["surface"] != COUNT:
            assert (call["usage_source"], call["http_status"]) == ("provider", 200)
            assert call["input_tokens"] > 0
            assert call["cost_nano_usd"] > 0
        assert call["status"] == "ok" or (call["http_status"], call["output_tokens"]) == (429, 0)
    for request in upstream.requests:
        keys = {request.headers.get(name) for name in ("authorization", "x-api-key", "x-goog-api-key")}
        assert keys - {None} <= {KEY, f"Bearer {KEY}"}
        assert "key=" not in request.path
        assert not any(name.startswith("x-tidegate") for name in request.headers)


@pytest.mark.parametrize("name", FROM_PYTHON)
def test_python_frameworks_work(gate: Tidegate, upstream: Provider, client_python: Path, name: str) -> None:
    run_well([client_python, f"{name}_python.py", gate.url, name], OFFLINE)

    look_up(gate, upstream, name, FROM_PYTHON[name])


@pytest.mark.parametrize("name", FROM_NODE)
def test_node_frameworks_work(gate: Tidegate, upstream: Provider, node_modules: Path, name: str) -> None:
    run_well(["node", node_modules / f"{name}_node.mjs", gate.url, f"{name}-node"])

    look_up(gate, upstream, f"{name}-node", FROM_NODE[name])


def run_langchain(gate: Tidegate, client_python: Path, folder: Path, **env: str) -> tuple[int, set[str]]:
    """Run LangChain's suite; return how many tests there are, and which it skipped."""
    report = folder / "report.xml"
    command: list[str | Path] = [
        client_python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "langchain_suite.py",
    ]
    command += ["--rootdir", CLIENTS, "--confcutdir", CLIENTS, "-c", "/dev/null", f"--junitxml={report}"]
    command += ["-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session"]

    done = run(command, {"TIDE_URL": gate.url, "PYTHONDONTWRITEBYTECODE": "1", **env})

    assert done.returncode == 0, done.stdout + done.stderr
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    skipped = {
        f"{case.attrib['classname'].rpartition('.')[2]}.{case.attrib['name']}"
        for case in cases
        if case.find("skipped") is not None
    }
    return len(cases), skipped


def test_langchain_passes_its_own_suite(gate: Tidegate, client_python: Path, tmp_path: Path) -> None:
    count, skipped = run_langchain(gate, client_python, tmp_path)

    assert skipped == set(LANGCHAIN_SKIPS)
    assert count > 140
    for event, surface in (
        ("TestChatCompletions", CHAT),
        ("TestResponses", RESPONSES),
        ("TestMessages", MESSAGES),
    ):
        calls = gate.await_calls(70, event_id=event)
        assert {(call["surface"], call["status"], call["usage_source"]) for call in calls} == {
            (surface, "ok", "provider")
        }


LLMS = {"openai-chat": CHAT, "openai-responses": RESPONSES, "anthropic": MESSAGES}


@pytest.mark.parametrize("name", LLMS)
def test_llm_answers_streams_calls_tools_and_says_what_went_wrong(
    gate: Tidegate, upstream: Provider, llm_python: Path, tmp_path: Path, name: str
) -> None:
    run_llm(gate, llm_python, tmp_path, name)

    look_up(gate, upstream, f"llm-{name}", {LLMS[name]: (5, 1)})


def run_llm(gate: Tidegate, llm_python: Path, tmp_path: Path, name: str) -> None:
    """Do with `llm` what its users do."""
    event = f"llm-{name}"
    place = {
        "model_name": "gpt-4o-mini",
        "api_base": f"{gate.url}/v1",
        "headers": {"x-tidegate-event-id": event},
    }
    able = {"supports_tools": True, "supports_schema": True}
    models = [
        {"model_id": "openai-chat", **place, **able},
        {"model_id": "openai-responses", "responses": True, **place, **able},
    ]
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump(models))
    (tmp_path / "tools.py").write_text('def weather(city: str) -> str:\n    return f"rain in {city}"\n')
    settings = {
        "LLM_USER_PATH": str(tmp_path),
        "ANTHROPIC_BASE_URL": gate.url,
        "ANTHROPIC_CUSTOM_HEADERS": f"x-tidegate-event-id: {event}",
    }
    asked: list[str | Path] = [
        llm_python,
        "-m",
        "llm",
        "-m",
        "claude-sonnet-4.6" if name == "anthropic" else name,
    ]

    def llm(*words: str) -> subprocess.CompletedProcess[str]:
        return run([*asked, "--key", "sk-of-a-test", *words], settings)

    assert llm("hello tide").stdout == "hello tide\n"
    assert llm("--no-stream", "hello tide").stdout == "hello tide\n"
    assert llm("--functions", str(tmp_path / "tools.py"), "How is 'Oslo'?").stdout.strip() == "rain in Oslo"
    assert llm("--schema", "name, people int", "A city?").stdout == '{"name":"text","people":0}\n'
    refused = llm("fail with 429")
    assert refused.returncode == 1
    assert "scripted" in refused.stderr
