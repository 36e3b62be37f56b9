"""The official Python client that the product's own environment holds (litellm brings it), unchanged.

`make e2e` does the same with the newest clients in environments of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fakes.tidegate import Tidegate

SCRIPT = Path(__file__).parents[1] / "e2e/clients/openai_python.py"
WHAT = (
    *("chat", "stream", "several", "tools", "structured", "embeddings", "errors", "cut", "models"),
    *("responses", "response_tools", "completions"),
)


def test_openai_python_works_unchanged(house: Tidegate) -> None:
    # One process for all: importing the client takes longer than what it does. A failure's trace tells which.
    command = [sys.executable, str(SCRIPT), f"{house.url}/v1", ",".join(WHAT), "sandbox/echo"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "ok\n", done.stdout + done.stderr
