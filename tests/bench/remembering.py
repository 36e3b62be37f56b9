"""What memory adds to a call, in CPU microseconds of one worker: the same burst with and without recall, in turn.

    python -m tests.bench.remembering [rounds]

The hub answers from a script (its own work is in `tests.bench.recall`). Each row is the cheapest of its rounds, as
other programs only ever add. The promise: a recall adds at most 120 us, a call without a user at most 3. The last row
is a conversation of ten turns in which each has a block already, against the same without.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.bench import rig

ROUNDS = 8
SECONDS = 1
CONNECTIONS = 16
HUB = ("-m", "tests.fakes.remembering_hub", "serve", "--config")
BASE, LONG_BASE = "no user", "ten turns, no user"
USER = "wrk.headers['x-tidegate-user-id'] = 'bench-user'\n"


def scripts(folder: Path) -> dict[str, Path]:
    """Write one request per row of the table."""
    plain = rig.post_script(folder, "json").read_text().replace(USER, "")
    long = rig.script(folder, "long", conversation()).read_text().replace(USER, "")
    extra = {
        "switched off": plain + "wrk.headers['x-tidegate-memory'] = 'off'\n",
        BASE: plain,
        "recalled, nothing found": plain + USER.replace("bench-user", "blank"),
        "recalled and injected": plain + USER,
        LONG_BASE: long,
        "ten turns, and injected": long + USER,
        "ten turns, and replayed": long + USER.replace("bench-user", "old"),
    }
    written = {}
    for number, (name, text) in enumerate(extra.items()):
        written[name] = folder / f"{number}.lua"
        written[name].write_text(text)
    return written


def conversation() -> bytes:
    """Return a request with ten turns."""
    turns = [
        message
        for turn in range(10)
        for message in (
            {"role": "user", "content": f"{rig.PROMPT[:200]} {turn}?"},
            {"role": "assistant", "content": rig.PROMPT[:200]},
        )
    ]
    return msgspec.json.encode({"model": "json/bench-model", "messages": turns[:-1], "temperature": 0.2})


def main(rounds: int) -> None:
    """Print the table."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-bench-")))
        backend, port = rig.free_port(), rig.free_port()
        stack.enter_context(rig.answers(backend))
        worker = stack.enter_context(rig.tidegate(folder / "house", port, backend, command=HUB, memory=True))[
            "worker"
        ]
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        costs: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, script in scripts(folder).items():
                before = rig.cpu_us([worker])
                done, _ = rig.burst(url, script, connections=CONNECTIONS, seconds=SECONDS)
                costs.setdefault(name, []).append((rig.cpu_us([worker]) - before) / done)
        for name, found in costs.items():
            base = min(costs[LONG_BASE if name.startswith("ten turns") else BASE])
            rig.report(f"{name:24}{min(found):8.1f} us a call{min(found) - base:+8.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
