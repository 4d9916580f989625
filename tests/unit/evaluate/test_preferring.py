"""Pairs drawn fairly out of an evaluation, and a win rate that says no more than an exact test allows."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from answered import answered, ten

from ft_notebook.data.examples import Message
from ft_notebook.data.people.agreement import agreement_of
from ft_notebook.errors import UserError
from ft_notebook.evaluate.assess import KEPT_CHARACTERS
from ft_notebook.evaluate.preferring import pairs_of, preference_of, preference_words, win_interval
from ft_notebook.evaluate.stats.intervals import wilson_interval
from ft_notebook.evaluate.stats.significance import mcnemar_exact

BOTH = ("tuned", "few-shot")


def outcomes(counts: dict[str, int], reviewer: str = "ana") -> dict[str, dict[str, str]]:
    said = [outcome for outcome, count in counts.items() for _ in range(count)]
    return {f"p{at}": {reviewer: outcome} for at, outcome in enumerate(said)}


def test_pairs_are_the_rows_that_are_answered_otherwise_and_the_rest_is_counted() -> None:
    drawn = pairs_of(ten(), BOTH, count=50)
    pairs = drawn.pairs
    assert (len(pairs), drawn.alike, drawn.cut) == (10, 2, 0)
    assert sorted((pair.row, pair.first, pair.second) for pair in pairs) == sorted(
        (at, f"tuned says {at}", f"other says {at}") for at in range(1, 11))
    assert [pair.row for pair in pairs] != list(range(1, 11)), "in no order that could tell anything"


def test_fewer_pairs_are_the_first_of_more_and_another_seed_draws_others() -> None:
    many, few = pairs_of(ten(), BOTH, count=50, seed=3).pairs, pairs_of(ten(), BOTH, count=4, seed=3).pairs
    assert few == many[:4] and pairs_of(ten(), BOTH, count=4, seed=4).pairs != few


def test_conversation_stands_for_the_prompt_where_it_is_given() -> None:
    turns = (Message("system", "be brief"), Message("user", "hi"))
    pairs = pairs_of(ten(), BOTH, count=50, conversations={"r1": turns}).pairs
    assert {pair.row: pair.messages for pair in pairs}[1] == turns
    assert {pair.row: pair.messages for pair in pairs}[2] == (Message("user", "question 2"),)


def test_texts_of_which_the_evaluation_keeps_a_part_only_are_not_judged() -> None:
    long = "x" * KEPT_CHARACTERS
    evaluation = answered([("a", f"{long}y", "b"), (f"{long}y", "a", "b"), ("c", long, "b")])
    drawn = pairs_of(evaluation, BOTH, count=50)
    assert ([pair.row for pair in drawn.pairs], drawn.cut) == ([3], 2)
    turns = (Message("user", "hi"), Message("assistant", "ho"), Message("user", f"{long}y"))
    assert pairs_of(evaluation, BOTH, count=50, conversations={"r2": turns}).cut == 1, "which is whole"
    with pytest.raises(UserError, match="All texts are longer than the 4,000 characters"):
        pairs_of(answered([("a", f"{long}y", "b")]), BOTH, count=50)


@pytest.mark.parametrize(("contenders", "count", "sentence"), [
    (("tuned", "few_shot"), 5, "`few_shot` is no contender of this evaluation; .* Did you mean `few-shot`"),
    (("tuned", "tuned"), 5, "`tuned` cannot be compared with itself"), (BOTH, 0, "at least one pair is needed"),
])
def test_what_cannot_be_compared_is_refused(contenders: tuple[str, str], count: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        pairs_of(ten(), contenders, count=count)


def test_contenders_that_answer_alike_leave_nothing_to_choose() -> None:
    evaluation = ten()
    with pytest.raises(UserError, match="answer alike on all 2 rows"):
        pairs_of(evaluation.model_copy(update={"rows": evaluation.rows[10:]}), BOTH, count=5)


def test_win_rate_counts_ties_and_two_bad_answers_half() -> None:
    found = preference_of(outcomes({"first": 7, "second": 2, "tie": 2, "both bad": 1}), contender="few-shot")
    assert found is not None and (found.wins, found.losses, found.ties, found.contender, found.by) == (7, 2, 3, "few-shot", "people")
    assert found.win_rate == pytest.approx((7 + 1.5) / 12)
    # Exact sign test of 7 against 2: 2 (1 + 9 + 36) / 512.
    assert found.p_value == pytest.approx(2 * 46 / 512)
    assert found.low is not None and found.high is not None and found.low <= 0.5 < found.win_rate < found.high


def test_win_interval_without_ties_is_wilson_s_of_the_pairs_won() -> None:
    # 10 of 10: n / (n + 1.96 squared) by hand.
    assert win_interval(10, 0, 0) == pytest.approx((10 / (10 + 3.8414588), 1.0))
    for wins, losses in ((18, 2), (3, 17), (10, 10), (40, 10)):
        assert win_interval(wins, losses, 0) == pytest.approx(wilson_interval(wins, wins + losses), abs=1e-9)


def test_each_pair_counts_once_by_what_its_reviewers_say_together() -> None:
    given = {"p1": {"ana": "first", "ben": "first", "cem": "second"}, "p2": {"ana": "first", "ben": "second"},
             "p3": {"ana": "tie", "ben": "second"}, "p4": {"ana": "both bad"}}
    found = preference_of(given, contender="base", agreement=agreement_of(given, ["ana", "ben"]))
    assert found is not None and (found.wins, found.losses, found.ties) == (1, 1, 2) and found.win_rate == 0.5
    # ana and ben on p1 to p3: p_o = 1/3, p_e = 2/3 * 1/3, so kappa = (3/9 - 2/9) / (7/9).
    assert found.agreement == pytest.approx(1 / 7) and found.p_value == 1.0


def test_nothing_judged_has_no_win_rate() -> None:
    assert preference_of({}, contender="base") is None and preference_of({"p": {}}, contender="base") is None


def test_interval_and_exact_test_never_disagree() -> None:
    for pairs in range(1, 31):
        for wins in range(pairs + 1):
            for losses in range(pairs - wins + 1):
                low, high = win_interval(wins, losses, pairs - wins - losses)
                assert 0 <= low <= (wins + (pairs - wins - losses) / 2) / pairs <= high <= 1
                assert (mcnemar_exact(wins, losses) <= 0.05) == (not low <= 0.5 <= high)


@pytest.mark.parametrize("shares", [(0.3, 0.3), (0.5, 0.2), (0.6, 0.05), (0.7, 0.3)])
def test_interval_of_fifty_pairs_holds_the_truth_in_about_95_of_100_reviews(shares: tuple[float, float]) -> None:
    generator, held = random.Random(0), 0
    won, lost = shares
    for _ in range(2000):
        drawn = generator.choices((1, -1, 0), (won, lost, 1 - won - lost), k=50)
        low, high = win_interval(drawn.count(1), drawn.count(-1), drawn.count(0))
        held += low <= won + (1 - won - lost) / 2 <= high
    assert 0.93 <= held / 2000 <= 0.985


def test_words_say_who_is_preferred_or_that_it_is_too_close() -> None:
    clear = preference_of(outcomes({"first": 18, "second": 2}), contender="few-shot")
    lost = preference_of(outcomes({"first": 2, "second": 18}), contender="few-shot")
    close = preference_of(outcomes({"first": 1}), contender="few-shot")
    assert clear is not None and lost is not None and close is not None
    titles = ("tuned: triage", "base, 5 examples")
    assert preference_words(clear, titles).startswith("Reviewers prefer tuned: triage to base, 5 examples: the win rate of tuned: triage is 90 % (95 % interval ")
    assert preference_words(lost, titles).startswith("Reviewers prefer base, 5 examples to tuned: triage: the win rate of tuned: triage is 10 % (95 % interval ")
    assert preference_words(close, titles).startswith("Too close to call between") and "on 1 pair, p = 1." in preference_words(close, titles)
