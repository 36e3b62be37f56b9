"""Follows the frames of a WebSocket in one direction, without changing any. Source: RFC 6455, section 5.

Extensions are none of it: whoever passes frames on sees to it that none is agreed on.
"""

from __future__ import annotations

from typing import NamedTuple

TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8
MOST = 1 << 20
"""Bytes of a message; a longer one passes unread."""

_CONTINUED = 0x0
_CONTROL = 0x8
_KNOWN = frozenset({_CONTINUED, TEXT, BINARY, CLOSE, 0x9, 0xA})
_LONGEST_CONTROL = 125
_HEADER = -1
"""Instead of the bytes that are left of a frame: its header is not complete."""


class Message(NamedTuple):
    """A whole message, or what a close frame says."""

    opcode: int
    payload: bytes


class FrameReader:
    """Is fed the bytes of one direction as they pass; holds at most one message."""

    def __init__(self, most: int = MOST) -> None:
        self.broken = False
        """These are no frames; nothing more is read."""
        self.closed = False
        """A close frame has passed: the last one of its direction."""
        self.boundary = 0
        """Where the last frame ended in what was fed last; 0: none did."""
        self._most = most
        self._head = bytearray()
        self._left = _HEADER
        self._opcode = 0
        self._last = True
        self._mask = b""
        self._frame = bytearray()
        self._kind = _CONTINUED
        """Of the message under way; continued: there is none."""
        self._message = bytearray()
        self._unread = False
        """The message under way is too long."""

    @property
    def whole(self) -> bool:
        """Whether no frame is under way, so that another may stand here."""
        return self._left == _HEADER and not self._head and not self.broken

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes; return the messages that they complete."""
        found: list[Message] = []
        at = self.boundary = 0
        while at < len(data) and not self.broken:
            if self._left == _HEADER:
                at = self._read_head(data, at)
            if self._left != _HEADER and not self.broken:
                at = self._read_payload(data, at)
                if self._left == 0:
                    self._left, self.boundary = _HEADER, at
                    if (message := self._end_frame()) is not None:
                        found.append(message)
        return found

    def _read_head(self, data: bytes, at: int) -> int:
        """Take bytes of a frame's header; set what it says once it is complete."""
        head = self._head
        while (missing := _length_of(head) - len(head)) > 0 and at < len(data):
            head += data[at : at + missing]
            at += missing
        if missing > 0:
            return len(data)
        size, extended = head[1] & 0x7F, len(head) - (4 if head[1] & 0x80 else 0)
        self._left = size if size < 126 else int.from_bytes(head[2:extended])
        self._mask = bytes(head[extended:])
        self._opcode, self._last = head[0] & 0x0F, bool(head[0] & 0x80)
        self.broken = bool(head[0] & 0x70) or not self._is_in_order()
        head.clear()
        if self._opcode < _CONTROL and self._left + len(self._message) > self._most:
            self._unread = True
            self._message.clear()
        return at

    def _is_in_order(self) -> bool:
        if self._opcode >= _CONTROL:
            return self._opcode in _KNOWN and self._last and self._left <= _LONGEST_CONTROL
        begins = self._opcode != _CONTINUED
        return self._opcode in _KNOWN and begins is (self._kind == _CONTINUED) and self._left < 1 << 63

    def _read_payload(self, data: bytes, at: int) -> int:
        end = min(at + self._left, len(data))
        if self._opcode >= _CONTROL or not self._unread:
            self._frame += data[at:end]
        self._left -= end - at
        return end

    def _end_frame(self) -> Message | None:
        """Return the message that this frame was the last of."""
        payload = unmasked(self._frame, self._mask)
        self._frame.clear()
        if self._opcode >= _CONTROL:
            self.closed = self.closed or self._opcode == CLOSE
            return Message(CLOSE, payload) if self._opcode == CLOSE else None
        self._kind = self._opcode or self._kind
        if not self._unread:
            self._message += payload
        if not self._last:
            return None
        message = None if self._unread else Message(self._kind, bytes(self._message))
        self._kind, self._unread = _CONTINUED, False
        self._message.clear()
        return message


def _length_of(head: bytearray) -> int:
    """Return how long the header is that begins like this, as far as one can know."""
    if len(head) < 2:
        return 2
    size = head[1] & 0x7F
    extended = {126: 2, 127: 8}.get(size, 0)
    return 2 + extended + (4 if head[1] & 0x80 else 0)


def unmasked(payload: bytes | bytearray, mask: bytes) -> bytes:
    """Return the payload without its mask, or with it: both are the same; an empty mask is none."""
    if not mask or not payload:
        return bytes(payload)
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def close_code(payload: bytes) -> int:
    """Return the code of a close frame; 1005, as the RFC has it, if it names none."""
    return int.from_bytes(payload[:2]) if len(payload) >= 2 else 1005


def close_frame(code: int, reason: str, *, mask: bytes = b"") -> bytes:
    """Return a close frame; a client's has a mask of four bytes."""
    payload = code.to_bytes(2) + reason.encode()[: _LONGEST_CONTROL - 2]
    head = bytes((0x80 | CLOSE, (0x80 if mask else 0) | len(payload)))
    return head + mask + unmasked(payload, mask)
