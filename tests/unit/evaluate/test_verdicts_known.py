"""Verdicts that are right: settings whose answer is known, three seeds each."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from verdict_bed import LABELS, Bed, evaluated, general, with_answers

from ft_notebook.evaluate.evaluation import Evaluation

SEEDS = (1, 2, 3)


def reasons(evaluation: Evaluation) -> list[str]:
    return [reason.kind for reason in evaluation.verdict.reasons]


def flipped(bed: Bed, hits: list[bool], lost: int, gained: int) -> list[bool]:
    """Other answers: so many of the hits missed, and so many of the misses hit."""
    right, wrong = ([place for place, hit in enumerate(hits) if hit is wanted] for wanted in (True, False))
    changed = {*bed.rng.sample(right, lost), *bed.rng.sample(wrong, gained)}
    return [hit != (place in changed) for place, hit in enumerate(hits)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tuned_model_that_beats_every_prompt_is_shipped(seed: int) -> None:
    bed = Bed.of(seed)
    found = evaluated(replace(bed.material(), forgetting=general(bed.rng, base=0.6, tuned=0.6)))
    assert found.verdict.kind == "ship"
    assert reasons(found)[0] == "beats_prompts"
    assert found.baseline == "retrieved"
    assert "+35 points exact match (95 % interval" in found.verdict.sentence
    assert "over the best prompt (base, retrieved (BM25)), nothing forgotten" in found.verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_a_prompt_that_does_as_well_is_reason_not_to_ship(seed: int) -> None:
    bed = Bed.of(seed, rows=400)
    hits = bed.hits(0.84)
    found = evaluated(with_answers(with_answers(bed.material(), "tuned", bed.answers(hits)), "few-shot",
                                   bed.answers(flipped(bed, hits, 6, 6))))     # the two differ, to either side
    assert found.verdict.kind == "hold"
    assert reasons(found)[0] == "prompt_as_good"
    assert "Do not ship: the best prompt (base, 5 examples) does" in found.verdict.sentence


def test_a_prompt_that_has_all_rows_right_leaves_nothing_to_gain_however_few_they_are() -> None:
    bed = Bed.of(1, rows=60)
    always = bed.hits(1.0)
    found = evaluated(with_answers(with_answers(bed.material(), "tuned", bed.answers(always)), "few-shot",
                                   bed.answers(always)))
    assert (found.verdict.kind, reasons(found)[0]) == ("hold", "prompt_as_good")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gain_that_is_sure_and_too_small_to_pay_is_reason_not_to_ship(seed: int) -> None:
    bed = Bed.of(seed, rows=400)
    hits = bed.hits(0.84)
    found = evaluated(with_answers(with_answers(bed.material(), "tuned", bed.answers(hits)), "few-shot",
                                   bed.answers(flipped(bed, hits, 10, 0))))
    assert next(one for one in found.differences if one.contender == "few-shot").is_decided
    assert found.verdict.kind == "hold"
    assert "(base, 5 examples) does nearly as well: +2 points" in found.verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_tuned_on_shuffled_labels_is_not_shipped(seed: int) -> None:
    bed = Bed.of(seed)
    material = bed.material(base=0.45)
    guesses = [replace(one, text=bed.rng.choice(LABELS)) for one in bed.answers([False] * len(bed.rows))]
    found = evaluated(with_answers(material, "tuned", guesses))
    assert found.verdict.kind == "hold"
    assert reasons(found)[0] == "worse"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_score_on_rows_that_were_trained_on_means_nothing(seed: int) -> None:
    bed = Bed.of(seed)
    leaked = replace(bed, train=[*bed.train, *(replace(row, id=f"copy-{row.id}") for row in bed.rows)])
    found = evaluated(leaked.material(tuned=0.99))
    assert found.verdict.kind == "hold"
    assert reasons(found)[0] == "trained_on_rows"
    assert "240 of the 240 rows are among the training examples" in found.verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_that_forgot_another_task_is_not_shipped(seed: int) -> None:
    bed = Bed.of(seed)
    found = evaluated(replace(bed.material(), forgetting=general(bed.rng, base=0.6, tuned=0.4)))
    assert found.verdict.kind == "hold"
    assert reasons(found)[0] == "forgot"
    assert "-20 points" in found.verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracy_that_one_label_alone_would_reach_is_seen_through(seed: int) -> None:
    bed = Bed.of(seed, weights=(97, 1, 1, 1))
    material = bed.material(base=0.6, few_shot=0.7, retrieved=0.7)
    always = [replace(one, text="billing") for one in bed.answers([True] * len(bed.rows))]
    found = evaluated(with_answers(material, "tuned", always))
    assert found.contender("tuned").figures[0].value > 0.9
    assert found.verdict.kind == "hold"
    assert reasons(found)[0] == "one_class"
    assert "no better than always answering `billing`" in found.verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_saying_one_label_is_no_merit_where_the_best_prompt_says_it_too(seed: int) -> None:
    bed = Bed.of(seed, weights=(97, 1, 1, 1))
    always = [replace(one, text="billing") for one in bed.answers([True] * len(bed.rows))]
    found = evaluated(with_answers(with_answers(bed.material(base=0.6, retrieved=0.7), "tuned", always), "few-shot", always))
    assert found.verdict.kind == "hold" and "one_class" in reasons(found)[:2]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_sure_to_speak_against_it_holds_it_back_however_few_the_rows(seed: int) -> None:
    bed = Bed.of(seed, rows=12)
    material = bed.material(base=0.25, few_shot=0.5, retrieved=0.5, tuned=0.75)
    found = evaluated(replace(material, forgetting=general(bed.rng, base=0.6, tuned=0.4)))
    assert (found.verdict.kind, reasons(found)[:2]) == ("hold", ["forgot", "too_few"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_score_above_that_of_one_label_is_not_called_equal_to_it_on_a_few_rows(seed: int) -> None:
    bed = Bed.of(seed, rows=14, weights=(12, 1, 1, 1))
    billing = sum(row.target == "billing" for row in bed.rows) / len(bed.rows)
    assert billing >= 0.6, "one label is worth a look"
    found = evaluated(bed.material(base=0.25, few_shot=billing, retrieved=0.5, tuned=min(1.0, billing + 0.1)))
    assert found.verdict.kind == "undecided" and "one_class" not in reasons(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_confidence_that_means_nothing_is_told(seed: int) -> None:
    bed = Bed.of(seed)
    sure = bed.answers(bed.hits(0.75), sure=lambda is_hit, rng: rng.uniform(0.97, 1.0))
    found = evaluated(with_answers(bed.material(), "tuned", sure))
    assert found.verdict.kind == "ship"
    assert next(reason.kind for reason in found.verdict.reasons if not reason.is_good) == "overconfident"
    assert "confidence cannot be trusted" in found.verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_a_confidence_that_is_honest_is_not_blamed(seed: int) -> None:
    bed = Bed.of(seed)
    assert "overconfident" not in reasons(evaluated(bed.material()))


@pytest.mark.parametrize("seed", SEEDS)
def test_too_few_rows_leave_it_undecided_and_say_how_many_it_takes(seed: int) -> None:
    bed = Bed.of(seed, rows=12)
    found = evaluated(bed.material(base=0.25, few_shot=0.5, retrieved=0.5, tuned=0.75))
    assert found.verdict.kind == "undecided"
    assert reasons(found)[0] == "too_few"
    assert "12 rows are too few" in found.verdict.sentence
    assert "rows would tell such a difference" in found.verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gate_that_fails_holds_a_good_model_back(seed: int) -> None:
    found = evaluated(Bed.of(seed).material(), gates=["exact_match >= 0.95"])
    assert found.verdict.kind == "hold"
    assert reasons(found)[0] == "gate_failed"
    assert not found.is_passed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slice_that_fails_is_named(seed: int) -> None:
    bed = Bed.of(seed)
    spanish = set(bed.rng.sample(range(len(bed.rows)), 60))
    hits = [place not in spanish or bed.rng.random() < 0.3 for place in range(len(bed.rows))]
    material = with_answers(bed.material(), "tuned", bed.answers(hits))
    columns = {row.id: {"country": "es" if place in spanish else "uk"} for place, row in enumerate(bed.rows)}
    found = evaluated(replace(material, subject=replace(material.subject, columns=columns)),
                      report={"slices": ["country"]})
    assert (found.slices[0].column, found.slices[0].value) == ("country", "es")
    assert "weak where `country` is `es`" in found.verdict.sentence
