"""Models that come inside installed packages: found, checked, never downloaded."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from memory.errors import EmbedderAway


def installed(package: str, path: str) -> Path:
    """Return a file of an installed package, which is not imported. Raises EmbedderAway."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbedderAway(f"the package {package} is not installed", code="embedder_not_installed")
    return Path(spec.origin).parent / path


def checked(path: Path, sha256: str) -> Path:
    """Return the path if the file is the one this program was made for. Raises EmbedderAway."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise EmbedderAway(f"cannot read {path.name}: {error}", code="embedder_not_installed") from error
    if found != sha256:
        raise EmbedderAway(f"{path.name} is not the file this version was made for", code="embedder_changed")
    return path


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
