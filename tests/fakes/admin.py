"""Asks a house's hub over its own socket, as `tidegate keys` does, and calls with the keys it gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.processes.doors import run_folder
from gateway.processes.unix_http import ask
from tests.fakes.tidegate import Reply, Tidegate


def administer(house: Tidegate, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Return status and answer."""
    packed = msgspec.json.encode(body) if body is not None else None
    status, answer = ask(run_folder(house.data) / "hub.sock", method, path, packed, timeout_s=30)
    return status, msgspec.json.decode(answer)


def issue(house: Tidegate, name: str = "ci", **more: object) -> tuple[str, str]:
    """Make a key; return its id and its secret."""
    status, made = administer(house, "POST", "/api/keys", {"name": name, **more})
    assert status == 201, made
    return made["id"], made["key"]


def say(house: Tidegate, secret: str, model: str = "sandbox/echo", **headers: str) -> Reply:
    """Make a call with this key, on a connection of its own."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {secret}", **named})


def code(reply: Reply) -> str:
    """Return the code of an error; empty if it is none."""
    return "" if reply.status < 400 else str(reply.json()["error"]["code"])


def last_seen(look: Callable[[], bool], *, for_s: float) -> float:
    """Look again and again for so long; return when it was last so, in seconds from now on."""
    began = time.monotonic()
    last = 0.0
    while (now := time.monotonic() - began) < for_s:
        if look():
            last = now
    return last
