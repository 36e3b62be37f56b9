"""Official clients, unchanged, each in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import run_well
from tests.fakes.tidegate import Tidegate

EVERYTHING = "chat,stream,several,tools,structured,embeddings,errors,cut,models"
OF_PYTHON = f"{EVERYTHING},responses,response_tools,completions"
OF_AIMOCK = "chat,stream,tools,structured,embeddings,refused"
OF_A_MODEL = "chat,stream,structured"


@pytest.mark.e2e
def test_openai_python_works_with_the_sandbox(house: Tidegate, client_python: Path) -> None:
    run_well([client_python, "openai_python.py", f"{house.url}/v1", OF_PYTHON, "sandbox/echo"])

    assert house.await_calls(1, event_id="e2e")


@pytest.mark.e2e
def test_openai_node_works_with_the_sandbox(house: Tidegate, node_modules: Path) -> None:
    run_well(["node", node_modules / "openai_node.mjs", f"{house.url}/v1", EVERYTHING, "sandbox/echo"])

    assert house.await_calls(1, event_id="e2e-node")


@pytest.mark.e2e
def test_openai_python_works_with_aimock(house: Tidegate, client_python: Path, aimock: str) -> None:
    run_well([client_python, "openai_python.py", f"{house.url}/v1", OF_AIMOCK, "aimock/gpt-4o-mini"])


@pytest.mark.e2e
def test_openai_node_works_with_aimock(house: Tidegate, node_modules: Path, aimock: str) -> None:
    run_well(["node", node_modules / "openai_node.mjs", f"{house.url}/v1", OF_AIMOCK, "aimock/gpt-4o-mini"])


@pytest.mark.slow
def test_openai_python_works_with_a_real_model(house: Tidegate, client_python: Path, llama: str) -> None:
    run_well([client_python, "openai_python.py", f"{house.url}/v1", OF_A_MODEL, "llama/smollm2"])

    call = house.await_calls(1, model="llama/smollm2")[0]
    assert call["input_tokens"] > 0
    assert call["cost_nano_usd"] is None
    assert call["cost_reason"] == "unknown_model"


@pytest.mark.slow
def test_openai_node_works_with_a_real_model(house: Tidegate, node_modules: Path, llama: str) -> None:
    run_well(["node", node_modules / "openai_node.mjs", f"{house.url}/v1", OF_A_MODEL, "llama/smollm2"])
