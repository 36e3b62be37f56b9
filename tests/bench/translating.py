"""What translation adds to a call: CPU microseconds of one worker for the same conversation, with and without.

The provider speaks OpenAI's chat completions; an OpenAI client's call passes through, an Anthropic and a Gemini
client's are translated there and back. Run alone: `python -m tests.bench.translating`.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

import msgspec

from tests.bench import rig

LIMIT = 3.0
"""The most that a translated call may cost, in calls that pass through."""
SYSTEM = "You are a helpful assistant."


def asks(kind: str) -> dict[str, tuple[str, object]]:
    """Return the path and body with which each client holds the conversation."""
    stream = rig.WORK[kind]
    model = f"{kind}/bench-model"
    said = [{"role": "user", "content": rig.PROMPT}]
    chat = {"model": model, "messages": [{"role": "system", "content": SYSTEM}, *said], "temperature": 0.2}
    messages = {"model": model, "system": SYSTEM, "messages": said, "max_tokens": 500, "temperature": 0.2}
    contents = {
        "contents": [{"role": "user", "parts": [{"text": rig.PROMPT}]}],
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "generationConfig": {"temperature": 0.2},
    }
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    more = {"stream": True} if stream else {}
    return {
        "openai": ("/v1/chat/completions", {**chat, **more}),
        "anthropic": ("/v1/messages", {**messages, **more}),
        "gemini": (f"/v1beta/models/{model}:{method}", contents),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-bench-")))
        backend, port = rig.free_port(), rig.free_port()
        stack.enter_context(rig.answers(backend))
        worker = stack.enter_context(rig.tidegate(folder / "house", port, backend))["worker"]
        rig.report(f"work   client      worker us  ratio  (at most {LIMIT:g})")
        for kind in rig.WORK:
            costs: dict[str, list[float]] = {}
            for _ in range(options.rounds):
                for client, (path, body) in asks(kind).items():
                    script = rig.script(folder, f"{client}-{kind}", msgspec.json.encode(body))
                    url = f"http://127.0.0.1:{port}{path}"
                    rig.burst(url, script, connections=16, seconds=1)
                    before = rig.cpu_us([worker])
                    done, _ = rig.burst(url, script, connections=16, seconds=options.seconds)
                    costs.setdefault(client, []).append((rig.cpu_us([worker]) - before) / done)
            plain = sorted(costs["openai"])[options.rounds // 2]
            for client, rounds in costs.items():
                cost = sorted(rounds)[options.rounds // 2]
                rig.report(f"{kind:7}{client:11}{cost:10.1f}{cost / plain:7.2f}")


if __name__ == "__main__":
    main()
