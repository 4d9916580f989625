"""What counts as the same but for its spelling."""

from __future__ import annotations

import pytest

from ft_notebook.data.checks.spelling import folded, has_digit, is_inflected, is_slip


@pytest.mark.parametrize(("one", "other"), [
    ("desktop", "dekstop"), ("address", "adress"), ("statment", "statement"), ("form", "from"), ("bug", "bugg"),
    ("crash", "crasj"), ("the", "teh"),
])
def test_one_letter_more_less_other_or_swapped_is_a_slip(one: str, other: str):
    assert is_slip(one, other) and is_slip(other, one)


@pytest.mark.parametrize(("one", "other"), [
    ("paris", "london"), ("encode", "decode"), ("cat", "bat"), ("on", "of"), ("same", "same"), ("login", "sign"),
])
def test_other_words_are_no_slips(one: str, other: str):
    assert not is_slip(one, other)


def test_an_ending_of_two_letters_keeps_a_word_and_a_longer_one_does_not():
    assert is_inflected("slow", "slowly") and is_inflected("charges", "charge")
    assert not is_inflected("bug", "bugs")
    assert not is_inflected("import", "importance")


def test_case_and_white_space_are_folded_and_digits_are_seen():
    assert folded("  Straße \n B ") == "strasse b"
    assert has_digit("v2") and not has_digit("two")
