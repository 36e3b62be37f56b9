"""litellm in a process of its own: it takes seconds to import, 200 MB to hold and 10 ms of each call.

The supervisor starts it when the first call waits at its socket.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path

import litellm
import uvloop

from gateway.config import environment
from gateway.processes.lifeline import (
    Seat,
    die_with_parent,
    leave,
    listener,
    read_settings,
    say_ready,
    take_seat,
)
from gateway.processes.litellm_app import LitellmApp
from gateway.processes.litellm_variables import secrets
from gateway.processes.log import log_to_stderr
from gateway.processes.serving import http_config, serve

_LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")


def quieten() -> None:
    """Let litellm neither print nor log: it tells what is said, and sometimes keys."""
    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.disable_hf_tokenizer_download = True
    for name in _LOGGERS:
        logging.getLogger(name).disabled = True


def main(seat: Seat) -> int:
    """Answer until SIGTERM."""
    settings = read_settings(seat)
    drain_s = settings.server.drain_s
    die_with_parent(seat, grace_s=drain_s + 1)
    log_to_stderr("litellm", level=logging.WARNING)  # its HTTP clients log URLs, some of which hold a key
    quieten()
    app = LitellmApp(litellm, secrets=secrets(environment()))
    config = http_config(app, drain_s=drain_s)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        uvloop.run(serve(config, [listener(seat.listen_fd)], on_ready=lambda: say_ready(seat)))
    return 0


if __name__ == "__main__":
    leave(main(take_seat(sys.argv)))
