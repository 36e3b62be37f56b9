"""`/api/credentials`: keys go in, and never out again."""

from __future__ import annotations

from gateway.control.asking import Asked, Routes, body
from gateway.control.credentials import (
    CredentialAnswer,
    CredentialList,
    Credentials,
    NewCredential,
    Reseal,
    Resealed,
)
from gateway.control.openapi import Operation
from gateway.control.people_words import Done


async def _put(credentials: Credentials, asked: Asked) -> object:
    return await credentials.put(asked.id, body(asked, NewCredential), asked.admin)


async def _list(credentials: Credentials, _: Asked) -> object:
    return await credentials.page()


async def _delete(credentials: Credentials, asked: Asked) -> object:
    await credentials.delete(asked.id, asked.admin)
    return Done()


async def _reseal(credentials: Credentials, asked: Asked) -> object:
    return await credentials.reseal(body(asked, Reseal), asked.admin)


ROUTES: Routes = {
    Operation("PUT", "/api/credentials/{id}", "Set a provider's key.", NewCredential, CredentialAnswer): _put,
    Operation("GET", "/api/credentials", "List providers whose key was set.", None, CredentialList): _list,
    Operation(
        "DELETE", "/api/credentials/{id}", "Let what the settings say count again.", None, Done
    ): _delete,
    Operation(
        "POST",
        "/api/credentials/reseal",
        "Seal them under the present master key, after it was changed.",
        Reseal,
        Resealed,
    ): _reseal,
}
