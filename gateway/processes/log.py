"""Log lines that people and grep can read, on stderr, from every process of the house."""

from __future__ import annotations

import logging
import sys
import time

import msgspec
from typing_extensions import override

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class EventFormatter(logging.Formatter):
    """One line an event: time, level, who, what happened, and the extra fields as key=value."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self._who = who

    @override
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = [f"{key}={_readable(value)}" for key, value in vars(record).items() if key not in _STANDARD]
        head = f"{moment}.{int(record.msecs):03d}Z {record.levelname.lower()} {self._who}"
        line = " ".join([head, record.getMessage(), *fields])
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _readable(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(sign in text for sign in ' "='):
        return text
    return msgspec.json.encode(text).decode()


def log_to_stderr(who: str, *, level: int = logging.INFO) -> None:
    """Send every log line of this process to stderr, marked with the process's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter(who))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
