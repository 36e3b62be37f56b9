"""What is kept for which word, without a database."""

from __future__ import annotations

from memory.sealed import UNSEALED
from memory.store.sealing import OPEN, Sealing
from tests.fakes.sealed import sealer


def test_texts_and_bytes_are_sealed_each_time_anew_and_nothing_stays_nothing() -> None:
    sealing = Sealing(sealer("red"))
    words = sealing.words("red")
    texts = {words.seal("tea") for _ in range(9)}
    assert len(texts) == 9
    assert {sealing.opened(["text"], [text]) for text in texts} == {("tea",)}
    columns, values = ["body", "text", "quote", "seq"], [words.pack(b"\x90"), words.seal("é"), None, 7]
    assert sealing.opened(columns, values) == (b"\x90", "é", None, 7)
    assert (words.seal(""), words.name("")) == ("", "")


def test_a_name_is_kept_as_the_same_digest_and_asked_for_by_both() -> None:
    words = Sealing(sealer("*")).words("red")
    kept = words.name("rex")
    assert kept == words.name("rex") != words.name("max")
    assert "rex" not in kept
    assert words.names(["rex"]) == {"rex": "rex", kept: "rex"}
    assert words.also(kept, "rex") == {"rex", kept} == words.also("rex", "rex")
    assert words.also("another", "rex") == {"another"}
    assert kept != Sealing(sealer("*")).words("blue").name("rex")
    assert kept != Sealing(sealer("*", key=b"n" * 32)).words("red").name("rex")


def test_words_of_a_plain_project_stay_as_they_are() -> None:
    for words in (OPEN, Sealing(UNSEALED).words("red"), Sealing(sealer("blue")).words("red")):
        assert (words.seal("tea"), words.pack(b"tea"), words.name("tea")) == ("tea", b"tea", "tea")
        assert words.names(["tea"]) == {"tea": "tea"}


def test_nobody_has_a_seal_of_another_project_opened_by_saying_it() -> None:
    sealing = Sealing(sealer("red"))
    stolen = sealing.words("red").seal("tea")
    said = sealing.words("blue").seal(stolen)
    again = sealing.words("red").seal(stolen)
    assert sealing.opened(["text", "quote", "user"], [said, again, stolen]) == (f" {stolen}", stolen, stolen)


def test_what_no_key_opens_stays_as_it_is() -> None:
    said = ("sealed:1:cmVk:AAAA", "sealed:1:", b"sealed:1:\xff")
    assert Sealing(sealer("red")).opened(["text"] * 3, said) == said
