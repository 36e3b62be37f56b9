"""A house that remembers: its embedder is a fake endpoint that hashes words, quick and the same every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
from typing_extensions import override

from gateway.processes.doors import run_folder
from gateway.processes.unix_http import ask
from memory.embed import HashedWords
from tests.fakes.provider import Provider, Received, Script, openai, refusal
from tests.fakes.tidegate import Reply, Tidegate, eventually


class Embeddings:
    """Answers `/embeddings`, and chats beside it; fails while `away`."""

    def __init__(self) -> None:
        self.away = False
        self._words = HashedWords()

    def __call__(self, request: Received) -> Script:
        if not request.path.endswith("/embeddings"):
            return openai(request)
        if self.away:
            return refusal(503, "told to be away")
        vectors = self._words.embed(request.json()["input"])
        data = [{"index": index, "embedding": vector.tolist()} for index, vector in enumerate(vectors)]
        return Script(body=msgspec.json.encode({"object": "list", "data": data}))


class Remembering(Tidegate):
    """A house with its memory on."""

    def __init__(self, folder: Path, provider: Provider, config: Mapping[str, Any] | None = None) -> None:
        self.provider = provider
        embedder = {"base_url": f"{provider.base_url}/v1", "model": "words", "dimensions": 384}
        own = {"memory": {"enabled": True, "embedder": embedder}, "server": {"drain_s": 1}}
        super().__init__(folder, {**own, **(config or {})})

    @override
    def start(self) -> Self:
        """Return once the memory is open as well."""
        super().start()
        self.await_memory()
        return self

    def hub(self) -> dict[str, Any]:
        """Return what the hub says of its memory."""
        try:
            _, body = ask(self.run / "hub.sock", "GET", "/health", timeout_s=5)
        except OSError:
            return {"ok": False}
        said: dict[str, Any] = msgspec.json.decode(body)["memory"]
        return said

    @property
    def run(self) -> Path:
        """The folder of its sockets."""
        return run_folder(self.data)

    def await_memory(self) -> None:
        """Return once the hub's memory is open and everything in it indexed."""
        eventually(
            lambda: (said := self.hub())["ok"] and not said["backlog"],
            what="the memory to have all it was told",
        )

    def await_capture(self) -> None:
        """Return once all that was said by now is remembered."""

        def look() -> bool:
            try:
                _, body = ask(self.run / "telemetry.sock", "GET", "/health", timeout_s=5)
            except OSError:
                return False
            lag: int = msgspec.json.decode(body)["capture"]["lag_bytes"]
            return lag == 0

        eventually(look, what="the capture to have everything")
        self.await_memory()

    def say(
        self,
        turns: str | Sequence[str],
        *,
        user: str = "alice",
        key: str = "",
        model: str = "sandbox/echo",
        **headers: str,
    ) -> Reply:
        """Make a call in which this user has said these turns, each answered; header names with `_` for `-`."""
        said = [turns] if isinstance(turns, str) else turns
        messages: list[dict[str, str]] = []
        for turn in said:
            messages += [
                {"role": "user", "content": turn},
                {"role": "assistant", "content": f"I see: {turn}"},
            ]
        return self.request(
            "POST",
            "/v1/chat/completions",
            {"model": model, "messages": messages[:-1]},
            {**who(key), "x-tidegate-user-id": user}
            | {f"x-tidegate-{name.replace('_', '-')}": value for name, value in headers.items()},
        )

    def memories(self, *, key: str = "", **ids: str) -> list[str]:
        """Return the texts that the memory API lists for these ids, all pages, newest first."""
        found: list[str] = []
        query = "&".join(f"{name}={value}" for name, value in ids.items())
        while True:
            reply = self.get(f"/api/memories?{query}&limit=1000&offset={len(found)}", who(key))
            assert reply.status == 200, reply.body
            page = reply.json()["results"]
            found += [row["memory"] for row in page]
            if len(page) < 1000:
                return found


def who(key: str) -> dict[str, str]:
    """Return the header that a key travels in."""
    return {"authorization": f"Bearer {key}"} if key else {}
