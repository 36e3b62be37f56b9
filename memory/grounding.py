"""Whether what a text says stands somewhere else: quotes, numbers, names, addresses, words, language. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from memory.sparse import words

_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "‑": "-"}
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(
    r"(?:https?://|www\.)[^\s<>\"']+|\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|de|fr|uk|ai|co)\b(?:/\S*)?"
)
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_JAMO = re.compile("[\u1160-\u11ff]")
_SCRIPTS = (
    ("Latin", re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")),
    ("Cyrillic", re.compile("[\u0400-\u052f]")),
    ("Greek", re.compile("[\u0370-\u03ff]")),
    ("Arabic", re.compile("[\u0600-\u06ff\u0750-\u077f]")),
    ("Hebrew", re.compile("[\u0590-\u05ff]")),
    ("Devanagari", re.compile("[\u0900-\u097f]")),
    ("Thai", re.compile("[\u0e00-\u0e7f]")),
    ("Kana", re.compile("[\u3040-\u30ff]")),
    ("Han", re.compile("[\u3400-\u9fff]")),
    ("Hangul", re.compile("[\uac00-\ud7af]")),
)
_COMMON = {
    "en": "the is are was has have and of to in on with for not they their user user's lives works likes does a an at from my i",
    "de": "der die das ist sind war hat haben und von zu im mit für nicht sie ein eine wohnt arbeitet mag ich bin am seit nutzer",
    "fr": "le la les est sont était a ont et de du des à dans avec pour ne pas il elle un une je suis mon ma l'utilisateur habite",
    "es": "el la los las es son era tiene y de en con para no un una yo soy mi su usuario vive trabaja le gusta que del",
    "it": "il lo la gli è sono era ha e di in con per non un una io mio sua utente vive lavora piace che del della",
    "pt": "o a os as é são era tem e de em com para não um uma eu sou meu sua usuário vive trabalha gosta que do da",
}  # fmt: skip
_COMMON_WORDS = {language: frozenset(text.split()) for language, text in _COMMON.items()}
_BRIDGES = frozenset(
    word
    for text in (
        "user users name named called live work job like love prefer want have own enjoy dislike hate feel say plan go get use"
        " is was are be been does named new now person speaker from since until year old first last their his her"
        " allergic born married move visit meet start stop no longer never",
        "nutzer nutzerin benutzer heißt wohnt arbeitet mag hat lebt möchte ist utilisateur l'utilisateur utilisatrice s'appelle"
        " habite travaille aime préfère usuario usuaria llama vive trabaja gusta prefiere utente chiama abita lavora piace"
        " usuário chama mora trabalha gosta пользователь зовут живет живёт работает любит пользователя المستخدم يعيش يعمل اسمه يحب",
    )
    for word in words(text)
)
_SPEAKER = frozenset(
    words(
        "user users nutzer nutzerin benutzer utilisateur usuario usuaria utente usuário пользователь المستخدم"
    )
)
"""How a text calls who said it."""
_UNSPACED_BRIDGES = (
    "用户",
    "用戶",
    "他",
    "她",
    "ユーザー",
    "ユーザ",
    "사용자",
    "は",
    "는",
    "가",
    "이",
    "은",
    "です",
    "ます",
)


def plain(text: str) -> str:
    """Return the text as it is compared: one form for each character, one blank between words."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_PLAIN).split())


def locate(quote: str, source: str) -> tuple[int, int] | None:
    """Return where the quote stands in the source, in the source's own characters; None if nowhere."""
    wanted = plain(quote)
    letters: list[str] = []
    places: list[tuple[int, int]] = []
    for start, end in _clusters(source):
        for letter in unicodedata.normalize("NFKC", source[start:end]).translate(_PLAIN):
            if not letter.isspace():
                letters.append(letter)
            elif letters and letters[-1] != " ":
                letters.append(" ")
            else:
                continue
            places.append((start, end))
    at = "".join(letters).find(wanted) if wanted else -1
    return None if at < 0 else (places[at][0], places[at + len(wanted) - 1][1])


def numbers(text: str) -> set[str]:
    """Return the numbers of a text as digits of ours: ٣ is 3, 4,500 is 4500."""
    return {_digits(match.group()) for match in _NUMBER.finditer(plain(text))}


def addresses(text: str) -> set[str]:
    """Return its e-mail addresses and URLs."""
    folded = plain(text).casefold()
    return {match.group().rstrip(".,)/") for pattern in (_MAIL, _URL) for match in pattern.finditer(folded)}


def names(text: str) -> list[str]:
    """Return words inside a text that begin with a capital, folded; its first word begins with one anyway."""
    tokens = _TOKEN.findall(plain(text))[1:]
    return [_bare(token) for token in tokens if token[0].isupper() and token != "I"]  # noqa: S105


def tokens(text: str) -> set[str]:
    """Return the words of a text, folded, compound ones with their parts."""
    found = {_bare(token) for token in _TOKEN.findall(plain(text))}
    return found | {part for token in found for part in token.split("-")}


def is_said(phrase: str, ground: str, stems: set[str]) -> bool:
    """Say whether every word of a phrase stands in the ground, in any form."""
    return plain(phrase).casefold() in plain(ground).casefold() or set(words(phrase)) <= stems


def share_said(text: str, stems: set[str]) -> float:
    """Return which share of a text's telling words stands in the ground; 1 if it has none."""
    bare = plain(text)
    for bridge in _UNSPACED_BRIDGES:
        bare = bare.replace(bridge, " ")
    found = [word for word in words(bare) if word not in _SPEAKER]
    telling = [word for word in found if word not in _BRIDGES] or found
    return sum(word in stems for word in telling) / len(telling) if telling else 1.0


def stems_of(texts: Iterable[str]) -> set[str]:
    """Return the stems of these texts' words."""
    return {word for text in texts for word in words(plain(text))}


def script_of(text: str) -> str:
    """Return the script most of a text is written in; Kana for anything Japanese, empty for no letters."""
    counts = Counter({name: len(pattern.findall(text)) for name, pattern in _SCRIPTS})
    if counts["Kana"]:
        counts["Kana"] += counts["Han"]
    name, count = counts.most_common(1)[0]
    return name if count else ""


def language_of(text: str) -> str:
    """Guess the language of a text in Latin letters by its small words; empty if that is not clear."""
    found = [token.casefold() for token in _TOKEN.findall(plain(text))]
    hits = Counter({name: sum(word in known for word in found) for name, known in _COMMON_WORDS.items()})
    (best, most), (_, second) = hits.most_common(2)
    return best if most >= 2 and most > second else ""


def _clusters(text: str) -> Iterable[tuple[int, int]]:
    """Yield each character with the marks that belong to it."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or not (unicodedata.combining(text[place]) or _JAMO.match(text[place])):
            yield start, place
            start = place


def _digits(number: str) -> str:
    ours = "".join(str(unicodedata.digit(char)) if char.isdigit() else char for char in number)
    whole = re.sub(r"(?<=\d)[.,](?=\d{3}(?:\D|\Z))", "", ours)
    return whole.lstrip("0") or "0"


def _bare(token: str) -> str:
    return token.casefold().replace("’", "'").removesuffix("'s")
