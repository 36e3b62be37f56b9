"""Makes the price table that workers load; only the telemetry process does."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import msgspec

from gateway.prices.table import FORMAT, File
from gateway.settings import CLOUDS, PriceOverride, Settings

_MISSING = Path(__file__).with_name("missing.toml")
_LITELLM_FILE = "model_prices_and_context_window_backup.json"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What compiling did."""

    version: str
    written: bool
    """False: the table on disk was of this version already."""
    providers: int = 0
    models: int = 0


def compile_table(
    path: Path,
    overrides: Mapping[str, PriceOverride],
    *,
    same_as: Mapping[str, str] | None = None,
    litellm_file: Path | None = None,
) -> Summary:
    """Write the table to `path` in one step; raise ValueError naming an override that is not a price.

    `same_as`: providers of one's own whose prices are another's. `litellm_file`: instead of the one in the installed
    package.
    """
    source = litellm_file or installed_litellm_file()
    litellm = source.read_bytes() if source else b""
    wanted = _version(litellm, overrides, same_as or {})
    if (there := _there(path)) is not None and there.version == wanted:
        return Summary(version=wanted, written=False)
    from gateway.prices.books import make_books  # noqa: PLC0415 - genai-prices takes a sixth of a second

    books = make_books(litellm, overrides, same_as or {})
    packed = {name: msgspec.Raw(msgspec.msgpack.encode(book)) for name, book in books.items()}
    _write(
        path,
        msgspec.msgpack.encode(
            File(format=FORMAT, version=wanted, books=packed, settings=_digest(overrides, same_as or {}))
        ),
    )
    models = sum(len(book.entries) + len(book.spare) + len(book.overrides) for book in books.values())
    return Summary(version=wanted, written=True, providers=len(books), models=models)


def drop_others(path: Path, overrides: Mapping[str, PriceOverride], same_as: Mapping[str, str]) -> None:
    """Remove a table that was made for other settings, so that nobody begins with its prices."""
    there = _there(path)
    if there is not None and there.settings != _digest(overrides, same_as):
        path.unlink()


def clouds(settings: Settings) -> dict[str, str]:
    """Return the cloud whose prices a provider under a name of one's own has: `bedrock-eu` has Bedrock's."""
    return {name: said.api for name, said in settings.providers.items() if said.api in CLOUDS}


def installed_litellm_file() -> Path | None:
    """Return litellm's price file without importing litellm, which takes seconds."""
    spec = find_spec("litellm")
    folders: Iterable[str] = (spec.submodule_search_locations if spec else None) or ()
    return next((file for folder in folders if (file := Path(folder) / _LITELLM_FILE).is_file()), None)


def _version(litellm: bytes, overrides: Mapping[str, PriceOverride], same_as: Mapping[str, str]) -> str:
    names = [
        f"{package} {found}" for package in ("genai-prices", "litellm") if (found := _installed(package))
    ]
    said = msgspec.json.encode([FORMAT, names, dict(overrides), dict(same_as)], order="sorted")
    digest = hashlib.sha256(said + _MISSING.read_bytes() + litellm)
    return ", ".join([*names, digest.hexdigest()[:12]])


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _digest(overrides: Mapping[str, PriceOverride], same_as: Mapping[str, str]) -> str:
    said = msgspec.json.encode([dict(overrides), dict(same_as)], order="sorted")
    return hashlib.sha256(said).hexdigest()


def _there(path: Path) -> File | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=File)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, data: bytes) -> None:
    """Put the file in place whole, and on the disk, or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
