"""Clients that notice what they were told and what they were not: one call, or a crowd of them."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.fakes.provider import Provider, Received, Script, chat, chat_stream
from tests.fakes.tidegate import PATIENCE_S, Tidegate, eventually

CHAT = "/v1/chat/completions"


class Heard(msgspec.Struct, kw_only=True):
    """What came back of one call."""

    event: str = ""
    status: int = 0
    """0: no answer came."""
    headers: dict[str, str] = {}
    body: bytes = b""
    whole: bool = False
    """The answer ended as HTTP says an answer ends."""
    failure: str = ""
    """What the client's socket said otherwise."""

    @property
    def call_id(self) -> str:
        """The id the gateway gave it."""
        return self.headers.get("x-tidegate-call-id", "")

    @property
    def data(self) -> list[bytes]:
        """The data of a stream's events."""
        return [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]

    @property
    def answered(self) -> bool:
        """Whether a client would take this for a good and whole answer."""
        stream = self.headers.get("content-type", "").startswith("text/event-stream")
        return self.whole and self.status == 200 and (not stream or self.data[-1:] == [b"[DONE]"])

    def json(self) -> Any:
        """Return the body as JSON."""
        return msgspec.json.decode(self.body)


def question(model: str, text: str = "hello", **body: object) -> bytes:
    """The body of a chat request."""
    return msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": text}], **body})


def call(
    house: Tidegate,
    model: str,
    *,
    event: str = "",
    headers: Mapping[str, str] | None = None,
    on_first: Callable[[], None] | None = None,
    **body: object,
) -> Heard:
    """Ask for a completion on a connection of its own; the event is also what the provider gets to read.

    `on_first` is called with the first piece of the answer in hand.
    """
    heard = Heard(event=event)
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=PATIENCE_S)
    own = {"content-type": "application/json", **({"x-tidegate-event-id": event} if event else {})}
    try:
        connection.request("POST", CHAT, question(model, event, **body), {**own, **(headers or {})})
        answer = connection.getresponse()
        heard.status = answer.status
        heard.headers = {name.lower(): value for name, value in answer.getheaders()}
        while piece := answer.read1(65536):
            heard.body += piece
            if on_first is not None:
                on_first()
                on_first = None
        heard.whole = int(heard.headers.get("content-length", len(heard.body))) == len(heard.body)
    except (OSError, http.client.HTTPException) as error:
        heard.failure = type(error).__name__
        if isinstance(error, http.client.IncompleteRead):
            heard.body += error.partial
    finally:
        connection.close()
    return heard


@contextmanager
def raw(house: Tidegate) -> Iterator[socket.socket]:
    """A connection to the public port."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=PATIENCE_S) as connection:
        yield connection


def posted(body: bytes, *headers: str, path: str = CHAT, version: str = "HTTP/1.1") -> bytes:
    """A POST as bytes."""
    lines = [f"POST {path} {version}", "host: localhost", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def asked_events(provider: Provider) -> set[str]:
    """Return the events of the calls that the provider got to read."""
    asked = [request.json() for request in provider.requests if request.method == "POST"]
    return {body["messages"][0]["content"] for body in asked}


def leisurely(request: Received) -> Script:
    """Answer as asked; streams take a tenth of a second, so that whatever happens finds some under way."""
    if request.method == "POST" and request.json().get("stream"):
        return chat_stream(["tide"] * 8, pause_s=0.01)
    return chat()


class Callers:
    """Threads that go on calling, one after the other and each with an event of its own, until left.

    `leave_every`: each of them hangs up on so many-th of its streams. `body`: what else they ask for.
    """

    def __init__(
        self,
        house: Tidegate,
        model: str = "fake/gpt-4o-mini",
        *,
        threads: int = 4,
        retry_s: float = 0.02,
        leave_every: int = 0,
        **body: Any,
    ) -> None:
        self._tried: dict[str, Heard | None] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._house = house
        self._model = model
        self._retry_s = retry_s
        self._leave_every = leave_every
        self._body = body
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    @property
    def tried(self) -> dict[str, Heard | None]:
        """What was heard, by event; None while the call is under way."""
        with self._lock:
            return dict(self._tried)

    @property
    def answered(self) -> dict[str, Heard]:
        """The calls that were answered as they should."""
        return {event: heard for event, heard in self.tried.items() if heard and heard.answered}

    def await_more(self, count: int) -> None:
        """Return when so many more calls were answered."""
        before = self._count
        eventually(lambda: self._count >= before + count, what=f"{count} more answers")

    def stop_when_refused(self) -> None:
        """Let every thread end when it cannot connect."""
        self._retry_s = -1

    def await_end(self) -> None:
        """Return when no thread is calling any more."""
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def _call(self, number: int) -> None:
        for turn in itertools.count():
            if self._stop.is_set():
                return
            event = f"caller-{number}-{turn}"
            self._note(event, None)
            stream = (number + turn) % 2 == 1
            leaves = stream and self._leave_every and turn // 2 % self._leave_every == 0
            heard = call(
                self._house,
                self._model,
                event=event,
                on_first=_leave if leaves else None,
                stream=stream,
                **self._body,
            )
            self._note(event, heard)
            if heard.failure == "ConnectionRefusedError":
                if self._retry_s < 0:
                    return
                time.sleep(self._retry_s)

    def _note(self, event: str, heard: Heard | None) -> None:
        with self._lock:
            self._tried[event] = heard
            self._count += heard is not None and heard.answered


def _leave() -> None:
    """Hang up."""
    raise ConnectionAbortedError
