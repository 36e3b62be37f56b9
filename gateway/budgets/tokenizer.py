"""Counts the tokens of OpenAI's models, without the network: litellm's package brings the vocabularies along.

A vocabulary takes half a second and 80 MB, and so is read in a thread when a model first needs it; until then nobody
counts, and a text's bytes are its bound. Source of the sizes: measured with tiktoken 0.14, November 2026.
"""

from __future__ import annotations

import asyncio
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from gateway.config import find_vocabularies_in
from gateway.tasks import spawn

MOST_BYTES = 1 << 20
INLINE_BYTES = 8 * 1024
"""Counting more than this takes about half a millisecond: it goes to a thread."""
_FOLDER = Path("litellm_core_utils") / "tokenizers"
_FILES = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}
"""The SHA-1 of each vocabulary's address, under which tiktoken looks for it in TIKTOKEN_CACHE_DIR."""

logger = logging.getLogger(__name__)


class Encoding(Protocol):
    """One vocabulary."""

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the tokens of a text; what looks like a special one is text too."""
        ...


class Tokenizer:
    """Owns the vocabularies that were read so far."""

    def __init__(self) -> None:
        self._read: dict[str, Encoding | None] = {}
        """None: it is being read, or cannot be."""

    async def count(self, model: str, text: bytes) -> int | None:
        """Return how many tokens the model makes of a text; None if nobody can say, or not yet."""
        encoding = self._encoding(model) if len(text) <= MOST_BYTES else None
        if encoding is None:
            return None
        said = text.decode("utf-8", "replace")
        if len(said) <= INLINE_BYTES:
            return len(encoding.encode_ordinary(said))
        return len(await asyncio.to_thread(encoding.encode_ordinary, said))

    def _encoding(self, model: str) -> Encoding | None:
        name = name_of(model)
        if not name:
            return None
        if name not in self._read:
            self._read[name] = None
            spawn(self._load(name), name="vocabulary")
        return self._read[name]

    async def _load(self, name: str) -> None:
        self._read[name] = await asyncio.to_thread(load, name)


def name_of(model: str) -> str:
    """Return which vocabulary a model of OpenAI's has; empty if that is not known."""
    if model.startswith(("gpt-4-", "gpt-3.5", "text-embedding-")) or model == "gpt-4":
        return "cl100k_base"
    return "o200k_base" if model.startswith(("gpt-4", "gpt-5", "o1", "o3", "o4", "chatgpt-")) else ""


def load(name: str) -> Encoding | None:
    """Read a vocabulary from litellm's files; None if they are not there. Blocks."""
    import tiktoken  # noqa: PLC0415 - only installations with budgets need it

    folder = _folder()
    if folder is None or not (folder / _FILES[name]).is_file():
        logger.warning("vocabulary_missing", extra={"vocabulary": name})
        return None
    find_vocabularies_in(folder)
    return tiktoken.get_encoding(name)


def _folder() -> Path | None:
    spec = find_spec("litellm")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((found for folder in folders if (found := Path(folder) / _FOLDER).is_dir()), None)
