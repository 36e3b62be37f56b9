"""What seals words in this installation, for every process of it alike."""

from __future__ import annotations

from gateway.config import environment
from gateway.master_key import BadMasterKey, master_key
from gateway.places import Places
from gateway.processes.doors import StartRefused
from gateway.seals import Seals
from gateway.settings import Settings


def seals_of(places: Places, settings: Settings) -> Seals:
    """Return the seals; the master key is read when the first is needed."""
    return Seals(settings.encryption, lambda: master_key(places.secrets, environment()))


def check_master_key(places: Places, settings: Settings) -> None:
    """Raise StartRefused if something is to be sealed and there is no key for it."""
    if not settings.encryption.projects:
        return
    try:
        master_key(places.secrets, environment())
    except BadMasterKey as error:
        raise StartRefused(f"encryption.projects needs a master key: {error}") from error
