"""Which provider's API a path belongs to that is only passed on, and what it is called on the row.

Read off the API references of OpenAI, Anthropic and Gemini (2026-11). A path stays as the client wrote it: nothing
in it is decoded for the provider, and one that a provider might read as another path is refused.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote, unquote

import msgspec

from gateway.errors import BadRequest

Family = Literal["openai", "anthropic", "gemini"]
Root = Literal["", "upload", "download", "ws"]
"""What stands before the version in Gemini's paths of files and sockets."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A path below a provider's own root."""

    family: Family
    method: str
    path: str
    """Percent-encoded, as it came."""
    root: Root = ""
    operation: str = "other"
    model: str = ""
    """The model, where the path names one."""
    socket: bool = False
    """A WebSocket is opened there."""

    def with_model(self, model: str) -> str:
        """Return the path, naming this model if it names one."""
        if not self.model or model in ("", unquote(self.model)):
            return self.path
        return self.path.replace(f"/models/{self.model}", f"/models/{quote(model, safe='')}", 1)

    @property
    def reads(self) -> bool:
        """Whether no model is asked: something is fetched, or taken away."""
        return self.method in {"GET", "HEAD", "DELETE"} and not self.socket

    @property
    def repeatable(self) -> bool:
        """Whether a second try can do no harm: it reads, or a model answers; it does not make a thing twice."""
        return self.method in {"GET", "HEAD"} or self.operation.partition(".")[0] in _ANSWERED

    def keeps(self, content_type: str) -> bool:
        """Say whether an answer of this type is text to be read and recorded; files are not."""
        return self.operation not in _FILES and _TEXT.match(content_type) is not None


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

_OPERATIONS: dict[str, frozenset[str]] = {
    "images": frozenset({"generations", "edits", "variations"}),
    "audio": frozenset({"speech", "transcriptions", "translations", "voices", "voice_consents"}),
    "fine_tuning": frozenset({"jobs", "checkpoints", "alpha"}),
    "chat": frozenset({"completions"}),
    "messages": frozenset({"batches"}),
    "realtime": frozenset({"sessions", "client_secrets", "calls", "transcription_sessions"}),
    "responses": frozenset({"compact", "input_tokens"}),
    **dict.fromkeys(
        (
            "files", "uploads", "batches", "moderations", "rerank", "vector_stores", "conversations", "videos",
            "skills", "assistants", "threads", "evals", "containers", "models", "organization", "tunedModels",
            "cachedContents", "corpora", "fileSearchStores", "operations", "interactions",
        ),
        frozenset[str](),
    ),
}  # fmt: skip
"""First segments of paths, and the second ones that tell one use from another."""
_MODEL_METHODS = frozenset(
    {"predict", "predictLongRunning", "batchGenerateContent", "asyncBatchEmbedContent", "generateAnswer"}
)
_ANSWERED = frozenset({"images", "audio", "moderations", "rerank", "responses"})
_FILES = frozenset({"files.content", "videos.content", "containers.content", "skills.content"})
_TEXT = re.compile(r"text/|application/(?:[\w.+-]*(?:json|xml|yaml)\b|x-www-form-urlencoded)", re.IGNORECASE)

_GEMINI = re.compile(
    r"(?:(?:/gemini|/api/google/gemini)(?:/(?P<root>upload|download))?(?:/v1(?:beta|alpha)?)?"
    r"|(?:/(?P<bare_root>upload|download))?/v1(?:beta|alpha))(?P<path>/.+)"
)
_ANTHROPIC = re.compile(r"/(?:api/)?anthropic(?:/v1)?(?P<path>/.+)")
_SHARED = re.compile(r"/v1(?:/v1)?(?P<path>/.+)")
_BARE = re.compile(
    r"(?P<path>/(?:images|audio|files|uploads|batches|moderations|rerank|fine_tuning|vector_stores|videos"
    r"|chat/completions|messages/batches)(?:/.*)?)"
)
"""With a base URL that ends before `/v1`."""
_MODEL = re.compile(r"/models/(?P<model>[^:]+?)(?::(?P<method>\w+))?")
_OWN = re.compile(r"/models/?(?:[^:]*)")
"""The lists of models are ours."""
_OPERATION_OF = re.compile(r"/models/.+/operations/.+")
_DECODINGS = 4
_STRANGE = re.compile(r"[\x00-\x1f\x7f\\\\?#]")
_HOT = frozenset({"/embeddings", "/responses", "/completions", "/messages", "/messages/count_tokens"})
_HOT_METHOD = re.compile(
    r":(?:(?:stream)?[gG]enerateContent|embedContent|batchEmbedContents|countTokens)\Z", re.IGNORECASE
)
_HOT_LIST = "/chat/completions"
"""New ones are asked for with POST; the rest of the API is about those that are kept."""
_BESIDE_RESPONSES = frozenset({"/responses/compact", "/responses/input_tokens"})


def find(method: str, raw_path: str, *, anthropic: bool, gemini: bool) -> Place | None:
    """Return the place a path stands for; None if it is not a provider's, or has a format of its own.

    `anthropic`, `gemini`: the headers say that such a client asks.
    """
    if method not in METHODS:
        return None
    family, path, root = _split(raw_path, anthropic=anthropic, gemini=gemini)
    if not path or _is_ours(method, path):
        return None
    named = _MODEL.fullmatch(path) if family == "gemini" else None
    return Place(
        family=family,
        method=method,
        path=path,
        root=root,
        operation=_operation(path, named),
        model=named["model"] if named is not None else "",
    )


_SOCKETS: tuple[tuple[re.Pattern[str], Family, Root], ...] = (
    (re.compile(r"/v1(?:/v1)?(?P<path>/realtime)"), "openai", ""),
    (
        re.compile(
            r"(?:/gemini|/api/google/gemini)?/ws(?P<path>/google\.ai\.generativelanguage\.v1(?:alpha|beta)?"
            r"\.GenerativeService\.BidiGenerateContent)"
        ),
        "gemini",
        "ws",
    ),
)


def find_socket(raw_path: str) -> Place | None:
    """Return the place where a provider takes WebSockets, if the path stands for one."""
    for pattern, family, root in _SOCKETS:
        if (found := pattern.fullmatch(raw_path)) is not None:
            path = found["path"]
            return Place(family=family, method="GET", path=path, root=root, operation="realtime", socket=True)
    return None


def check(path: str) -> None:
    """Raise BadRequest for a path that might lead out of the provider's own, however often it is decoded."""
    plain = path
    for _ in range(_DECODINGS):
        segments = plain.split("/")
        dots = any(segment.partition(";")[0].strip() in {".", ".."} for segment in segments)
        if dots or "" in segments[1:-1] or _STRANGE.search(plain) is not None:
            break
        try:
            decoded = unquote(plain, errors="strict")
        except UnicodeDecodeError:
            break
        if decoded == plain:
            return
        plain = decoded
    raise BadRequest(
        f"the path {path!r} is not passed on: a part of it is empty, all dots or not readable",
        code="invalid_path",
    )


def _split(raw_path: str, *, anthropic: bool, gemini: bool) -> tuple[Family, str, Root]:
    if (found := _GEMINI.fullmatch(raw_path)) is not None:
        root: Root = found["root"] or found["bare_root"] or ""  # type: ignore[assignment]
        return "gemini", found["path"], root
    if (found := _ANTHROPIC.fullmatch(raw_path)) is not None:
        return "anthropic", found["path"], ""
    if (found := _SHARED.fullmatch(raw_path) or _BARE.fullmatch(raw_path)) is None:
        return "openai", "", ""
    path = found["path"]
    if anthropic or path.startswith("/messages"):
        return "anthropic", path, ""
    return "gemini" if gemini else "openai", path, ""


def _is_ours(method: str, path: str) -> bool:
    """Say whether the path has a format of its own, or belongs to what is kept for one project only."""
    read = method in {"GET", "HEAD"}
    # some provider reads these as one: what has a format of its own is not to go past guardrails and memory
    plain = unquote(path).lower().partition(";")[0].rstrip("/")
    if plain == _HOT_LIST:
        return not read
    if plain == "/responses" or plain.startswith("/responses/"):
        return not (method == "POST" and path in _BESIDE_RESPONSES)
    if read and _OWN.fullmatch(path) is not None and _OPERATION_OF.fullmatch(path) is None:
        return True
    return plain in _HOT or _HOT_METHOD.search(plain) is not None


def _operation(path: str, named: re.Match[str] | None) -> str:
    if named is not None and named["method"]:
        return f"models.{named['method']}" if named["method"] in _MODEL_METHODS else "models"
    first, _, rest = path[1:].partition("/")
    first = first.partition(":")[0]
    if (seconds := _OPERATIONS.get(first)) is None:
        return "other"
    second = rest.partition("/")[0]
    if second in seconds:
        return f"{first}.{second}"
    content = f"{first}.content"
    return content if content in _FILES and path.endswith(("/content", ":download")) else first
