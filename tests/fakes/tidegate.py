"""A whole Tidegate of a test's own: real processes on a free port, with a folder of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import msgspec
import yaml

from gateway.config import environment
from tests.fakes.begun import begin

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long a busy machine may take for anything before a test gives up."""


def free_port() -> int:
    """Return a port nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(look: Callable[[], T | None], *, what: str, patience_s: float = PATIENCE_S) -> T:
    """Return what `look` finds as soon as it is something; it looks less and less often, as looking costs."""
    deadline = time.monotonic() + patience_s
    pause_s = 0.02
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {patience_s} s in vain for {what}"
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.2)


class Reply:
    """An HTTP answer, whatever its status."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON."""
        return msgspec.json.decode(self.body)


class Tidegate:
    """`tidegate serve` and what a test may want to do to it."""

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        module: str = "gateway",
        fresh: bool = False,
    ) -> None:
        """`fresh`: begin without tables, prices and model, as at the very first start."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings: dict[str, Any] = {
            "data_dir": str(folder / "data"),
            "memory": {"enabled": False},  # making the model takes 1.6 s of CPU: tests of memory ask for it
            **(config or {}),
        }
        self.data = Path(settings["data_dir"])
        if not fresh and not self.data.exists():
            begin(self.data, first_start, memory=settings["memory"].get("enabled", True))
        settings["server"] = {"port": self.port, **settings.get("server", {})}
        self.config = folder / "tidegate.yaml"
        self.config.write_text(yaml.safe_dump(settings))
        ours = ("TIDEGATE_", "OPENAI_", "ANTHROPIC_", "HTTP_PROXY", "HTTPS_PROXY")
        keep = {name: value for name, value in environment().items() if not name.upper().startswith(ours)}
        self._env = {**keep, **(env or {})}
        self._log = folder / "house.log"
        self._module = module
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and return when it answers."""
        command = [sys.executable, "-m", self._module, "serve", "--config", str(self.config)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self._env, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        try:
            eventually(self._answers, what="the house to answer")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it in order; if the test has failed already, just end it."""
        code = self.stop(signal.SIGTERM if error is None else signal.SIGKILL)
        assert error is not None or code == 0, self.log()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the house ended with {self.process.returncode}:\n{self.log()}"
        if not self.pids("worker"):
            return False  # whoever answers now is a worker of a killed predecessor
        try:
            return self.get("/health/live").status == 200
        except OSError:
            return False

    def log(self) -> str:
        """Return everything it said."""
        return self._log.read_text(errors="replace")

    def say_stop(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal and do not wait."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; return its exit code."""
        self.say_stop(number)
        return self.await_end()

    def await_end(self) -> int:
        """Return its exit code once it has ended: whoever was told to stop, and is told again, ends at once."""
        assert self.process is not None
        return self.process.wait(PATIENCE_S)

    def pids(self, role: str) -> list[int]:
        """Return the processes of a role as they are now."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in path.read_text().split() if _role(child) == role]

    def kill(self, role: str) -> int:
        """Kill -9 a process of this role; return its id."""
        pid = eventually(lambda: self.pids(role), what=f"a {role}")[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request on a connection of its own."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method)
        if data is not None:
            request.add_header("content-type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE_S) as answer:
                return Reply(answer.status, dict(answer.headers.items()), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, dict(error.headers.items()), error.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET."""
        return self.request("GET", path, headers=headers)

    def chat(
        self, text: str = "hello", *, model: str = "sandbox/echo", event: str = "", **body: object
    ) -> Reply:
        """Ask for a completion."""
        headers = {"x-tidegate-event-id": event} if event else {}
        message = {"role": "user", "content": text}
        return self.request(
            "POST", "/v1/chat/completions", {"model": model, "messages": [message], **body}, headers
        )

    def calls(self, headers: Mapping[str, str] | None = None, **query: str) -> list[dict[str, Any]]:
        """Return the calls the ledger has under these filters, all pages; nothing while it is away."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            reply = self.get(f"/api/calls?{urlencode({**query, 'limit': 200, 'cursor': cursor})}", headers)
            if reply.status == 503:
                return []
            assert reply.status == 200, reply.body
            page = reply.json()
            found += page["calls"]
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return found

    def await_calls(
        self, count: int, headers: Mapping[str, str] | None = None, **query: str
    ) -> list[dict[str, Any]]:
        """Return the calls under these filters once there are `count` of them."""

        def look() -> list[dict[str, Any]] | None:
            found = self.calls(headers, **query)
            return found if len(found) >= count else None

        return eventually(look, what=f"{count} calls of {query}")


def _role(pid: str) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    words = command.split(b"gateway.processes.")
    return words[1].split(b"\0")[0].decode() if len(words) > 1 else ""


def first_start(folder: Path) -> Path:
    """Start a house in an empty folder and end it once all is made; return its data folder."""
    with Tidegate(folder, {"memory": {"enabled": True}}, fresh=True) as house:
        eventually(lambda: house.get("/health/ready").status == 200, what="the tables to be made")
        eventually(lambda: "memory_" in house.log(), what="the model to be made")  # or to be found missing
    return house.data
