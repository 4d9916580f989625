"""Changed inputs: enough to be hard, little enough that the right answer stays what it was."""

from __future__ import annotations

import difflib
from random import Random

import pytest

from ft_notebook.evaluate.probes.perturb import (
    CANARIES,
    cut_short,
    free_canaries,
    shouted,
    with_order,
    with_plea,
    with_typos,
)

TEXT = "Good morning, the invoice 2024-17 never arrived at anna@example.com. Could somebody please send it again today?"


@pytest.mark.parametrize("seed", range(20))
def test_typos_change_some_plain_words_and_no_other(seed: int) -> None:
    text = with_typos(TEXT, Random(seed), kept={"invoice"})
    assert text is not None and text == with_typos(TEXT, Random(seed), kept={"invoice"})
    pairs = list(zip(TEXT.split(), text.split(), strict=True))
    different = [(one, other) for one, other in pairs if one != other]
    assert 1 <= len(different) <= 3
    for one, other in different:
        assert one[0] == other[0] and difflib.SequenceMatcher(None, one, other).ratio() > 0.7 and len(one) >= 4
        assert one.strip(".,?") not in ("invoice", "2024-17", "anna@example.com")


def test_typos_keep_white_space_and_differ_by_seed() -> None:
    text = "First line here\n\n  second line there"
    made = {with_typos(text, Random(seed)) for seed in range(10)}
    assert len(made) > 3 and all(one is not None and "\n\n  " in one for one in made)


def test_a_text_without_a_plain_word_gets_no_typos() -> None:
    assert with_typos("a 12 is it? x@y.de", Random(0)) is None and with_typos("", Random(0)) is None
    assert with_typos("invoice Invoice", Random(0), kept={"invoice"}) is None


def test_shouting_leaves_addresses_and_kept_words_alone() -> None:
    assert shouted(TEXT, kept={"invoice"}) == (
        "GOOD MORNING, THE invoice 2024-17 NEVER ARRIVED AT anna@example.com. COULD SOMEBODY PLEASE SEND IT AGAIN TODAY?")
    assert shouted("I don't, x_y") == "I DON'T, x_y"
    assert shouted("ALL CAPITALS") is None and shouted("こんにちは") is None


def test_the_first_half_is_kept_and_a_short_text_is_not_cut() -> None:
    assert cut_short("one two  three\nfour five six seven") == "one two  three"
    assert cut_short("only four words here") is None and cut_short("") is None
    assert cut_short("今日はとてもいい天気ですね、散歩しましょう") == "今日はとてもいい天気"
    assert cut_short("supercalifragilistic words") is None


def test_an_order_stands_behind_and_a_plea_in_front() -> None:
    orders = {with_order(TEXT, "PAPAYA", number) for number in range(6)}
    assert len(orders) == 3 and all(one.startswith(TEXT + "\n\n") and one.count("PAPAYA") == 1 for one in orders)
    pleas = {with_plea(TEXT, number) for number in range(6)}
    assert len(pleas) == 3 and all(one.endswith(" " + TEXT) for one in pleas)


def test_a_canary_that_the_data_says_is_not_used() -> None:
    assert free_canaries(["I ate a papaya", "walruses"]) == [one for one in CANARIES if one not in ("PAPAYA", "WALRUS")]


def test_a_long_line_of_signs_takes_no_time() -> None:
    import time

    start = time.process_time()
    for text in ("-" * 200_000, "a" + "-" * 200_000 + "b", "x " * 50_000):
        with_typos(text, Random(0))
        shouted(text)
        cut_short(text)
    assert time.process_time() - start < 5
