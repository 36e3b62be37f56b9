"""What people say of themselves in so many words, found by rule: a name, a home, an allergy. No model.

Conservative: a clause has to begin with the phrase and hold nothing else; questions, conditions, quotations and
pasted text are left alone. What is missed here is still remembered word for word. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from memory.jobs import JobTurn
from memory.polarity import clauses, is_negative
from memory.records import Evidence, Kind, Operation

MOST_CHARACTERS = 600
"""A longer text is a document."""
_CAPITAL = r"[A-ZÀ-ÝŁŚŻČŠŽА-ЯЁ][\w.'’-]*"
_PROPER = (
    rf"{_CAPITAL}(?:(?: (?:of|the|de|del|la|las|los|el|da|do|dos|di|am|an der|на|&))? {_CAPITAL}){{0,3}}"
)
_HAN = r"[\u3400-\u9fff]{2,8}|[A-Za-z][A-Za-z .'-]{1,30}"
_KANA = r"[\u3040-\u30ff\u3400-\u9fff]{1,12}|[A-Za-z][A-Za-z .'-]{1,30}"
_HANGUL = r"[\uac00-\ud7af]{1,10}|[A-Za-z][A-Za-z .'-]{1,30}"
_ARABIC = r"[\u0621-\u064a]+(?: [\u0621-\u064a]+)?|[A-Za-z][A-Za-z .'-]{1,30}"
_THING = r"[^\W_][\w'’-]*(?: [^\W_][\w'’-]*){0,3}"
_NOW = r"(?:(?:now|currently|still|actually|also|really|absolutely|truly|just|recently) )*"
_JETZT = r"(?:(?:jetzt|derzeit|aktuell|noch|wirklich|sehr) )*"

_PHRASES: dict[str, tuple[str, ...]] = {
    "name": (
        rf"(?:hi |hello |hey )?(?:my name is|my name's|i am called|i'm called|call me) (?-i:({_PROPER}))",
        rf"(?:ich heiße|ich heisse|mein name ist) (?-i:({_PROPER}))",
        rf"(?:je m'appelle|mon nom est|mon prénom est) (?-i:({_PROPER}))",
        rf"(?:yo )?(?:me llamo|mi nombre es) (?-i:({_PROPER}))",
        rf"(?:mi chiamo|il mio nome è) (?-i:({_PROPER}))",
        rf"(?:eu )?(?:me chamo|chamo-me|o meu nome é|meu nome é) (?-i:({_PROPER}))",
        rf"меня зовут (?-i:({_PROPER}))",
        rf"(?:我叫|我的名字是|我的名字叫)({_HAN})",
        rf"(?:私|僕|わたし)の名前は({_KANA})(?:です|だ)|(?:私は)?({_KANA})と(?:申します|いいます)",
        rf"(?:제|내) 이름은 ({_HANGUL})(?:입니다|이에요|예요|이야|야)",
        rf"اسمي ({_ARABIC})",
    ),
    "lives_in": (
        rf"(?:i {_NOW}(?:live|reside) in|(?:i am|i'm) {_NOW}(?:living|based) in|(?:i|we) {_NOW}moved to) (?-i:({_PROPER}))",
        rf"ich (?:wohne|lebe) {_JETZT}in (?-i:({_PROPER}))",
        rf"(?:j'habite|je vis|je suis basée? ) ?(?:maintenant )?(?:à|en|au) (?-i:({_PROPER}))",
        rf"(?:yo )?(?:ahora )?(?:vivo|resido) (?:ahora )?en (?-i:({_PROPER}))",
        rf"(?:io )?(?:abito|vivo) (?:ora )?(?:a|in) (?-i:({_PROPER}))",
        rf"(?:eu )?(?:agora )?(?:moro|vivo|resido) (?:agora )?(?:em|no|na) (?-i:({_PROPER}))",
        rf"я (?:сейчас |теперь )?живу в (?-i:({_PROPER}))",
        rf"我(?:现在|現在|目前)?住在({_HAN})",
        rf"(?:私は|僕は|今は?)?({_KANA}?)に住んでい(?:ます|る)",
        rf"(?:저는|나는|전) (?:지금 )?({_HANGUL}?)에 ?(?:살아요|삽니다|살고 있어요|살고 있습니다|살아)",
        rf"(?:أنا |انا )?(?:أعيش|اعيش|أسكن|اسكن) في ({_ARABIC})",
    ),
    "works_at": (
        rf"(?:i {_NOW}work|(?:i am|i'm) {_NOW}working) (?:at|for) (?-i:({_PROPER}))",
        rf"ich arbeite {_JETZT}(?:bei|für) (?-i:({_PROPER}))",
        rf"je travaille (?:maintenant )?(?:chez|pour) (?-i:({_PROPER}))",
        rf"(?:yo )?trabajo (?:ahora )?(?:en|para) (?-i:({_PROPER}))",
        rf"(?:io )?lavoro (?:per|alla|presso) (?-i:({_PROPER}))",
        rf"(?:eu )?trabalho (?:na|no|para) (?-i:({_PROPER}))",
        rf"я работаю в (?-i:({_PROPER}))",
        rf"我(?:现在|現在|目前)?在({_HAN}?)(?:工作|上班)",
        rf"(?:私は|僕は)?({_KANA}?)(?:で働いてい|に勤めてい)(?:ます|る)",
        rf"(?:저는|나는) ({_HANGUL}?)에서 (?:일해요|일합니다|일하고 있어요|일하고 있습니다)",
        rf"(?:أنا )?(?:أعمل|اعمل) (?:في|لدى) ({_ARABIC})",
    ),
    "allergic_to": (
        rf"(?:i am|i'm) (?:very |severely |highly )?allergic to ({_THING})",
        rf"ich bin (?:stark )?(?:allergisch )?gegen ({_THING}) allergisch|ich bin (?:stark )?allergisch gegen ({_THING})",
        rf"je suis (?:très )?allergique (?:aux|au|à la|à l'|à) ?({_THING})",
        rf"(?:yo )?soy (?:muy )?alérgic[oa] (?:a los|a las|a la|al|a) ({_THING})",
        rf"(?:io )?sono allergic[oa] (?:alle|agli|ai|alla|al|a) ({_THING})",
        rf"(?:eu )?sou alérgic[oa] (?:aos|às|ao|à|a) ({_THING})",
        rf"у меня аллергия на ({_THING})",
        rf"我(?:对|對)({_HAN}?)(?:过敏|過敏)",
        rf"(?:私は|僕は|私には)?({_KANA}?)アレルギー(?:があります|がある|です)",
        rf"(?:저는 |나는 )?({_HANGUL}?) ?알레르기가 (?:있어요|있습니다|있어)",
        rf"(?:لدي|عندي) حساسية من ({_ARABIC})",
    ),
    "likes": (
        rf"i {_NOW}(?:like|love|enjoy|adore) ({_THING})",
        rf"ich (?:mag|liebe) {_JETZT}({_THING})",
        rf"(?:j'aime|j'adore) (?:bien |beaucoup )?(?:le |la |les |l')?({_THING})",
        rf"me (?:gustan?|encantan?) (?:mucho )?(?:el |la |los |las )?({_THING})",
        rf"mi (?:piace|piacciono) (?:molto )?(?:il |lo |la |i |gli |le |l')?({_THING})",
        rf"(?:eu )?(?:gosto muito de|gosto de|adoro) ({_THING})",
        rf"(?:я (?:очень )?люблю|мне (?:очень )?нравится) ({_THING})",
        rf"我(?:很|最|非常)?(?:喜欢|喜歡|爱吃|愛吃)({_HAN})",
        rf"(?:私は|僕は)?({_KANA}?)が(?:大)?好き(?:です|だ)?",
        rf"(?:저는|나는) ({_HANGUL}?)(?:을|를) (?:정말 |아주 )?좋아(?:해요|합니다|해)",
        rf"(?:أنا )?(?:أحب|احب) ({_ARABIC})",
    ),
    "dislikes": (
        rf"i {_NOW}(?:hate|dislike|detest|can't stand|cannot stand|don't like|do not like) ({_THING})",
        rf"ich (?:hasse|mag kein(?:e|en)?) ({_THING})|ich mag ({_THING}) nicht",
        rf"je (?:déteste|n'aime pas) (?:le |la |les |l')?({_THING})",
        rf"(?:yo )?(?:odio|no me gustan?) (?:el |la |los |las )?({_THING})",
        rf"(?:odio|non mi (?:piace|piacciono)) (?:il |lo |la |i |gli |le |l')?({_THING})",
        rf"(?:eu )?(?:odeio|não gosto de) ({_THING})",
        rf"(?:я (?:ненавижу|не люблю)|мне не нравится) ({_THING})",
        rf"我(?:很|最)?(?:讨厌|討厭|不喜欢|不喜歡)({_HAN})",
        rf"(?:私は|僕は)?({_KANA}?)が(?:嫌い|苦手)(?:です|だ)?",
        rf"(?:저는|나는) ({_HANGUL}?)(?:을|를) (?:정말 )?싫어(?:해요|합니다|해)",
        rf"(?:أنا )?(?:أكره|اكره|لا أحب) ({_ARABIC})",
    ),
    "birthday": (
        r"(?:my birthday is|i was born) (?:on )?([\w ]*\d[\w ]*)",
        r"(?:mein geburtstag ist|ich bin) am (\d[\w. ]*?)(?: geboren)?",
        r"(?:mon anniversaire est|je suis née?) le (\d[\w ]*)",
        r"(?:mi cumpleaños es|nací) el (\d[\w ]*)",
        r"(?:мой день рождения|я родил(?:ся|ась)) (\d[\w ]*)",
        r"我的?生日是(\d[\d年月日号號]+|[一二三四五六七八九十]+月[一二三四五六七八九十]+[日号號])",
        r"(?:私の)?誕生日は(\d[\d年月日]+)(?:です|だ)",
        r"(?:제|내) 생일은 (\d[\d년월일 ]+)(?:입니다|이에요|예요)",
    ),
    "timezone": (
        r"my time ?zone is (UTC ?[+-]\d{1,2}(?::\d\d)?|GMT ?[+-]\d{1,2}|[A-Z][a-z]+/[A-Z][A-Za-z_]+|(?-i:[A-Z]{3,4}))",
        r"meine zeitzone ist (UTC ?[+-]\d{1,2}|[A-Z][a-z]+/[A-Z][A-Za-z_]+|(?-i:[A-Z]{3,4}))",
    ),
    "native_language": (
        r"my (?:native|first|mother) (?:language|tongue) is (?-i:([A-Z]\w+))",
        r"meine muttersprache ist (?-i:([A-ZÄÖÜ]\w+))",
        r"(?:ma langue maternelle est) (?:le |l')?(\w+)",
        r"mi (?:lengua materna|idioma materno) es (?:el )?(\w+)",
    ),
    "diet": (
        r"(?:i am|i'm) (?:an? )?(?:strict )?(vegetarian|vegan|pescatarian)",
        r"ich bin (vegetarier(?:in)?|veganer(?:in)?)",
        r"je suis (végétarienn?e?|végane?)",
        r"(?:yo )?soy (vegetarian[oa]|vegan[oa])",
        r"(?:io )?sono (vegetarian[oa]|vegan[oa])",
        r"(?:eu )?sou (vegetarian[oa]|vegan[oa])",
        r"я (вегетарианец|вегетарианка|веган)",
        r"我是(素食者|素食主义者)",
    ),
}
_PATTERNS = [
    (predicate, re.compile(phrase, re.IGNORECASE))
    for predicate, phrases in _PHRASES.items()
    for phrase in phrases
]
_SENTENCE = re.compile(
    r"[^.!?。！？؟\n]*(?:(?:\.(?=\S)|(?<=\b(?:St|Mr|Ms|Dr))\.|(?<=Mrs)\.)[^.!?。！？؟\n]*)*[.!?。！？؟\n]*"
)
_ASKS = re.compile(r"[?？؟]\s*\Z")
_UNSURE = re.compile(
    r"(?<!\w)(?:if|wish|would|could|might|maybe|perhaps|suppose|imagine|pretend|used to|said|says|told|example|story"
    r"|wenn|falls|würde|vielleicht|angeblich|früher|si|peut-être|tal vez|quizás|ojalá|se|forse|talvez|если|бы|может"
    r"|لو|إذا|ربما)(?!\w)|如果|假如|也许|もし|かも|만약|아마"
)
_QUOTED = re.compile('["“”«»„「」『』<>`|]')
_EMPTY = re.compile(
    r"(?:to|that|this|it|how|the way|your?|what|when|if|these|those|them|him|her|us|me|being|having|seeing|the idea|myself"
    r"|es|das|dich|dir|ça|cela|eso|esto|ella|él|você|это|тебя|вас|их)\b",
    re.IGNORECASE,
)
_DAYS = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:jan|febr)uary|march|april|may|june|july|august|\w+ember|october|back|later",
    re.IGNORECASE,
)
_PREFERENCES = ("likes", "dislikes", "diet")


def slots_of(turn: JobTurn, thread_id: str) -> list[Operation]:
    """Return what the user says of themselves in this turn, each with its exact words."""
    if turn.role != "user" or len(turn.text) > MOST_CHARACTERS:
        return []
    found = [
        operation
        for sentence in _SENTENCE.finditer(turn.text)
        if _is_plain(sentence.group())
        for operation in _said(turn, thread_id, sentence.start(), sentence.group())
    ]
    return list({(one.predicate, one.object.casefold()): one for one in found}.values())


def _is_plain(sentence: str) -> bool:
    return not (_ASKS.search(sentence) or _UNSURE.search(sentence.casefold()) or _QUOTED.search(sentence))


def _said(turn: JobTurn, thread_id: str, start: int, sentence: str) -> Iterator[Operation]:
    for left, right in clauses(sentence):
        clause = sentence[left:right]
        predicate, thing = _slot(clause)
        if not predicate:
            continue
        disliked = predicate == "dislikes"
        kind: Kind = "preference" if predicate in _PREFERENCES else "fact"
        quote = turn.text[start + left : start + right]
        yield Operation(
            op="ADD",
            evidence=(
                Evidence(
                    call_id=turn.call_id, message_index=turn.message_index, quote=quote, thread_id=thread_id
                ),
            ),
            occurred_at_us=turn.occurred_at_us,
            text=quote,
            kind=kind,
            subject="user",
            predicate="likes" if disliked else predicate,
            object=thing,
            negative=disliked,
            confidence=0.9,
        )


def _slot(clause: str) -> tuple[str, str]:
    """Return the predicate and its object; both empty if the clause says nothing of the kind."""
    plain = clause.replace("’", "'").rstrip(" .!。！")
    for predicate, pattern in _PATTERNS:
        match = pattern.fullmatch(plain)
        if match is None:
            continue
        thing = next(group for group in match.groups() if group).strip()
        if is_negative(clause) is not (predicate == "dislikes"):
            continue
        if _EMPTY.match(thing) or (predicate == "name" and _DAYS.fullmatch(thing)):
            continue
        return predicate, thing
    return "", ""
