"""Wrongly read text is told from text that only looks like it, and put right."""

import pytest
from subjects import fixed, found, only, pairs

from ft_notebook.data.checks.encoding import Encoding
from ft_notebook.data.checks.mojibake import lost_characters, mended, mended_words

SENTENCES = [
    "François a mangé une crêpe à la forêt, voilà l’été où l'on naît", "„Größe“ – Übermut in Österreich, Straße",
    "“Don’t”, she said… it costs €5 – or £4 —", "El niño comió piña en el corazón de España", "Ça va bien, merci ? Œuvre",
    "Привет, как дела", "Καλημέρα κόσμε", "日本語の文章です", "שלום עולם", "good job 👍 😀", "naïve café, 20 °C ± 1", "Łódź, Kraków, żółć",
    "Kā tev iet, Ķīna", "Ångström and smörgåsbord", "2 × 3 ≠ 7 → ok ✓",
]


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
def test_utf8_that_was_read_in_another_encoding_is_put_right(text, codec):
    if codec == "cp1252":
        broken = "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in text.encode())
    else:
        broken = text.encode().decode("latin-1")
    assert broken != text
    for old, new in dict(mended_words(broken)).items():
        broken = broken.replace(old, new)
    assert broken == text


def test_text_that_was_read_wrongly_twice_is_put_right():
    twice = "crêpe à l’été".encode().decode("latin-1").encode().decode("latin-1")
    assert " ".join(mended(word) for word in twice.split(" ")) == "crêpe à l’été"


def test_windows_characters_that_were_read_as_controls_are_put_right():
    assert dict(mended_words("\x93Hi\x94 for 5\x80")) == {"\x93Hi\x94": "“Hi”", "5\x80": "5€"}


@pytest.mark.parametrize("text", [
    *SENTENCES, "plain", "NÃO e SÃO PAULO", "IRMÃ” e AMANHÃ… e MAÇû", "„Ä“ ist ein Umlaut", "„Ö“, «Â»", "30 Å² and 5 Å³", "voilà\u00a0»",
    "« À\u00a0» et « é\u00a0»", "CAFÉ® and MENÜ“", "Spaß“ und Fuß”", "HYVÄ…", "20°C, 5µm, ½×¾", "Ærø, Øl, Åse", "Ð and ð in Icelandic: það",
    "a\u00a0b", "ñ°", "Ñandú", "the sign � stands for what cannot be read", "'�' (U+FFFD)", "»Äh…« sagt er",
])
def test_text_that_is_right_is_left_alone(text):
    assert dict(mended_words(text)) == {}
    assert list(lost_characters(text)) == []


def test_the_fix_mends_words_and_what_is_lost_is_a_finding_of_its_own():
    subject = pairs(("FranÃ§ois asked: donâ€™t you?", "Yes, FranÃ§ois"), ("right", "ok"), ("Fran�ois", "and caf�"), ("lost ï¿½ here", "x"))
    wrong, lost = found(Encoding(), subject)
    assert (wrong.severity, wrong.rows, lost.severity, lost.rows) == ("harms", (1,), "harms", (3, 4))
    assert wrong.message == "1 row was read in the wrong encoding, such as `FranÃ§ois` for `François`"
    assert fixed(wrong, subject)[1] == {"prompt": "François asked: don’t you?", "completion": "Yes, François"}
    assert lost.message == "2 rows have lost characters on the way, such as `Fran�ois`"
    assert lost.spots[3] == ["Fran�ois", "caf�"]
    assert set(fixed(lost, subject)) == {1, 2}


def test_a_set_without_such_text_has_no_finding():
    assert found(Encoding(), pairs(("Größe", "size"), ("naïve", "yes"))) == []


def test_a_word_of_thousands_of_characters_is_cut_where_it_is_shown():
    finding = only(Encoding(), pairs(("x" * 5000 + "Ã©" + "y" * 5000, "ok")))
    assert all(len(spot) < 200 for spot in finding.spots[1])
