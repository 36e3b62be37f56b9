"""The official Python client that the product's own environment holds (litellm brings it), unchanged.

`make e2e` does the same with the newest clients in environments of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.tidegate import Tidegate

SCRIPT = Path(__file__).parents[1] / "e2e/clients/openai_python.py"


@pytest.mark.parametrize(
    "what",
    [
        "chat",
        "stream",
        "several",
        "tools",
        "structured",
        "embeddings",
        "errors",
        "cut",
        "models",
        "responses",
        "response_tools",
        "completions",
    ],
)
def test_openai_python_works_unchanged(house: Tidegate, what: str) -> None:
    command = [sys.executable, str(SCRIPT), f"{house.url}/v1", what, "sandbox/echo"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "ok\n", done.stdout + done.stderr
