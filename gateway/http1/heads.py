"""Heads of requests that were read before: a client sends the same one again and again, but for its body's length.

httptools reads every head the first two times. From then on it is known by its bytes, all of them but the digits of
the length, so it can mean nothing else than what the parser said.
"""

from __future__ import annotations

import msgspec

from gateway.asgi import Head, Headers

LENGTH = b"content-length"
MOST_HEADS = 1024
MOST_SEEN = 8192
LONGEST = 4096
MOST_HEADERS = 64
"""Many tiny headers take twenty times the memory of their bytes."""
MOST_DIGITS = 20
"""No length needs more; zeros before it are counted where headers are limited."""
_SPELLINGS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_NEVER = frozenset({b"transfer-encoding", b"upgrade", b"expect"})
"""With one of these, more than the head decides what follows it."""

Key = tuple[bytes, bytes]
"""A head's bytes before its length and after it."""


class Known(msgspec.Struct, frozen=True, eq=False):
    """A head that was read before."""

    front: bytes
    """Its bytes before its length ..."""
    back: bytes
    """... and behind it, up to the body."""
    head: Head
    at: int
    """Which of its headers is the length."""


class Heads:
    """What is remembered of them, for all connections. A head that comes only once is not kept."""

    def __init__(self) -> None:
        self._known: dict[Key, Known] = {}
        self._seen: set[int] = set()
        """Hashes of heads that came once."""

    def find(self, data: bytes, last: Known | None) -> tuple[Known, Headers, bytes, int] | None:
        """Return head, headers and body of a whole request with a known head, and where in `data` it ends.

        `last` is tried first: the one that its connection found last, which nearly always is the same.
        """
        digits = b"" if last is None else _length(data, last)
        if not digits:
            last = self._known.get(_cut(data)[0])
            digits = b"" if last is None else _length(data, last)
        if last is None or not digits:
            return None
        size = int(digits)
        stop = len(last.front) + len(digits) + len(last.back) + size
        if stop > len(data):
            return None
        headers = last.head.headers.copy()
        headers[last.at] = (LENGTH, digits)
        return last, headers, data[stop - size : stop], stop

    def learn(self, data: bytes, head: Head) -> Head:
        """Take in what the parser made of the head with which `data` begins; return the one to use for it."""
        if not head.keep_alive or len(head.headers) > MOST_HEADERS:
            return head
        key, digits, end = _cut(data)
        if end < 0 or not digits.isdigit():
            return head
        if key in self._known:
            return self._known[key].head
        mark = hash(key)
        if mark not in self._seen:
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            self._seen.add(mark)
        elif _is_plain(data[:end], head):
            if len(self._known) >= MOST_HEADS:
                del self._known[next(iter(self._known))]
            front, back = key
            at = head.headers.index((LENGTH, digits))
            self._known[key] = Known(front, b"\r\n%b\r\n" % back, head, at)
        return head


def _cut(data: bytes) -> tuple[Key, bytes, int]:
    """Return what stands around the length, the length, and where the head ends; -1 if that is not to be seen."""
    end = data.find(b"\r\n\r\n", 0, LONGEST)
    front, found, back = data[: end + 2].partition(_SPELLINGS[0])
    if not found:
        front, found, back = front.partition(_SPELLINGS[1])
    digits, _, back = back.partition(b"\r\n")
    return (front + found, back), digits, end


def _length(data: bytes, known: Known) -> bytes:
    """Return the digits of the length if the data begins with a head like this one, else nothing."""
    if not data.startswith(known.front):
        return b""
    begin = len(known.front)
    end = data.find(b"\r", begin, begin + MOST_DIGITS + 1)
    digits = data[begin:end]
    return digits if end > 0 and digits.isdigit() and data.startswith(known.back, end) else b""


def _is_plain(raw: bytes, head: Head) -> bool:
    """Say whether anybody would read the head as the parser did, and its length alone says where the body ends."""
    first, *lines = raw.split(b"\r\n")
    target = head.raw_path + b"?" + head.query if head.query else head.raw_path
    headers = [
        (name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)
    ]
    names = [name for name, _ in headers]
    return (
        first == b"POST %b HTTP/1.1" % target
        and headers == head.headers
        and names.count(LENGTH) == 1
        and _NEVER.isdisjoint(names)
    )
