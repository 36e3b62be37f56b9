"""The clients' own environments, made once, and servers that nobody here wrote."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.config import environment
from tests.fakes.aimock import CLIENTS, install_clients
from tests.fakes.tidegate import Tidegate, eventually, free_port

ROOT = Path(__file__).parents[2]
VENVS = ROOT / ".venv-clients"


def run(command: list[str | Path], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a client with nothing of our environment but these variables."""
    settings = {"PATH": environment()["PATH"], **(env or {})}
    return subprocess.run(
        command, cwd=CLIENTS, env=settings, capture_output=True, text=True, timeout=180, check=False
    )


def run_well(command: list[str | Path], env: Mapping[str, str] | None = None) -> None:
    """Run one of our client programs, which says `ok` if it saw what it must."""
    done = run(command, env)
    assert done.stdout.endswith("ok\n"), done.stdout + done.stderr


def _python(name: str, requirements: Path, alone: Path | None = None) -> Path:
    """Make a virtual environment unless it is there as wanted; what stands in `alone` comes without dependencies."""
    venv = VENVS / name
    python = venv / "bin/python"
    install: list[str | Path] = [python, "-m", "pip", "install", "-q"]
    wanted = requirements.read_text() + (alone.read_text() if alone else "")
    stamp = venv / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([*install, "-r", requirements], check=True)
        if alone:
            subprocess.run([*install, "--no-deps", "-r", alone], check=True)
        stamp.write_text(wanted)
    return python


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The interpreter that has the Python clients."""
    return _python("clients", CLIENTS / "requirements.txt", CLIENTS / "requirements-alone.txt")


@pytest.fixture(scope="session")
def llm_python() -> Path:
    """The interpreter that has the `llm` command."""
    return _python("llm", CLIENTS / "requirements-llm.txt")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder with the Node clients, installed."""
    return install_clients()


@pytest.fixture(scope="session")
def aimock(node_modules: Path) -> Iterator[str]:
    """The base URL of an aimock with our fixtures."""
    port = free_port()
    command = ["node", "node_modules/@copilotkit/aimock/dist/cli.js", "--port", str(port)]
    command += ["--fixtures", str(CLIENTS / "aimock.json"), "--log-level", "warn"]
    process = subprocess.Popen(command, cwd=node_modules)
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def llama(client_python: Path) -> Iterator[str]:
    """The base URL of a llama.cpp server with a real, if small, model."""
    command = [client_python, CLIENTS / "llama.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = eventually(process.stdout.readline, what="the model to load").strip()
        try:
            yield f"{address}/v1"
        finally:
            process.kill()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Tidegate]:
    """A gateway in front of whatever the tests of this run need."""
    providers = {}
    for name in ("aimock", "llama"):
        if any(name in item.fixturenames for item in request.session.items if hasattr(item, "fixturenames")):
            providers[name] = {"base_url": request.getfixturevalue(name), "api_key": "of-a-test"}
    gateway = Tidegate(tmp_path_factory.mktemp("e2e"), {"providers": providers}).start()
    yield gateway
    assert gateway.stop() == 0
