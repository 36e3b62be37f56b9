"""What can go wrong in the memory package.

* MemoryFault                .code .param
  - BadScope                 no user, agent or run; or an id that is none
  - NotAllowed               whoever asks may not ask for this user
  - BadMemory                a text, a message or a limit that cannot be taken
  - EmbedderAway             no vector can be had now; later perhaps
  - IndexAway                the index did not answer
  - LedgerAway               the server with the ledger did not answer
  - ModelAway                the model that reads conversations did not answer; later perhaps
  - BadAnswer                it answered, but not in the form it was asked for
  - StoreBusy                another process holds the folder
  - WrongKey                 words in the ledger were sealed with a key that is not here
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


class NotAllowed(MemoryFault):
    """Whoever asks may ask for some users only."""

    code = "user_not_allowed"


class BadMemory(MemoryFault):
    """What was given cannot be remembered or asked as it is."""

    code = "invalid_memory"


class EmbedderAway(MemoryFault):
    """The embedder failed; the memory is kept and indexed later."""

    code = "embedder_unavailable"


class IndexAway(MemoryFault):
    """The index failed; the ledger still has everything."""

    code = "index_unavailable"


class LedgerAway(MemoryFault):
    """The server with the ledger failed; what was not acknowledged has to be brought again."""

    code = "ledger_unavailable"


class ModelAway(MemoryFault):
    """No model reads what was said; it is kept word for word and read later."""

    code = "model_unavailable"


class BadAnswer(MemoryFault):
    """A model's answer cannot be used. That is a failure, and never means that there was nothing to remember."""

    code = "model_answer_invalid"


class StoreBusy(MemoryFault):
    """Another process has the folder open, and the index knows no second writer."""

    code = "store_busy"


class WrongKey(MemoryFault):
    """Words in the ledger cannot be opened; nothing is read or written before the right key is there."""

    code = "wrong_master_key"
