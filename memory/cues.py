"""Whether a turn is worth a model's time: does anybody say something about themselves in it? By word lists alone.

Eleven languages: English, German, French, Spanish, Italian, Portuguese, Russian, Chinese, Japanese, Korean and
Arabic. Missing a memory is worse than asking in vain, so any one sign is enough; questions about code and the world
have none. Pure.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec


class Cue(msgspec.Struct, frozen=True):
    """What a turn shows."""

    worth: bool
    """Something in it may be worth remembering."""
    urgent: bool = False
    """The user asks to remember or to forget something: at once."""
    forget: bool = False


_ME = """
i i'm i've i'd i'll im ive my mine myself we we're we've our ours
ich mir mich mein meine meinen meinem meiner meines wir unser unsere unseren unserem
je moi mon ma mes nous notre nos
yo mi mis nosotros nuestro nuestra nuestros soy estoy tengo vivo trabajo quiero prefiero odio nací cumplo somos
io mio mia miei mie noi nostro nostra sono ho abito lavoro preferisco odio
eu meu minha meus minhas nós nosso nossa sou estou tenho moro trabalho quero prefiro odeio nasci
я мне меня мной мой моя моё мое мои моего моей моему мою моих мы нам нас наш наша наше наши
나는 나도 내가 내 저는 제가 제 저의 저도 우리 우리는
أنا انا لي عندي اسمي أعيش اعيش أسكن اسكن أعمل اعمل أحب احب أكره اكره أفضل عمري ابنتي ابني زوجتي زوجي ولدت
"""
_LIKING = """
prefer preferred prefers favourite favorite allergic allergy allergies vegan vegetarian birthday anniversary hate hates
bevorzuge lieber lieblings allergisch vegetarier vegetarierin veganer geburtstag hasse
préfère préféré préférée allergique végétarien végétarienne anniversaire déteste
prefiere favorito favorita alérgico alérgica alergia vegetariano vegetariana cumpleaños
preferito preferita allergico allergica compleanno
preferido preferida aniversário
люблю нравится предпочитаю ненавижу аллергия вегетарианец рождения
حساسية نباتي مفضل المفضل ميلادي
"""
_OTHERS = """
kid kids child children son daughter wife husband partner girlfriend boyfriend fiancé fiancée mother father mom mum dad
parents sister brother grandma grandpa boss colleague weekend
kinder kind sohn tochter frau mann mutter vater eltern schwester bruder oma opa chef chefin
enfants enfant fils fille femme mari mère père parents sœur frère
hijos hijo hija esposa esposo marido madre padre hermana hermano
figli figlio figlia moglie marito sorella fratello
filhos filho filha esposa irmã irmão mãe pai
дети сын дочь жена муж мама папа сестра брат
아이가 아이들 아들 딸 남편 아내 엄마 아빠 لدي لدينا ابن ابنة زوجة زوج
"""
_OTHERS = """
kid kids child children son daughter wife husband partner girlfriend boyfriend fiancé fiancée mother father mom mum dad
parents sister brother grandma grandpa boss colleague weekend
kinder kind sohn tochter frau mann mutter vater eltern schwester bruder oma opa chef chefin
enfants enfant fils fille femme mari mère père parents sœur frère
hijos hijo hija esposa esposo marido madre padre hermana hermano
figli figlio figlia moglie marito sorella fratello
filhos filho filha esposa irmã irmão mãe pai
дети сын дочь жена муж мама папа сестра брат
아이가 아이들 아들 딸 남편 아내 엄마 아빠 لدي لدينا ابن ابنة زوجة زوج
"""
_CORRECTION = """
actually correction instead anymore longer nowadays currently recently
eigentlich korrektur stattdessen mehr inzwischen
finalement désormais maintenant plutôt
corrección ahora ahora
correzione adesso
agora correção
теперь больше
الآن بالأحرى
"""
_DATES = """
today tomorrow yesterday tonight monday tuesday wednesday thursday friday saturday sunday
january february march april june july august september october november december
heute morgen gestern montag dienstag mittwoch donnerstag freitag samstag sonntag
januar februar märz mai juni juli oktober dezember
aujourd'hui demain hier lundi mardi mercredi jeudi vendredi samedi dimanche
janvier février mars avril juin juillet août septembre octobre novembre décembre
hoy mañana ayer lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo junio julio
agosto septiembre octubre noviembre diciembre
oggi domani ieri lunedì martedì mercoledì giovedì venerdì sabato domenica gennaio febbraio aprile maggio giugno
luglio settembre ottobre dicembre
hoje amanhã ontem segunda-feira terça-feira quarta-feira quinta-feira sexta-feira janeiro fevereiro março maio junho
julho setembro outubro novembro dezembro
сегодня завтра вчера понедельник вторник среду четверг пятницу субботу воскресенье января февраля марта апреля мая
июня июля августа сентября октября ноября декабря
اليوم غدا غدًا أمس الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد
"""
_REMEMBER = (
    r"(?:please |and |so |also |ok |hey |could you |can you )*(?:always )?remember(?! when| how| the time|ing)\b",
    r"(?:don'?t|do not|never) forget\b",
    r"keep in mind|make a note|take note|note (?:that|down)|for (?:the )?future reference|memori[sz]e",
    r"(?:bitte )?merk dir|merke dir|denk daran|vergiss nicht|notiere? dir|behalte? im kopf",
    r"souviens-toi|souvenez-vous|rappelle-toi|retiens|n'oublie pas|garde en tête|note bien",
    r"recuerda|recuérdalo|acuérdate|no (?:te )?olvides|ten en cuenta|anota",
    r"ricorda|ricordati|non dimenticare|tieni a mente|annota",
    r"lembra|lembre|não (?:te |se )?esque(?:ça|ças)|tenha em mente|anote",
    r"запомни|запомните|не забудь|имей в виду|учти",
    r"记住|記住|记得|記得|别忘|別忘|请记|請記|覚えて(?:おいて|いて|ね|ください)|忘れないで|メモして",
    r"기억해|잊지 ?마|명심해|메모해",
    r"تذكر|تذكّر|لا تنس|احفظ",
)
_FORGET = (
    r"(?<!don't )(?<!dont )(?<!do not )(?<!never )\bforget (?:that|about|my|what|everything|all|the fact)",
    r"(?:delete|erase|remove) (?:that|this|my|what|the memory|everything|all)\b.{0,40}\b(?:memory|memories|about me|know|remember|stored?)",
    r"vergiss (?!nicht)|vergessen sie|lösche? .{0,30}(?:erinnerung|über mich)",
    r"(?<!n')oublie (?!pas)|oubliez (?!pas)",
    r"(?<!no )(?<!no te )\bolvida\b|(?<!no )(?<!no te )olvídate|borra lo que",
    r"(?<!non )dimentica\b|cancella quello",
    r"(?<!não )esque(?:ce|ça)\b|apaga? o que",
    r"(?<!не )забудь|забудьте|удали .{0,30}обо мне",
    r"忘掉|忘记我|忘記我|删除.{0,12}(?:记忆|记录)|忘れて(?!しま|い)|消して",
    r"잊어|지워",
    r"(?<!لا )انس\b|انسَ|احذف",
)
_UNSPACED_CUES = re.compile(
    "我(?!们的代码)|咱|本人|喜欢|喜歡|讨厌|討厭|过敏|過敏|生日|搬到|改成"
    "|私|僕|俺|わたし|ぼく|好き|嫌い|苦手|アレルギー|誕生日|引っ越|住んで|働いて|勤めて|名前は|飼って|予定です|つもり"
    "|좋아|싫어|알레르기|생일|살아|살고|일하고|이사|이름은|선호"
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_ASKING = re.compile(
    r"\b(?:can|could|would|will|should|shall|do|does|did|may|must|am|are) (?:i|we|you)\b(?: please| have to| need to)?"
    r"|\b(?:how|what|where|when|why|which|who) (?:can|do|should|would|could|did|am|is|are) (?:i|we|my|our)\b"
    r"|\b(?:help|show|give|tell|teach|let|send|write|explain to|remind) (?:me|us|my)\b"
    r"|\bi (?:need|want|would like|'d like|am trying|'m trying|try|have to) (?:you )?(?:to )?"
    r"(?:know|understand|write|create|make|get|find|fix|implement|build|convert|parse|sort|use|a function|help)\b"
    r"|\b(?:i get|i'm getting|i am getting|i see|i got|we get) (?:an?|this|the|these) (?:error|exception|warning|message|issue)\b"
    r"|\b(?:my|our) (?:code|functions?|script|query|program|class|regex|file|app|loop|table|dataframe|component"
    r"|tests?|error|server|api|config|container|docker\w*|repo\w*|branch|build|database|essay|text|sentence)\b"
    r"|\b(?:wie|kann|soll|muss) (?:kann |soll |muss )?ich\b|\b(?:hilf|zeig|gib|erklär|sag) mir\b|\bmeine?n? (?:code|skript|funktion)\b"
    r"|\b(?:aide|aidez|montre|donne|explique|dis)-(?:moi|nous)\b|\bmon (?:code|script)\b|\bmi (?:código|script|función)\b"
    r"|\b(?:помоги|покажи|дай|объясни|скажи) мне\b|\bмой код\b"
)
_ASKING_UNSPACED = re.compile(
    "(?:帮|幫|告诉|告訴|给|給|教|请问|請問)我(?:们)?|我(?:该|應該|应该|想知道|想问|怎么|的代码)|私のコード|내 코드|제 코드|알려 ?줘"
)
_NAME = re.compile(r"(?<=[^\W\d_] )[^\W\d_a-zß-öø-ÿа-я][^\W\d_]+")
_CASED = re.compile(r"[A-Za-zÀ-ÿА-я]")
_NUMBER = re.compile(r"\d")
_QUESTION = re.compile(r"[?？؟]\s*\Z")
_REQUEST = re.compile(
    r"\s*(?:please )?(?:write|create|make|explain|fix|convert|translate|summari[sz]e|list|generate|refactor|implement|calculate"
    r"|compare|define|describe|show|give|draw|rewrite|sort|find|add|use|run|what|who|where|when|why|how|which|is|are|does|do"
    r"|schreibe?|erkläre?|übersetze|écris|explique|traduis|escribe|explica|traduce|scrivi|spiega|escreva|напиши|объясни|переведи)\b"
)
_MARKS = re.compile("[\u064b-\u065f]")
"""Arabic vowel signs, which are written or not."""


def _any_of(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(sorted(set(words.split()), key=len, reverse=True))})(?!\w)")


_SPACED = _any_of(
    _ME
    + _LIKING
    + _OTHERS
    + _CORRECTION
    + _DATES
    + "j' gosto adoro gusta gustan encanta piace piacciono aime"
)
_STANDING = re.compile(
    r"(?:\A|[.!;\n]\s*|please |bitte |por favor )(?:never|always|immer|niemals|toujours|jamais|siempre|nunca|sempre|всегда|никогда)\b"
)
"""A wish for all answers to come."""
_ELIDED = re.compile(r"(?<!\w)[jJ]['’ ](?=\w)")
_REMEMBERED = re.compile(rf"(?:(?:^|[.!;,:\n]\s*)(?:{_REMEMBER[0]})|{'|'.join(_REMEMBER[1:])})")
_FORGOTTEN = re.compile("|".join(_FORGET))


def cue_of(text: str) -> Cue:
    """Look for signs that the turn says something lasting."""
    plain = unicodedata.normalize("NFKC", _CODE.sub(" ", text)).replace("’", "'")
    lower = _MARKS.sub("", plain.casefold())
    forget = _FORGOTTEN.search(lower) is not None
    if forget or _REMEMBERED.search(lower) is not None:
        return Cue(worth=True, urgent=True, forget=forget)
    said = _ASKING_UNSPACED.sub(" ", _ASKING.sub(" ", lower))
    if _SPACED.search(said) or _ELIDED.search(said) or _STANDING.search(said) or _UNSPACED_CUES.search(said):
        return Cue(worth=True)
    return Cue(worth=_tells(plain, lower))


def _tells(plain: str, lower: str) -> bool:
    """Say whether a turn that is neither question nor request holds a number or a name."""
    if _QUESTION.search(plain) or _REQUEST.match(lower):
        return False
    return _NUMBER.search(plain) is not None or (
        _CASED.search(plain) is not None and _NAME.search(plain) is not None
    )
