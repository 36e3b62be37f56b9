"""What can go wrong in the memory package.

* MemoryFault                .code .param
  - BadScope                 no user, agent or run; or an id that is none
  - BadMemory                a text, a message or a limit that cannot be taken
  - EmbedderAway             no vector can be had now; later perhaps
  - IndexAway                the index did not answer
  - StoreBusy                another process holds the folder
"""

from __future__ import annotations


class MemoryFault(Exception):
    """Base of this package's errors; `code` is for programs, the message for people."""

    code = "memory_error"

    def __init__(self, message: str, *, code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.param = param
        if code:
            self.code = code


class BadScope(MemoryFault):
    """A scope that names nobody, or names somebody in a way that could mean everybody."""

    code = "invalid_scope"


class BadMemory(MemoryFault):
    """What was given cannot be remembered or asked as it is."""

    code = "invalid_memory"


class EmbedderAway(MemoryFault):
    """The embedder failed; the memory is kept and indexed later."""

    code = "embedder_unavailable"


class IndexAway(MemoryFault):
    """The index failed; the ledger still has everything."""

    code = "index_unavailable"


class StoreBusy(MemoryFault):
    """Another process has the folder open, and the index knows no second writer."""

    code = "store_busy"
