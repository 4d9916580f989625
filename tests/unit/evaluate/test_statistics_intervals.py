"""Intervals of means and shares."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.evaluate.stats.intervals import constant_interval, wilson_interval
from ft_notebook.evaluate.stats.mean_intervals import (
    corpus_interval,
    mean_interval,
    paired_share_interval,
    score_interval,
)


@given(st.integers(2, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
@settings(max_examples=60, deadline=None)
def test_the_score_interval_of_hits_is_wilsons(case: tuple[int, int]) -> None:
    examples, hits = case
    figures = [1.0] * hits + [0.0] * (examples - hits)
    assert score_interval(figures) == pytest.approx(wilson_interval(hits, examples), abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=6, max_size=60))
@settings(max_examples=100, deadline=None)
def test_the_score_interval_lies_in_bounds_holds_the_mean_and_turns_with_the_figures(figures: list[float]) -> None:
    low, high = score_interval(figures)
    assert 0 <= low <= np.mean(figures) + 1e-9 and np.mean(figures) - 1e-9 <= high <= 1
    turned = score_interval([1 - figure for figure in figures])
    assert (1 - turned[1], 1 - turned[0]) == pytest.approx((low, high), abs=1e-6)


def test_figures_near_an_end_have_an_interval_that_leans_away_from_it() -> None:
    figures = [1.0] * 50 + [0.2, 0.4, 0.6, 0.7, 0.8, 0.9] * 2
    low, high = score_interval(figures)
    mean = float(np.mean(figures))
    assert mean - low > 1.2 * (high - mean) and high < 1


def test_many_even_figures_have_the_interval_of_the_t_test() -> None:
    from scipy.stats import ttest_1samp

    figures = np.random.default_rng(0).beta(4, 4, 400).tolist()
    expected = tuple(ttest_1samp(figures, 0.0).confidence_interval())
    assert score_interval(figures) == pytest.approx(expected, abs=2e-4)


def test_figures_that_are_all_the_same_have_the_interval_of_the_unseen() -> None:
    assert score_interval([0.5] * 20) == constant_interval(0.5, 20, bounds=(0.0, 1.0))
    assert score_interval([1.0] * 20) == pytest.approx(wilson_interval(20, 20))


def test_figures_beyond_one_have_a_studentized_interval() -> None:
    figures = np.random.default_rng(1).lognormal(0, 0.5, 80).tolist()
    low, high = mean_interval(figures, resamples=1000)
    assert low < np.mean(figures) < high and high - low == pytest.approx(4 * np.std(figures) / math.sqrt(80), rel=0.2)
    assert mean_interval([figure / 10 for figure in figures]) == score_interval([figure / 10 for figure in figures])


def test_without_a_change_the_interval_of_a_paired_difference_is_wilsons_for_none_seen() -> None:
    unseen = wilson_interval(0, 60)[1]
    assert paired_share_interval(0, 0, 60) == pytest.approx((-unseen, unseen), abs=1e-9)
    assert paired_share_interval(60, 0, 60) == pytest.approx((1 - 2 * unseen, 1.0), abs=0.02)


@pytest.mark.parametrize(("gained", "lost", "examples"), [(12, 4, 78), (3, 0, 60), (0, 5, 30), (40, 38, 100), (6, 0, 6)])
def test_the_ends_of_a_paired_interval_are_just_not_rejected_by_the_score_test(
    gained: int, lost: int, examples: int
) -> None:
    from scipy.optimize import minimize_scalar

    def score(difference: float) -> float:
        """With the likeliest share of losses found by search rather than by formula."""
        rest = examples - gained - lost

        def unlikelihood(share: float) -> float:
            terms = ((gained, share + difference), (lost, share), (rest, 1 - 2 * share - difference))
            return -sum(count * math.log(max(1e-300, part)) for count, part in terms if count)

        least, most = max(0.0, -difference), (1 - difference) / 2
        share = minimize_scalar(unlikelihood, bounds=(least, most), method="bounded", options={"xatol": 1e-12}).x
        return abs(gained - lost - examples * difference) / math.sqrt(
            examples * (2 * share + difference - difference**2))

    low, high = paired_share_interval(gained, lost, examples)
    for end in (low, high):
        if abs(end) < 1:
            assert score(end) == pytest.approx(1.959963984540054, abs=1e-3)
    assert low <= (gained - lost) / examples <= high
    turned = paired_share_interval(lost, gained, examples)
    assert (-turned[1], -turned[0]) == pytest.approx((low, high), abs=1e-9)


def test_an_interval_from_the_bootstraps_error_is_that_of_the_t_test_for_a_mean() -> None:
    from scipy.stats import ttest_1samp

    generator = np.random.default_rng(3)
    figures = generator.normal(2.0, 1.0, 25)
    samples = figures[generator.integers(0, 25, (20_000, 25))].mean(axis=1)
    expected = tuple(ttest_1samp(figures, 0.0).confidence_interval())
    point = float(figures.mean())
    assert corpus_interval(samples, point, 25, bounds=None) == pytest.approx(expected, abs=0.02)
    assert corpus_interval(samples, point, 25, bounds=(2.0, 2.1)) == (2.0, 2.1)


def test_a_corpus_share_near_one_has_an_interval_that_stays_below_it_and_leans_away() -> None:
    samples = np.random.default_rng(0).normal(0.95, 0.03, 5000)
    low, high = interval_of(samples, 0.95)
    assert 0 < low < 0.95 < high < 1 and 0.95 - low > 1.5 * (high - 0.95)
    turned = interval_of(1 - samples, 0.05)
    assert (1 - turned[1], 1 - turned[0]) == pytest.approx((low, high), abs=1e-9)
    middle = np.random.default_rng(0).normal(0.5, 0.01, 5000)
    assert interval_of(middle, 0.5) == pytest.approx(corpus_interval(middle, 0.5, 60, bounds=None), abs=1e-4)


def test_a_corpus_figure_that_does_not_vary_has_the_interval_of_the_unseen() -> None:
    assert interval_of(np.ones(100), 1.0) == constant_interval(1.0, 60, bounds=(0.0, 1.0))
    assert corpus_interval(np.full(100, 3.0), 3.0, 60, bounds=None) is None


def interval_of(samples: np.ndarray, point: float) -> tuple[float, float]:
    found = corpus_interval(samples, point, 60, bounds=(0.0, 1.0))
    assert found is not None
    return found
