"""The gate before a model, measured on cases of our own in eleven languages."""

from __future__ import annotations

import pytest

from memory.cues import cue_of

TELLING = """
I live in Lisbon and work as a nurse
my daughter Anna turns six on May 3
We moved to Madrid last month
call me Sam
Meeting with Dr. Okafor is on Friday
The budget is 4,500 euros
No, the wedding was moved to June
Lunch with Priya went well
She prefers window seats
Actually it's Toyota, not Honda
I've been vegan since 2019
our dog hates thunder
the kids are at grandma's this weekend
please never suggest restaurants with shellfish
Ich wohne seit 2019 in Köln
Mein Geburtstag ist am 3. Mai
Nein, eigentlich heißt sie Anna
Wir ziehen nächsten Monat um
J'habite à Lyon
Je préfère le thé
Mon fils s'appelle Luc
Nous partons mardi
Vivo en Sevilla
Me gusta el café sin azúcar
Me llamo Ana
Mi hermana vive en Quito
Abito a Torino
Mi chiamo Luca
Preferisco il treno
Moro em Lisboa
Meu nome é Rui
Gosto de café
Я живу в Москве
Меня зовут Иван
Мне нравится чай
我住在北京
我对花生过敏
我叫王伟
我上个月搬到上海
東京に住んでいます
猫が好きです
私の名前は田中です
ピーナッツアレルギーがあります
저는 서울에 살아요
제 이름은 민수입니다
땅콩 알레르기가 있어요
أنا أعيش في القاهرة
اسمي أحمد
أحب القهوة
لدي حساسية من الفول السوداني
""".strip().splitlines()

IDLE = """
How do I sort a list in Python?
What is the capital of France?
Write a function that reverses a string
Explain TCP slow start
Can you help me with this regex?
Fix this bug: `my_var = i`
Translate this into French: good night
yes please
ok thanks
why does this loop never end?
show me an example with pandas
how can I make my code faster?
What does error 404 mean?
Summarize the following text
Implement quicksort in Rust
Could you rewrite my essay?
continue
run the tests again
do you remember what a monad is?
Wie kann ich eine Liste sortieren?
Erkläre den Unterschied zwischen TCP und UDP
Was ist die Hauptstadt von Frankreich?
Comment trier une liste ?
Explique la photosynthèse
¿Cuál es la capital de Perú?
Escribe un poema sobre el mar
Qual è la capitale d'Italia?
Qual é a capital do Brasil?
Как отсортировать список?
Объясни теорему Пифагора
什么是机器学习？
请解释一下光合作用
帮我写一个函数
Pythonとは何ですか？
この文を英語に訳してください
머신러닝이 뭐야?
이 문장을 번역해 줘
ما هي عاصمة فرنسا؟
اكتب قصيدة عن البحر
""".strip().splitlines()

REMEMBER = """
please remember that the door code is 4711
Don't forget: allergic to nuts
Merk dir bitte, dass ich Vegetarier bin
Souviens-toi que je suis allergique aux noix
Recuerda que mi hija se llama Eva
Ricorda che parto lunedì
Lembre que sou alérgico a amendoim
Запомни: у меня аллергия на орехи
记住我的生日是五月三日
覚えておいて、会議は月曜です
기억해 줘, 내일 회의 있어
تذكر أن اجتماعي غدا
""".strip().splitlines()

FORGET = """
Forget my old address
please forget that I live in Rome
Delete everything you know about me from memory
Vergiss meine alte Adresse
Oublie mon adresse
Olvida mi dirección
Забудь мой адрес
忘掉我的地址
私の住所を忘れて
내 주소를 잊어 줘
""".strip().splitlines()


def test_hardly_anything_worth_remembering_is_missed() -> None:
    missed = [text for text in TELLING if not cue_of(text).worth]

    assert len(missed) <= len(TELLING) // 20, missed


def test_most_questions_and_tasks_cost_no_model() -> None:
    passed = [text for text in IDLE if cue_of(text).worth]

    assert len(passed) <= len(IDLE) // 10, passed


@pytest.mark.parametrize("text", REMEMBER)
def test_a_wish_to_remember_hurries(text: str) -> None:
    assert cue_of(text).urgent
    assert not cue_of(text).forget


@pytest.mark.parametrize("text", FORGET)
def test_a_wish_to_forget_is_told_from_all_else(text: str) -> None:
    assert cue_of(text).forget
    assert cue_of(text).urgent


@pytest.mark.parametrize(
    "text", [*TELLING, *IDLE, "Don't forget my birthday", "never forget that I am vegan"]
)
def test_nothing_else_asks_to_forget(text: str) -> None:
    assert not cue_of(text).forget


@pytest.mark.parametrize(
    "text", ["I remember when we met", "do you remember me?", "remember when phones had wires?"]
)
def test_talking_of_memory_is_no_wish(text: str) -> None:
    assert not cue_of(text).urgent


def test_what_stands_in_code_is_not_said() -> None:
    assert not cue_of("fix this:\n```\nI live in Paris\n```").worth
    assert not cue_of("explain `my_name`").worth
