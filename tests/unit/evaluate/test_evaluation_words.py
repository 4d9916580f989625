"""Figures as words, and rows told apart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sample_evaluation import made_rows, sample

from ft_notebook.evaluate.evaluation import Answer, Calibration, Evaluation, Verdict
from ft_notebook.evaluate.words.rows import baseline_of, failures, hit, is_graded, lead, tuned_of
from ft_notebook.evaluate.words.tables import (
    differences_table,
    figures_table,
    gates_table,
    glance_table,
    hard_table,
    slices_table,
)
from ft_notebook.evaluate.words.words import (
    calibration_words,
    chance,
    change,
    direction,
    fit_words,
    forgetting_words,
    rows_named,
    verdict_words,
    with_interval,
)


@pytest.mark.parametrize(("value", "low", "high", "is_share", "words"), [
    (0.86, 0.81, 0.91, True, "86 % (81 to 91)"), (0.86, None, None, True, "86 %"), (0.004, 0.001, 0.02, True, "0.4 % (0.1 to 2.0)"),
    (2.5, 2.25, 3.0, False, "2.50 (2.25 to 3.00)")])
def test_a_value_is_said_with_its_interval(value, low, high, is_share, words):
    assert with_interval(value, low, high, is_share=is_share) == words


@pytest.mark.parametrize(("difference", "low", "high", "words"), [
    (0.31, 0.24, 0.38, "+31 points (+24 to +38)"), (0.01, None, None, "+1 point"), (-0.02, -0.06, 0.0, "-2 points (-6 to 0)"), (0.0, None, None, "0 points")])
def test_a_difference_has_a_sign_and_its_interval(difference, low, high, words):
    assert change(difference, low, high) == words


def test_a_difference_that_is_no_share_has_no_points():
    assert change(-0.5, -0.75, 0.25, is_share=False) == "-0.50 (-0.75 to +0.25)"


@pytest.mark.parametrize(("p_value", "words"), [(0.0000001, "< 0.001"), (0.0412, "0.041"), (0.5, "0.50")])
def test_a_p_value_is_said_as_exactly_as_it_matters(p_value, words):
    assert chance(p_value) == words


def test_a_difference_is_better_where_it_goes_the_right_way_and_is_decided():
    assert direction(0.1, is_decided=True) == "better" and direction(-0.1, is_decided=True) == "worse"
    assert direction(0.1, is_decided=True, is_higher_better=False) == "worse"
    assert direction(0.1, is_decided=False) == "undecided" == direction(0.0, is_decided=True)


def test_the_verdict_says_what_to_do_first_and_once():
    assert verdict_words(Verdict(kind="hold", sentence="few-shot does as well.", reasons=[])) == "Do not ship. few-shot does as well."
    assert verdict_words(Verdict(kind="ship", sentence="Ship: better.", reasons=[])) == "Ship: better."
    assert verdict_words(Verdict(kind="undecided", sentence="", reasons=[])) == "Undecided."


def calibration(**changes):
    return Calibration(**{**dict(ece=0.2, ece_low=None, ece_high=None, confidence=0.9, accuracy=0.6, is_decided=True, bins=[], coverage=[], wanted=0.95,
                                 threshold=None, handed_over=None), **changes})


@pytest.mark.parametrize(("changes", "words"), [
    ({}, "It is 90 % sure on average, and right in 60 % of the rows: it is surer than it is right."),
    ({"confidence": 0.3}, "it is more often right than it is sure."), ({"is_decided": False}, "within noise."), ({}, "No confidence marks off answers of which 95 % are right."),
    ({"threshold": 0.0, "handed_over": 0.0}, "95 % are right without handing anything over."),
    ({"threshold": 0.62, "handed_over": 0.08}, "Hand over the 8 % of rows below 0.62 confidence: of the others at least 95 % are right."),
    ({"threshold": 0.93, "handed_over": 0.79}, "Only the 21 % of rows at 0.93 confidence or more reach the wanted 95 %.")])
def test_calibration_is_told_in_sentences(changes, words):
    assert words in " ".join(calibration_words(calibration(**changes)))


def test_fit_and_forgetting_say_the_size_and_whether_chance_explains_it():
    found = sample()
    assert fit_words(found.fit, "exact_match") == [
        "exact match 92 % on 200 examples it was trained on, 89 % here: +6 points (+1 to +11).",
        "Of 40 training examples long enough to tell, 2 are continued word by word: rows 3, 77."]
    first, second = forgetting_words(found.forgetting)
    assert first == "General questions (200): 41 % right before, 38 % after: -3.0 points (-5.5 to -0.5)."
    assert second.startswith("On 40 general prompts (1,234 tokens) it moved 0.12 (0.10 to 0.15) nats a token away") and "35 % of the answers" in second
    noise = found.fit.model_copy(update={"is_decided": False, "continued": 0})
    assert fit_words(noise, "exact_match")[0].endswith("(+1 to +11), within noise.") and len(fit_words(noise, "exact_match")) == 1


def test_many_rows_are_named_in_part():
    assert rows_named([3]) == "row 3" and rows_named(range(1, 16)) == "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 3 more"


def test_failures_are_what_the_tuned_model_got_wrong_the_surest_first():
    found = sample()
    wrong = failures(found)
    assert len(wrong) == sum(row.answers["tuned"].score == 0 for row in found.rows) > 5
    sure = [row.answers["tuned"].confidence for row in wrong]
    assert sure == sorted(sure, reverse=True) and len(set(sure)) > 1
    assert (tuned_of(found).name, baseline_of(found).name, is_graded(found)) == ("tuned", "retrieved", False)


def test_graded_scores_fail_below_half_and_losses_where_the_baseline_is_better():
    rows = made_rows(10)
    graded = [row.model_copy(update={"answers": {**row.answers, "tuned": Answer(text="x", score=at / 10, confidence=0.5), "retrieved": Answer(text="y", score=0.5, confidence=None)}})
              for at, row in enumerate(rows)]
    found = sample(10, rows=graded)
    assert is_graded(found) and [row.row for row in failures(found)] == [3, 4, 5, 6, 7]
    assert hit(found, 0.5, graded=True) and not hit(found, 0.5, graded=False) and hit(found, None, graded=True) is None
    main = tuned_of(found).figures[0].model_copy(update={"is_share": False, "is_higher_better": False})
    contenders = [each.model_copy(update={"figures": [main]}) for each in found.contenders]
    loss = found.model_copy(update={"contenders": contenders})
    assert hit(loss, 0.9, graded=True) is None and lead(loss, graded[9]) == pytest.approx(-0.4)
    assert [row.row for row in failures(loss)] == [12, 11, 10, 9]


def test_a_row_that_a_contender_did_not_answer_is_no_failure():
    rows = made_rows(3)
    without = rows[0].model_copy(update={"answers": {"base": rows[0].answers["base"]}})
    found = sample(3, rows=[without, *rows[1:]])
    assert without not in failures(found) and lead(found, without) is None


def test_tables_say_what_a_call_takes_and_leave_out_what_nobody_measured():
    found = sample()
    rows = {row[0]: row[1:] for row in glance_table(found).rows}
    assert rows["tokens a call"] == ("543", "77") and rows["hard inputs handled"] == ("17 of 30", "24 of 30") and rows["general questions"] == ("41 %", "38 %")
    figures = {row[0]: row[1:] for row in figures_table(found).rows}
    assert figures["perplexity"][1] == "–" and figures["seconds a call"][4] == "–" and len(figures["exact match"]) == 5
    plain = [each.model_copy(update={"seconds": None, "cost": None}) for each in found.contenders]
    without = found.model_copy(update={"contenders": plain, "forgetting": None, "calibration": None, "slices": [], "hard": []})
    assert [row[0] for row in glance_table(without).rows] == ["tokens a call"]
    alone = found.model_copy(update={"contenders": [tuned_of(found)], "baseline": "tuned"})
    assert all(len(row) == 3 for row in glance_table(alone).rows) and glance_table(alone).rows[0] == ("tokens a call", "–", "77")


def test_tables_of_differences_slices_hard_inputs_and_gates():
    found = sample()
    last = differences_table(found).rows[-1]
    assert last[0] == "triage of 2026-11-20" and last[4:] == ("undecided", "90", "≈ 420")
    assert slices_table(found).rows[0][0] == "language: de" and slices_table(found).rows[0][-1] == "below the rest"
    assert hard_table(found.hard).rows[0] == ("Injected instructions", "6 of 10", "9 of 10", "90 % (60 to 98)")
    assert gates_table(found).caption == "1 gate failed" and gates_table(found).rows[1][1] == "✗ failed"
    passed = found.model_copy(update={"gates": [found.gates[0]]})
    assert gates_table(passed).caption == "All gates passed" and passed.is_passed


def test_the_sample_is_read_back_as_it_was():
    found = sample()
    assert Evaluation.from_json(found.to_json()) == found == sample()
