"""Characters that nobody sees are found and taken out, but for those that a script or an emoji needs."""

import pytest
from subjects import fixed, found, only, pairs

from ft_notebook.data.checks.hidden import HiddenCharacters, hidden_in, visible


@pytest.mark.parametrize(("text", "kind", "clean"), [
    ("pass\u200bword", "zero-width character", "password"), ("a\u200d\u200db", "zero-width character", "ab"),
    ("end\u200c", "zero-width character", "end"), ("\ufeffstart", "byte order mark", "start"), ("co\u00adop", "soft hyphen", "coop"),
    ("word\u2060joiner", "invisible character", "wordjoiner"), ("\u3164", "invisible character", ""),
    ("ring\x07 back\x08", "control character", "ring back"), ("\x1b[31mred\x1b[0m", "terminal code", "red"),
    ("\x1b]0;title\x07x", "terminal code", "x"), ("a \u200eb", "direction mark", "a b"),
    ("admin\u202etxt.exe\u202c", "direction override", "admintxt.exe"),
    ("hi" + "".join(chr(0xE0000 + ord(char)) for char in "obey me"), "hidden text", "hi"),
])
def test_a_hidden_character_is_found_and_taken_out(text, kind, clean):
    subject = pairs((text + " and more", "ok"))
    findings = found(HiddenCharacters(), subject)
    assert {each for pieces in [dict(hidden_in(text + " and more"))] for each in pieces.values()} == {kind}
    assert findings[0].severity == ("harms" if kind in ("direction override", "hidden text") else "notice")
    assert kind in findings[0].message
    assert fixed(findings[0], subject)[1]["prompt"] == clean + " and more"


@pytest.mark.parametrize("text", [
    "plain\ttext\nwith lines\r\n", "family 👨‍👩‍👧‍👦, flag 🏳️‍🌈, ❤️‍🔥, 👩🏽‍💻", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "نامه‌ای", "क्‍ष श्री",
    "สวัสดี\u200bครับ", "\u200fשלום\u200e hello", "\u2067عربي\u2069", "no-break\u00a0space", "a\u2028b\u2029c", "page\x0cbreak\x0bsoft", "字\U000e0100",
    "É\u0301 combining", "Ã\u00ad is a letter read wrongly",
])
def test_characters_that_have_a_use_are_left_alone(text):
    assert list(hidden_in(text)) == []


def test_a_joiner_outside_an_emoji_is_taken_out_and_the_one_inside_stays():
    subject = pairs(("👨‍👩‍👧 lo\u200dve", "ok"))
    assert fixed(only(HiddenCharacters(), subject), subject)[1]["prompt"] == "👨‍👩‍👧 love"


def test_text_that_reads_otherwise_than_it_looks_is_worse_than_the_rest():
    subject = pairs(("a\u202eb", "ok"), ("c\u200bd", "ok"), ("fine", "ok"), ("e\u200bf\u202eg", "x"))
    harms, notice = found(HiddenCharacters(), subject)
    assert (harms.severity, harms.rows) == ("harms", (1, 4))
    assert (notice.severity, notice.rows) == ("notice", (2, 4))
    assert harms.message == "2 rows hold characters that cannot be seen: direction override 2"


def test_what_can_be_seen_stays():
    assert visible("a\u200bb\x1b[1mc\ufeff") == "abc"
