"""The interval of Cohen's kappa: near the textbook's for many items, never empty, and true at full agreement too."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ft_notebook.data.people.agreement import agreement_of, cohen_kappa, kappa_interval


def answers(counts: dict[str, int]) -> tuple[list[str], list[str]]:
    """`{"ab": 3}`: three items on which the first said a and the second b."""
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def test_interval_of_many_items_is_kappa_give_or_take_its_large_sample_error() -> None:
    # By hand: p_o = 0.8 and p_e = 0.7 * 0.7 + 0.3 * 0.3 = 0.58, so kappa is 0.22 / 0.42 = 0.5238, and its standard error
    # (0.8 * 0.2 / 2000)^0.5 / 0.42 = 0.0213.
    first, second = answers({"aa": 1200, "bb": 400, "ab": 200, "ba": 200})
    assert cohen_kappa(first, second) == pytest.approx(0.5238, abs=1e-4)
    assert kappa_interval(first, second) == pytest.approx((0.5238 - 0.0417, 0.5238 + 0.0417), abs=0.0015)


def test_full_agreement_on_few_items_is_no_certainty() -> None:
    low, high = kappa_interval(*answers({"aa": 5, "bb": 5}))
    # Wilson's lower limit for 10 of 10 is 0.722, which is (0.722 - 0.5) / 0.5 on kappa's scale.
    assert (low, high) == (pytest.approx(0.4449, abs=1e-4), pytest.approx(1.0)) and high <= 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_interval_holds_kappa_and_stays_on_its_scale(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    kappa = cohen_kappa(first, second)
    if kappa is not None:
        low, high = kappa_interval(first, second)
        assert -1 <= low <= kappa + 1e-12 and kappa - 1e-12 <= high <= 1 and high - low > 0.01


@pytest.mark.parametrize("kappa", [0.4, 0.7, 0.9])
def test_interval_of_twenty_items_holds_the_truth_in_about_95_of_100_reviews(kappa: float) -> None:
    generator = random.Random(1)
    held = drawn = 0
    for _ in range(1500):
        first = [generator.choices("abc", (0.5, 0.3, 0.2))[0] for _ in range(20)]
        second = [one if generator.random() < kappa else generator.choices("abc", (0.5, 0.3, 0.2))[0] for one in first]
        if cohen_kappa(first, second) is not None:
            low, high = kappa_interval(first, second)
            held, drawn = held + (low <= kappa <= high), drawn + 1
    assert 0.925 <= held / drawn <= 0.985


def test_agreement_in_words() -> None:
    found = agreement_of({1: {"ana": "a", "ben": "a"}, 2: {"ana": "b", "ben": "a"}, 3: {"ana": "b", "ben": "b"}}, ["ana", "ben"])
    assert found is not None and found.disagreed == (2,)
    assert found.words("row").startswith("ana and ben agree on 2 of 3 rows; Cohen's kappa 0.40 (95 % ")
    same = agreement_of({"p": {"ana": "a", "ben": "a"}}, ["ana", "ben"])
    assert same is not None and (same.kappa, same.low, same.high) == (None, None, None)
    assert same.words("pair") == "ana and ben agree on 1 of 1 pair; all verdicts are the same, so Cohen's kappa has no meaning."
    three = agreement_of({1: dict.fromkeys("xyz", "a"), 2: dict.fromkeys("xyz", "b")}, ["x", "y", "z"])
    assert three is not None and three.words("row") == "x, y and z agree on 2 of 2 rows; Fleiss' kappa 1.00."
