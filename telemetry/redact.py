r"""Replaces secrets in bodies before anything is written to disk.

A secret is recognised by its shape alone and becomes `[secret:<kind>]`. Bodies are JSON, SSE or plain text and
stay what they were: a match never holds a quote, and neither begins nor ends inside a JSON escape.

Cheap when there is nothing to find, as almost always: the fixed bytes that each shape begins with are sought all
at once (0.2 ns a byte, where a search for each of them took 18 on a stream of events). Where one stands, a second
pass (2 ns a byte) finds the others, those that overlap as well. A pattern is tried only where its own first bytes stand, and no pattern looks twice at a byte it has refused, so
that no body is slow. The search and `re` hold the interpreter's lock while they work: between two windows other
threads get a turn.

What no shape can tell (passwords in prose, a secret split over the events of a stream) stays.
"""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Iterator

import msgspec
from ahocorasick_rs import BytesAhoCorasick, MatchKind

WINDOW = 64 * 1024
"""Bytes looked at without a pause."""
OVERLAP = 8 * 1024
"""More than nearly every secret is long. Who cuts a body lets this much more be looked at, then cuts it off."""


class _Shape(msgspec.Struct, frozen=True):
    """A kind of secret: `pattern` is tried `back` bytes before each place where one of `needles` stands."""

    kind: str
    needles: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    """The group `s`, if there is one, is what gets replaced."""
    back: int = 0
    word: bool = False
    """It does not begin in the middle of a word."""


def _token(kind: str, needles: tuple[bytes, ...], pattern: bytes) -> _Shape:
    return _Shape(kind, needles, re.compile(pattern), word=True)


def _phrase(kind: str, needles: tuple[bytes, ...], pattern: bytes, *, back: int = 0) -> _Shape:
    return _Shape(kind, needles, re.compile(pattern), back, word=back > 0)


# In order of precedence where two begin at the same byte. Issuers publish prefixes, seldom lengths: the minimum
# lengths are ours, short enough to miss no real key. Known as of November 2026 unless dated otherwise.
_TOKENS = (
    # console.anthropic.com: sk-ant-api03-<93>AA, sk-ant-admin01-...
    _token("anthropic_key", (b"sk-ant-",), rb"sk-ant-[A-Za-z0-9_-]{16,}"),
    # openrouter.ai/docs/api-reference/authentication: sk-or-v1-<64 hex>
    _token("openrouter_key", (b"sk-or-",), rb"sk-or-[A-Za-z0-9_-]{16,}"),
    # platform.openai.com: sk-<48>, sk-proj-..., sk-svcacct-..., sk-admin-...; also DeepSeek, Moonshot, LiteLLM.
    # The digit or capital keeps slugs ("sk-some-words-in-a-row") from being taken for keys.
    _token("api_key", (b"sk-",), rb"sk-(?=[a-z_-]{0,64}[0-9A-Z])[A-Za-z0-9_-]{16,}"),
    # gateway/config.py: "tg-" + 32 random bytes in URL-safe base64
    _token("tidegate_key", (b"tg-",), rb"tg-(?=[a-z_-]{0,64}[0-9A-Z])[A-Za-z0-9_-]{20,}"),
    # console.groq.com, docs.x.ai, docs.perplexity.ai: prefix + 32 or more
    _token("api_key", (b"gsk_", b"xai-", b"pplx-"), rb"(?:gsk_|xai-|pplx-)[A-Za-z0-9]{32,}"),
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html: AKIA long-term, ASIA temporary, 20 in all
    _token("aws_key_id", (b"AKIA", b"ASIA"), rb"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    # github.blog 2021-04-05 "Behind GitHub's new authentication token formats"; fine-grained: 2022-10-18
    _token(
        "github_token",
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        rb"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    ),
    # docs.slack.dev/authentication/tokens: xoxb-, xoxp-, xoxa-, xoxr-, xoxs-, xoxe.xoxp-; app-level: xapp-
    _token("slack_token", (b"xox", b"xapp-"), rb"(?:xox[abeoprs][-.](?:xox[abp]-)?|xapp-)[A-Za-z0-9-]{11,}"),
    # cloud.google.com/docs/authentication/api-keys: AIza + 35
    _token("google_key", (b"AIza",), rb"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9])"),
    # docs.gitlab.com/security/tokens, "Token prefixes"
    _token("gitlab_token", (b"glpat-",), rb"glpat-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]{2,})*"),
    # huggingface.co/docs/hub/security-tokens: hf_ + 34
    _token("huggingface_token", (b"hf_",), rb"hf_[A-Za-z0-9]{30,}"),
    # docs.stripe.com/keys; signing secrets: docs.stripe.com/webhooks
    _token(
        "stripe_key",
        (b"sk_live_", b"sk_test_", b"rk_live_", b"rk_test_", b"whsec_"),
        rb"(?:[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,})",
    ),
    # docs.slack.dev/messaging/sending-messages-using-incoming-webhooks; some encoders write \/ for /
    _token(
        "slack_webhook",
        (b"hooks.slack.com",),
        rb"hooks\.slack\.com\\?/(?:services|workflows|triggers)(?:\\?/[A-Za-z0-9_-]+){2,5}",
    ),
    # RFC 7519: header.payload.signature; a JSON object in base64url begins with eyJ.
    # (Not behind a hyphen, unless a PEM block ends there: "-eyJ-eyJ-eyJ..." would be looked through from each word.)
    _token(
        "jwt",
        (b"eyJ",),
        rb"(?:(?<!-)|(?<=-----))eyJ[A-Za-z0-9_-]{8,2048}+\.eyJ[A-Za-z0-9_-]{8,8192}+\.[A-Za-z0-9_-]*",
    ),
)
_PHRASES = (
    # docs.aws.amazon.com, as above: 40 characters of base64 without a prefix, so only behind their name
    _phrase(
        "aws_secret",
        (b"ecretAccessKey", b"ecret_access_key", b"SECRET_ACCESS_KEY"),
        rb"(?:ecretAccessKey|ecret_access_key|SECRET_ACCESS_KEY)"
        rb"""(?:["'\s:=]|\\+["'nrt]){1,12}(?P<s>(?:\\?/|[A-Za-z0-9+]){40})(?![A-Za-z0-9+/=])""",
    ),
    # RFC 7468 (PRIVATE KEY, ENCRYPTED PRIVATE KEY), RFC 5915 (EC), PKCS#1 (RSA), OpenSSH, OpenPGP (RFC 9580).
    # In a JSON string its lines end with \n, in a string inside a string with \\n. A cut-off key counts as well.
    _phrase(
        "private_key",
        (b"-----BEGIN ",),
        rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        rb"(?:[A-Za-z0-9+/=\s:,.()]|-(?!----)|\\++[nrt/])*+"
        rb"(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    # RFC 3986, section 3.2.1: user:password@ in the URL of a database, a queue, a proxy
    _phrase(
        "url_password",
        (b"://", b":\\/\\/"),
        rb""":(?:\\?/){2}[^\s"'<>@:/\\[]{0,128}:(?P<s>(?!\[secret:)[^\s"'<>@/\\]{1,256})(?=@)""",
    ),
    # RFC 6750, section 2.1: an Authorization header quoted in text
    _phrase(
        "bearer_token",
        (b"earer ",),
        rb"[Bb]earer {1,4}(?P<s>(?=[A-Za-z._~+/-]{0,200}[0-9])[A-Za-z0-9._~+/-]{16,}={0,2})",
        back=1,
    ),
    # RFC 7617, section 2: base64 of user:password; without the colon it is prose ("basic features")
    _phrase(
        "basic_credentials",
        (b"asic ",),
        rb"[Bb]asic {1,4}(?P<s>[A-Za-z0-9+/]{6,512}+={0,2})",
        back=1,
    ),
)


_SHAPES = tuple(
    (precedence, shape) for precedence, shape in enumerate(_TOKENS + _PHRASES) for _ in shape.needles
)
"""By the number of the needle."""
_NEEDLES = [needle for shape in _TOKENS + _PHRASES for needle in shape.needles]
_all = BytesAhoCorasick(_NEEDLES).find_matches_as_indexes
_some = BytesAhoCorasick(_NEEDLES, MatchKind.LeftmostFirst).find_matches_as_indexes
"""Finds some if there are any: without overlaps the search may skip what cannot match, many bytes at a time."""
_LONGEST_NEEDLE = max(map(len, _NEEDLES))

_IN_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ESCAPE_BEFORE = re.compile(rb"(?:\\[bfnrt]|\\u[0-9A-Fa-f]{4})\Z")


class _Span(msgspec.Struct, frozen=True, order=True):
    """Where a secret stands."""

    start: int
    precedence: int
    end: int
    kind: str


def find_secrets(body: bytes) -> list[tuple[int, int, str]]:
    """Return where secrets stand and of which kind they are, in order and without overlaps."""
    if len(body) <= WINDOW and not _some(body):
        return []
    found: list[tuple[int, int, str]] = []
    for span in sorted(_secrets(body)):
        if not found or span.start >= found[-1][1]:
            found.append((span.start, span.end, span.kind))
    return found


def replace_secrets(body: bytes) -> tuple[bytes, int]:
    """Return the body with `[secret:<kind>]` for each secret found, and how many there were."""
    if len(body) <= WINDOW and not _some(body):
        return body, 0
    spans = sorted(_secrets(body))
    if not spans:
        return body, 0
    parts: list[bytes] = []
    done = count = 0
    for span in spans:
        if span.start >= done:  # else it overlaps one already replaced
            parts += (body[done : span.start], b"[secret:%b]" % span.kind.encode())
            count += 1
        done = max(done, span.end)
    parts.append(body[done:])
    return b"".join(parts), count


def _secrets(body: bytes) -> Iterator[_Span]:
    """Yield what has the shape of a secret, in no order; pieces may overlap."""
    done: dict[int, int] = {}
    for number, place in _places(body):
        precedence, shape = _SHAPES[number]
        start = place - shape.back
        if start < 0 or place < done.get(precedence, 0) or (shape.word and not _may_begin(body, start)):
            continue
        match = shape.pattern.match(body, start)
        if match is not None and (shape.kind != "basic_credentials" or _is_basic(match["s"])):
            done[precedence] = match.end()
            group = "s" if "s" in shape.pattern.groupindex else 0
            yield _Span(match.start(group), precedence, match.end(group), shape.kind)


def _places(body: bytes) -> Iterator[tuple[int, int]]:
    """Yield the number of each needle that occurs, and where."""
    if len(body) <= WINDOW:
        for number, begin, _ in _all(body, overlapping=True):
            yield number, begin
        return
    for window in range(0, len(body), WINDOW):
        piece = body[window : window + WINDOW + _LONGEST_NEEDLE - 1]
        if _some(piece):
            for number, begin, _ in _all(piece, overlapping=True):
                if begin < WINDOW:
                    yield number, window + begin
        time.sleep(0)


def _may_begin(body: bytes, start: int) -> bool:
    r"""Say whether a word may begin at `start`: a JSON escape before it is no part of the word.

    In `\nghp_...` the token begins after the n; in `\tg-...` the t belongs to the escape.
    """
    if start == 0:
        return True
    before = body[start - 1]
    if before in _IN_WORD:
        return _ESCAPE_BEFORE.search(body, max(0, start - 6), start) is not None
    if before == 0x5C and body[start] in b"bfnrtu":
        tail = body[max(0, start - 64) : start]
        return (len(tail) - len(tail.rstrip(b"\\"))) % 2 == 0
    return True


def _is_basic(token: bytes) -> bool:
    """Say whether this is base64 of `user:password`."""
    try:
        return b":" in binascii.a2b_base64(token, strict_mode=True)
    except binascii.Error:
        return False
