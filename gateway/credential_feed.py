"""Provider keys as a worker or the hub opens them: those that were set through the admin API win."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec

from gateway.master_key import BadMasterKey, derive
from gateway.sealing import BadSeal, Seal
from gateway.settings import ProviderSettings

TOPIC = "credentials"
PURPOSE = "credentials"
"""What the master key is derived for; each is sealed for the name of its provider."""

DECODER = msgspec.msgpack.Decoder(dict[str, str])
"""Sealed keys, as hex, by provider."""

Providers = Mapping[str, ProviderSettings]

logger = logging.getLogger(__name__)


def opened(sealed: Mapping[str, str], providers: Providers, master: Callable[[], bytes]) -> Providers:
    """Return the providers' settings with the keys that were set; one that cannot be opened is left as it was."""
    if not sealed:
        return providers
    known = dict(providers)
    try:
        seal = Seal(derive(master(), PURPOSE))
    except BadMasterKey as error:
        logger.warning("credentials_sealed", extra={"error": str(error)})
        return providers
    for name, text in sealed.items():
        try:
            secret = seal.open(bytes.fromhex(text), name.encode()).decode()
        except (BadSeal, ValueError):
            logger.warning("credential_refused", extra={"provider": name})
            continue
        known[name] = msgspec.structs.replace(known.get(name, ProviderSettings()), api_key=secret)
    return known
