"""Which things a provider keeps for its account, as paths, bodies and answers name them.

Read off the API references of OpenAI, Anthropic and Gemini (2026-11).
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import msgspec
from ahocorasick_rs import BytesAhoCorasick, MatchKind

from gateway.errors import UnknownResponse
from gateway.wire.openai_answer import object_bytes, text
from gateway.wire.passthrough_paths import Place

Act = Literal["make", "list", "use", "delete", "govern"]
"""To govern is to change what is the whole account's, or what nobody can be known to own."""

_COLLECTIONS: dict[str, str] = {
    "openai": "files|uploads|batches|vector_stores|fine_tuning/jobs|assistants|threads|conversations|videos|evals"
    "|chat/completions|containers|skills|audio/voices|audio/voice_consents",
    "anthropic": "files|messages/batches|skills",
    "gemini": "files|batches|cachedContents|fileSearchStores|tunedModels|corpora",
}
_PATHS = {
    family: re.compile(rf"/(?P<collection>{names})(?:/(?P<id>[^/:]+)(?P<below>[/:].*)?)?/?")
    for family, names in _COLLECTIONS.items()
}
_ALIKE = {family: re.compile(path.pattern, re.IGNORECASE) for family, path in _PATHS.items()}
"""Some provider reads these as one with the paths above."""
_GOVERNED = re.compile(
    r"/(?:organizations?|projects|fine_tuning/checkpoints)(?:/.*)?|/realtime/calls/.+", re.IGNORECASE
)
_MODELS = re.compile(r"/models/.+", re.IGNORECASE)
_MATRIX = re.compile(r";[^/]*")
_CODED = re.compile(r"[%;/:]")
_NOT_IDS = frozenset({"runs", "search"})
_BESIDE = frozenset({("gemini", "files")})
"""Things that come about without a call that tells their id: an upload goes straight to Google."""
_NAMED = re.compile(
    rb'"((?:file|batch|vs|ftjob|asst|thread|conv|video|msgbatch|eval|cntr|container|skill|voice)'
    rb'[-_][A-Za-z0-9_-]{1,128})"(?!\s*:)'
)
"""Ids in a request's body: of what is read on behalf of whoever names them."""
_GOOGLES = re.compile(rb'(?<=["/])(?:files|cachedContents|fileSearchStores)/[^"/?#:\s\\]{1,256}(?=["/?#:])')
"""Gemini's ids, which may stand at the end of an address: `https://.../v1beta/files/abc`."""
_CONTAINER = re.compile(rb'"container_id"\s*:\s*"(cntr_[A-Za-z0-9_-]{1,128})"')
"""A key of an answer itself: a quote inside one of its strings is escaped."""
_RUNS_CODE = re.compile(rb'(?<!\\)"container(?:_auto)?"|\\u00(?:[67]|5[fF])')
_ESCAPED = re.compile(rb"\\u00(2[35dDeEfF]|3[0-9aAfF]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
"""A letter, a digit or `-_./:?#%`, as JSON may write it too."""
LONGEST_NAMED = 2048
"""Bytes of a body that an id takes at most, each of its letters escaped."""
_HINTS = BytesAhoCorasick(
    [
        *(b"file_id", b"vector_store", b"container", b'"conversation"', b'"skill_', b'"voice_'),
        *(b"iles/", b"ontents/", b"tores/", rb"s\/", rb"s\u002f", rb"s\u002F"),
        *(rb"\u005f", rb"\u005F", rb"\u006", rb"\u007"),
    ],
    matchkind=MatchKind.LeftmostFirst,
)
"""Keys under which things are named, how Gemini's ids begin, and what might be a letter of either: no writer of JSON
escapes these unasked.

As in `openai_stream`, up to 16 needles are looked for at once, in a tenth of the time that one by one takes.
"""
_hints = _HINTS.find_matches_as_indexes

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Target(NamedTuple):
    """What a request is about."""

    act: Act
    collection: str
    id: str = ""
    """As answers name it: Gemini's begin with the collection."""
    beside: bool = False
    """There may be things of this kind that nobody is known to own."""
    below: str = ""


class _Made(msgspec.Struct):
    id: Any = ""
    name: Any = ""
    file: Any = None
    output_file_id: Any = ""
    error_file_id: Any = ""
    result_files: Any = None
    thread_id: Any = ""
    response: msgspec.Raw = msgspec.Raw(b"")


class _Response(msgspec.Struct):
    responses_file: Any = msgspec.field(default="", name="responsesFile")


_made = msgspec.json.Decoder(_Made)
_responses = msgspec.json.Decoder(_Response)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])


def target_of(place: Place) -> Target | None:
    """Return what a request is about, if it is something that somebody owns.

    Raises UnknownResponse for a path that a provider might read as one of these.
    """
    if place.socket:
        return None
    found = _PATHS[place.family].fullmatch(place.path)
    if found is None:
        return _elsewhere(place)
    collection, beside = found["collection"], (place.family, found["collection"]) in _BESIDE
    part = unquote(found["id"] or "")
    if beside and _CODED.search(part) is not None:  # else it is nobody's, and only an owner asks for it
        raise UnknownResponse(f"No such object: {part}")
    if not part or part in _NOT_IDS:
        return Target("make" if place.method == "POST" else "list", collection)
    named = f"{collection}/{part}" if place.family == "gemini" else part
    below = found["below"] or ""
    act: Act = "delete" if place.method == "DELETE" and not below else "use"
    return Target(act, collection, named, beside, below)


def _elsewhere(place: Place) -> Target | None:
    plain = _MATRIX.sub("", _decoded(place.path))
    if _ALIKE[place.family].fullmatch(plain) is not None:
        raise UnknownResponse(f"No such path: {place.path}")
    if _GOVERNED.fullmatch(plain) or (place.method == "DELETE" and _MODELS.fullmatch(plain)):
        return Target("govern", plain[1:].partition("/")[0].lower())
    return _gemini_batch(place)


def _decoded(path: str) -> str:
    """Return a path with nothing left to decode."""
    while (plain := unquote(path)) != path:
        path = plain
    return path


def _gemini_batch(place: Place) -> Target | None:
    makes = place.family == "gemini" and place.path.endswith(("atchGenerateContent", "BatchEmbedContent"))
    return Target("make", "batches") if makes else None


def ids_in(body: bytes) -> list[str]:
    """Return what might be ids in a request's body, or in a part of it."""
    return [one.decode() for one in dict.fromkeys(_NAMED.findall(_plain(body)))]


def googles_ids_in(body: bytes) -> list[str]:
    """Return the same of a request for Gemini."""
    found = dict.fromkeys(_GOOGLES.findall(_plain(body).replace(rb"\/", b"/")))
    return [unquote(one.decode("utf-8", "replace")) for one in found]


def _plain(body: bytes) -> bytes:
    if b"\\u00" not in body:
        return body
    return _ESCAPED.sub(
        _unescaped, body
    )  # as bytes: of a name that is said twice, decoding shows but one value


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())


def may_name(body: bytes) -> bool:
    """Say whether the body of a call for a model's answer, or a part of it, might name things that the provider keeps."""
    return bool(_hints(body))


def runs_code(body: bytes) -> bool:
    """Say whether a request for a response, or a part of it, might ask for a container of its own."""
    return _RUNS_CODE.search(body) is not None


def made_in(answer: bytes) -> list[str]:
    """Return the ids of what an answer says was made: the thing itself first, then its outputs."""
    try:
        said = _made.decode(answer)
        done = _responses.decode(object_bytes(said.response) or b"{}")
    except _UNREADABLE:
        return []
    file = said.file.get("name") if isinstance(said.file, dict) else ""
    results = said.result_files if isinstance(said.result_files, list) else []
    own = text(said.id) or text(said.name) or text(file)
    others = (said.output_file_id, said.error_file_id, said.thread_id, done.responses_file, *results)
    return [one for one in (own, *map(text, others)) if one]


def containers_in(answer: bytes) -> list[str]:
    """Return the containers that OpenAI has run code in, of a response or whole events of one."""
    if b'"container_id"' not in answer:
        return []
    return [one.decode() for one in dict.fromkeys(_CONTAINER.findall(answer))]


def listed(
    answer: bytes, collection: str
) -> tuple[dict[str, msgspec.Raw], str, list[tuple[str, msgspec.Raw]]]:
    """Return a list's members, the name of the one that has the things, and these with their ids.

    Of what is no list, nothing is returned but empty values.
    """
    try:
        members = _objects.decode(answer)
        name = next((name for name in ("data", collection, "operations") if name in members), "")
        things = [(_id_of(raw), raw) for raw in _lists.decode(members[name])] if name else []
    except _UNREADABLE:
        return {}, "", []
    return members, name, things


def _id_of(raw: msgspec.Raw) -> str:
    return next(iter(made_in(bytes(raw))), "")
