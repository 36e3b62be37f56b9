"""How commands ask a running gateway: one request at a time, on a connection of its own."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from gateway.config import is_loopback

_ANSWER_BYTES = 64 * 1024 * 1024
_PATIENCE_S = 30

T = TypeVar("T")


class NoAnswer(Exception):
    """Nobody is there, or not at such an address; the text is for whoever typed the command."""


class Reply(msgspec.Struct, frozen=True):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def read(self, shape: type[T]) -> T:
        """Return the body as what it should be; raise msgspec.DecodeError if it is not."""
        return msgspec.json.decode(self.body, type=shape)

    def complaint(self) -> str:
        """Say what an error answer means."""
        if self.status == 401:
            return "The gateway wants a key: --key tg-..., or TIDEGATE_KEY."
        try:
            said = msgspec.json.decode(self.body)["error"]["message"]
        except (msgspec.DecodeError, KeyError, TypeError):
            said = ""
        return f"The gateway answered {self.status}" + (f": {said}" if said else ".")


class Caller:
    """Knows the gateway's address and the key to use. Raises NoAnswer for an address that is none."""

    def __init__(self, url: str, secret: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NoAnswer("--url must be like http://127.0.0.1:4000.")
        self.url = url.rstrip("/")
        self.place = f"{parts.scheme}://{parts.netloc}"
        # A proxy cannot reach this machine's loopback; it would answer with its own.
        handlers: list[Any] = [urllib.request.ProxyHandler({})] if is_loopback(parts.hostname) else []
        self._opener = urllib.request.build_opener(*handlers)
        self._headers = {"authorization": f"Bearer {secret}"} if secret else {}

    def get(self, path: str) -> Reply:
        """Ask for something; raise NoAnswer."""
        return self._ask(path, None, {})

    def post(self, path: str, body: object, headers: Mapping[str, str]) -> Reply:
        """Send a JSON body; raise NoAnswer."""
        return self._ask(path, msgspec.json.encode(body), {"content-type": "application/json", **headers})

    def send(self, method: str, path: str, body: object | None = None) -> Reply:
        """Ask by any method, with a JSON body if there is one; raise NoAnswer."""
        packed = msgspec.json.encode(body) if body is not None else None
        return self._ask(path, packed, {"content-type": "application/json"}, method)

    def _ask(
        self, path: str, body: bytes | None, headers: Mapping[str, str], method: str | None = None
    ) -> Reply:
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked above
            self.url + path, data=body, headers={**self._headers, **headers}, method=method
        )
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as answer:
                return _reply(answer.status, answer)
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error.code, error)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            reason = getattr(reason, "strerror", None) or reason
            raise NoAnswer(
                f"No answer from {self.place}: {reason}. Is it running? Start it with `tidegate serve`, "
                "or name it with --url."
            ) from error


def _reply(status: int, answer: Any) -> Reply:  # noqa: ANN401 - urllib's two kinds of answers share no type
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(status, headers, answer.read(_ANSWER_BYTES))
