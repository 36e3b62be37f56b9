"""Secrets that an installation makes for itself."""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from pathlib import Path

logger = logging.getLogger(__name__)


def own_secret(path: Path) -> bytes:
    """Return this installation's secret of that name, made at the first asking; only its owner may read it.

    On a full disk it lasts as long as the process.
    """
    fresh = os.urandom(32)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(fresh)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # whole or not at all, and the first worker wins
        return path.read_bytes()
    except OSError as error:
        logger.warning("secret_not_kept", extra={"secret": path.name, "error": str(error)})
        return fresh
    finally:
        draft.unlink(missing_ok=True)
