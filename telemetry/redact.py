r"""Replaces secrets in bodies before anything is written to disk.

A secret is recognised by its shape alone and becomes `[secret:<kind>]`. Bodies are JSON, SSE or plain text and
stay what they were: a match never holds a quote, and neither begins nor ends inside a JSON escape.

Cheap when there is nothing to find, as almost always. Tokens are long words, so their prefixes are sought only
in words of 16 bytes and more that hold a digit or a capital; the rest is a few searches for fixed bytes. A
pattern is tried only where its own first bytes stand, and no pattern looks twice at a byte it has refused, so
that no body is slow. `bytes.find` and `re` hold the interpreter's lock while they work: between two windows
other threads get a turn.

What no shape can tell (passwords in prose, a secret split over the events of a stream) stays.
"""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Iterator

import msgspec

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
    short: bool = False
    """It may be there although the body has no long word."""


def _token(kind: str, needles: tuple[bytes, ...], pattern: bytes) -> _Shape:
    return _Shape(kind, needles, re.compile(pattern), word=True)


def _phrase(
    kind: str, needles: tuple[bytes, ...], pattern: bytes, *, back: int = 0, short: bool = False
) -> _Shape:
    return _Shape(kind, needles, re.compile(pattern), back, word=back > 0, short=short)


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
        (b"gh", b"github_pat_"),
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
        rb"(?:[A-Za-z0-9+/=\s:,.()]|-(?!----)|\\+[nrt/])*+"
        rb"(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    # RFC 3986, section 3.2.1: user:password@ in the URL of a database, a queue, a proxy
    _phrase(
        "url_password",
        (b"://", b":\\/\\/"),
        rb""":(?:\\?/){2}[^\s"'<>@:/\\[]{0,128}:(?P<s>(?!\[secret:)[^\s"'<>@/\\]{1,256})(?=@)""",
        short=True,
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
        short=True,
    ),
)


# `in` on str costs a sixth of what it does on bytes (CPython 3.11), so needles are sought in latin-1 text first
_Needles = tuple[tuple[str, int, _Shape], ...]


def _by_needle(shapes: tuple[_Shape, ...], first: int) -> _Needles:
    return tuple(
        (needle.decode(), precedence, shape)
        for precedence, shape in enumerate(shapes, first)
        for needle in shape.needles
    )


_TOKEN_NEEDLES = _by_needle(_TOKENS, 0)
_PHRASE_NEEDLES = _by_needle(_PHRASES, len(_TOKENS))


def _phrase_needles(*, words: bool, at: bool) -> _Needles:
    """Return what is worth seeking in a body with or without long words and an @."""
    return tuple(
        entry
        for entry in _PHRASE_NEEDLES
        if (words or entry[2].short) and (at or entry[2].kind != "url_password")
    )


_PHRASES_OF = {
    (words, at): _phrase_needles(words=words, at=at) for words in (False, True) for at in (False, True)
}

_WORD = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+/=\\"
_WORDS = bytes(0x61 if byte in _WORD else 0x20 for byte in range(256))
"""Turns bytes of words into `a`, all others into a space."""
_LONG = "a" * 16
_RANDOM = re.compile(rb"[0-9A-Z]")
_IN_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_ESCAPE_BEFORE = re.compile(rb"(?:\\[bfnrt]|\\u[0-9A-Fa-f]{4})\Z")


class _Span(msgspec.Struct, frozen=True, order=True):
    """Where a secret stands."""

    start: int
    precedence: int
    end: int
    kind: str


def replace_secrets(body: bytes) -> tuple[bytes, int]:
    """Return the body with `[secret:<kind>]` for each secret found, and how many there were."""
    words = _long_words(body)
    text = body.decode("latin-1")
    spans: list[_Span] = []
    for needle, precedence, shape in _present(text, _PHRASES_OF[bool(words), "@" in text]):
        spans += _at(body, shape, precedence, needle.encode(), 0, len(body))
    if words:
        every = " ".join([text[begin:end] for begin, end in words])
        for needle, precedence, shape in _present(every, _TOKEN_NEEDLES):
            for begin, end in words:
                spans += _at(body, shape, precedence, needle.encode(), begin, end)
    if not spans:
        return body, 0
    spans.sort()
    parts: list[bytes] = []
    done = count = 0
    for span in spans:
        if span.start >= done:  # else it overlaps one already replaced
            parts += (body[done : span.start], b"[secret:%b]" % span.kind.encode())
            count += 1
        done = max(done, span.end)
    parts.append(body[done:])
    return b"".join(parts), count


def _long_words(body: bytes) -> list[tuple[int, int]]:
    """Return where the body's long words stand, without those like `prompt_tokens_details`."""
    size = len(body)
    if size <= WINDOW:
        words = body.translate(_WORDS).decode("latin-1")
    else:
        words = "".join(piece.translate(_WORDS).decode("latin-1") for piece in _windows(body))
    places: list[tuple[int, int]] = []
    end = 0
    while (found := words.find(_LONG, end)) >= 0:
        begin = words.rfind(" ", end, found) + 1 or end
        end = words.find(" ", found)
        end = size if end < 0 else end
        if _RANDOM.search(body, begin, end):
            places.append((begin, end))
    return places


def _present(text: str, needles: _Needles) -> list[tuple[str, int, _Shape]]:
    """Return those of the needles that occur in the text."""
    if len(text) <= WINDOW:
        return [entry for entry in needles if entry[0] in text]
    found: list[tuple[str, int, _Shape]] = []
    for entry in needles:
        if entry[0] in text:
            found.append(entry)
        time.sleep(0)
    return found


def _at(body: bytes, shape: _Shape, precedence: int, needle: bytes, begin: int, end: int) -> Iterator[_Span]:
    """Yield the secrets of one shape that stand where `needle` does, between `begin` and `end`."""
    group = "s" if "s" in shape.pattern.groupindex else 0
    place = body.find(needle, begin, end)
    while place >= 0:
        begin = place + len(needle)
        start = place - shape.back
        if start >= 0 and (not shape.word or _may_begin(body, start)):
            match = shape.pattern.match(body, start)
            if match is not None and (shape.kind != "basic_credentials" or _is_basic(match["s"])):
                yield _Span(match.start(group), precedence, match.end(group), shape.kind)
                begin = max(begin, match.end())
        place = body.find(needle, begin, end)


def _windows(body: bytes) -> Iterator[bytes]:
    """Yield the body in pieces, with a pause after each."""
    for begin in range(0, len(body), WINDOW):
        yield body[begin : begin + WINDOW]
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
