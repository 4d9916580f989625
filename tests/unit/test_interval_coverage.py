"""The benchmark of intervals: its quick ways to a figure are the metrics' own, and its page says what was found."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import interval_evaluation as evaluation
from benchmarks import interval_settings as settings
from benchmarks.interval_coverage import (
    ALARMS,
    COVERAGE,
    Effort,
    alarms,
    corpora,
    figures,
    losses,
    macro_f1,
    paired_hits,
    score_alarms,
    shares,
)
from benchmarks.interval_page import Row, merged, page, read_page
from ft_notebook.evaluate.metrics.bleu import Bleu, bleu_counts
from ft_notebook.evaluate.metrics.chrf import Chrf, chrf_counts
from ft_notebook.evaluate.metrics.macro_f1 import MacroF1

SMALL = Effort(simulations=40, resamples=200, sizes=(60,), share_sizes=(60,))


def test_macro_f1_of_counts_is_the_metric_s():
    counts = np.random.default_rng(0).integers(0, 4, size=(3, 4, 4))
    counts[2] = 0  # a label that does not occur
    references, base, tuned = [], [], []
    for true, first, second in product(range(3), range(4), range(4)):
        for _ in range(counts[true, first, second]):
            references.append(str(true))
            base.append(str(first))
            tuned.append(str(second))
    found = settings.macro_f1_of(settings.sides(counts[None].astype(float)))[:, 0]
    expected = [MacroF1().score(answers, references) for answers in (base, tuned)]
    # An answer with the label that does not occur is no label to the metric, and has no weight in the mean here.
    assert found == pytest.approx(expected, abs=1e-12)


def test_bleu_and_chrf_of_summed_counts_are_the_metrics_own():
    answers = ["the cat sat on the mat", "a dog slept in the warm sun here"]
    references = ["the cat sat on a mat today .", "the dog slept in the warm sun"]
    counts = np.array([bleu_counts(*pair) + chrf_counts(*pair) for pair in zip(answers, references, strict=True)], float)
    assert settings.bleu_of(counts.sum(axis=0)) == pytest.approx(Bleu().score(answers, references), abs=1e-9)
    assert settings.chrf_of(counts.sum(axis=0)) == pytest.approx(Chrf().score(answers, references), abs=1e-9)


def test_the_coverage_of_a_share_is_the_exact_sum():
    found = {row.setting: row for row in shares(Effort(share_sizes=(100,)))}
    # Wilson's interval holds 0.1 for 5 to 15 hits of 100.
    from scipy.stats import binom

    assert found["share, p = 0.1"].compare == pytest.approx(binom.cdf(15, 100, 0.1) - binom.cdf(4, 100, 0.1))
    assert all(0.9 < row.compare < 1 and row.contenders == row.compare for row in found.values())


def test_a_small_simulation_finds_most_intervals_right_and_few_alarms(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "FIGURES", {"ROUGE-L": settings.FIGURES["ROUGE-L"]})
    monkeypatch.setattr(settings, "NULL_FIGURES", {"ROUGE-L": settings.NULL_FIGURES["ROUGE-L, most changed"]})
    monkeypatch.setattr(settings, "CLASSES", {"even": settings.CLASSES["four even labels"]})
    rows = [row for part in (paired_hits, figures, macro_f1) for row in part(SMALL)]
    assert len(rows) == 5 + 3 + 3 and {row.n for row in rows} == {60}
    assert all(0.8 <= value <= 1 for row in rows for value in (row.compare, row.contenders) if value is not None)
    found = [*alarms(SMALL), *score_alarms(SMALL)]
    assert len(found) == 6 and all(row.contenders <= 0.2 for row in found)


def test_a_small_simulation_of_an_evaluation_s_own_intervals_finds_most_right_and_few_alarms(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(evaluation, "CONFIDENCES", {name: evaluation.CONFIDENCES[name] for name in (
        "calibrated", "calibrated, nearly sure")})
    monkeypatch.setattr(evaluation, "GROUPS", dict(list(evaluation.GROUPS.items())[:2]))
    small = Effort(simulations=60, resamples=200, sizes=(100,))
    rows = [row for part in evaluation.COVERAGE for row in part(small)]
    assert len(rows) == 2 + 6 + 2 and all(row.compare is None and row.contenders is None for row in rows)
    assert all(0.8 <= row.evaluation <= 1 for row in rows)
    found = [row for part in evaluation.ALARMS for row in part(small)]
    assert len(found) == 2 + 4 and all(row.evaluation <= 0.15 for row in found)


def test_the_true_calibration_error_of_bins_is_known_where_it_is_the_same_everywhere():
    assert evaluation._binned_error("calibrated", 5) == 0
    assert evaluation._binned_error("nearly sure, 25 points too much", 8) == pytest.approx(0.25, abs=1e-4)
    # In one bin, too sure above and too unsure below cancel out in part.
    assert evaluation._binned_error("too sure at both ends", 1) < evaluation._binned_error("too sure at both ends", 10)


def test_equal_effort_gives_equal_figures():
    effort = Effort(simulations=10, resamples=100, sizes=(30,))
    assert list(macro_f1(effort)) == list(macro_f1(effort))


def test_the_page_marks_what_is_outside_from_sixty_examples_on():
    coverage = [Row("share", 30, 0.9, None), Row("share", 60, 0.9, None), Row("mean", 60, 0.95, 0.975),
                Row("mean", 30, 0.95, 0.94)]
    text = page(coverage, [Row("hits", 60, 0.071, 0.069)], simulations=475, resamples=10)
    lines = text.splitlines()
    assert "| share | compare | 90.0% | **90.0%** |" in lines
    assert "| mean | contenders | 94.0% | **97.5%** |" in lines and "| mean | compare | 95.0% | 95.0% |" in lines
    # Twice the error of 475 simulations at 5 % is 2 * sqrt(0.05 * 0.95 / 475), two points.
    assert "| hits | compare | **7.1%** |" in lines and "| hits | contenders | 6.9% |" in lines
    assert not any(line.startswith("| share | contenders") for line in lines)
    assert "475 simulations" in text and "2.0 points" in text and "python -m benchmarks.interval_coverage" in text


def test_losses_and_perplexities_are_held_by_most_intervals(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "LOSSES", {"loss": settings.LOSSES["loss"]})
    rows = list(losses(Effort(simulations=80, resamples=200, sizes=(60,))))
    assert [row.setting for row in rows] == ["loss, before", "loss, after", "loss, difference", "loss, as perplexity"]
    assert all(0.8 <= row.compare <= 1 for row in rows)


def test_a_page_is_read_back_and_lines_made_anew_take_the_place_of_the_old():
    coverage = [Row("share", 60, 0.951, 0.94), Row("share", 100, 0.95, None), Row("loss", 60, 0.92, None),
                Row("mean", 60, 0.935, 0.936, percentiles=0.9)]
    found = [Row("hits", 60, None, None, 0.071)]
    text = page(coverage, found, simulations=475, resamples=10)
    assert read_page(text) == (coverage, found)
    anew = [Row("loss", 60, 0.948, None), Row("loss, long", 60, 0.95, None)]
    assert merged(coverage, anew) == [*coverage[:2], *anew, coverage[3]]
    assert merged(found, anew) == [*found, *anew]
    assert "| mean | percentiles | 90.0% |" in text    # shown nowhere, so never outside


def test_every_part_is_run():
    assert {part.__name__ for part in COVERAGE} == {
        "shares", "paired_hits", "figures", "macro_f1", "corpora", "losses", "calibration_errors", "fit_gaps",
        "group_gaps"}
    assert {part.__name__ for part in ALARMS} == {
        "alarms", "score_alarms", "confidence_alarms", "evaluation_alarms"}
    assert len(list(corpora(Effort(simulations=2, resamples=20, sizes=(60,))))) == 6
