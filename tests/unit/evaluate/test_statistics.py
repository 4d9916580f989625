"""Paired tests and corrections against scipy, exact sums and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.evaluate.stats.significance import (
    benjamini_hochberg,
    holm,
    mcnemar_exact,
    paired_bootstrap_test,
    randomization_test,
    sign_bound,
)

P_VALUES = st.lists(st.floats(0, 1), max_size=6)


def test_mcnemar_is_the_binomial_test_of_those_that_changed() -> None:
    from scipy.stats import binomtest

    for gained, lost in itertools.product([0, 1, 2, 5, 6, 13, 40, 300], repeat=2):
        expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        assert mcnemar_exact(gained, lost) == pytest.approx(expected, abs=1e-9)
    assert mcnemar_exact(6, 0) == pytest.approx(0.03125) and mcnemar_exact(5, 0) == pytest.approx(0.0625)


def test_mcnemar_never_has_more_than_five_per_cent_false_alarms() -> None:
    for changed in range(200):
        alarms = sum(math.comb(changed, gained) for gained in range(changed + 1)
                     if mcnemar_exact(gained, changed - gained) <= 0.05) / 2**changed
        assert alarms <= 0.05
    assert alarms > 0.03


def test_the_bootstrap_test_agrees_with_the_t_test_on_normal_differences() -> None:
    from scipy.stats import ttest_1samp

    generator = np.random.default_rng(0)
    for shift in (0.0, 0.15, 0.3):
        values = generator.normal(shift, 1.0, 120)
        expected = ttest_1samp(values, 0.0)
        found = paired_bootstrap_test(values.tolist(), resamples=8000, seed=1)
        assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)
        assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), abs=0.02)


@given(st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.0, 0.0, 0.1, 0.5, 1.0]), min_size=2, max_size=40))
@settings(max_examples=80, deadline=None)
def test_the_interval_excludes_zero_just_when_the_p_value_is_small_and_signs_do_not_matter(values: list[float]) -> None:
    found = paired_bootstrap_test(values, resamples=300)
    if len(set(values)) > 1:
        assert (found.low > 0 or found.high < 0) == (found.p_value <= 0.05)
        assert found.low <= np.mean(values) <= found.high
    turned = paired_bootstrap_test([-value for value in values], resamples=300)
    assert turned.p_value == pytest.approx(found.p_value, abs=1e-12)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@pytest.mark.parametrize("values", [
    [0.3, -0.1, 0.8, 0.2, 0.4, -0.3, 0.9, 0.05],
    [0.5, 0.25, 1.0, -0.5] + [0.0] * 36,      # some resamples hold no change at all
])
def test_the_bootstrap_test_is_what_a_plain_loop_over_resamples_gives(values: list[float]) -> None:
    figures, distances = np.array(values), []
    mean, spread = figures.mean(), figures.std(ddof=1)
    for indices in np.random.default_rng(5).integers(0, len(values), (999, len(values))):
        drawn = figures[indices]
        is_flat = len(set(drawn.tolist())) == 1
        distances.append(math.inf if is_flat else abs(drawn.mean() - mean) / drawn.std(ddof=1))
    found = paired_bootstrap_test(values, resamples=999, seed=5)
    expected = (1 + sum(distance >= abs(mean) / spread for distance in distances)) / 1000
    assert found.p_value == pytest.approx(max(expected, sign_bound(np.count_nonzero(figures))), abs=1e-12)
    half = sorted(distances)[949] * spread    # the 50th largest
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-9)


def test_five_examples_that_all_gain_have_an_interval_that_holds_zero() -> None:
    found = paired_bootstrap_test([0.4, 0.41, 0.42, 0.43, 0.44])
    assert found.p_value == pytest.approx(0.0625) and found.low <= 1e-12 and found.high >= 0.84 - 1e-12


@pytest.mark.parametrize(("changed", "is_told"), [(0, False), (3, False), (5, False), (8, True), (20, True)])
def test_a_handful_of_changes_all_for_the_better_proves_nothing(changed: int, is_told: bool) -> None:
    values = [0.4 + i / 100 for i in range(changed)] + [0.0] * (60 - changed)
    found = paired_bootstrap_test(values)
    assert found.p_value >= sign_bound(changed)
    assert (found.p_value <= 0.05) is is_told


def test_differences_that_do_not_vary_have_no_interval() -> None:
    found = paired_bootstrap_test([0.1] * 30)
    assert (found.low, found.high) == (-math.inf, math.inf) and found.p_value == sign_bound(30)
    assert paired_bootstrap_test([0.0] * 30).p_value == 1.0


def test_the_bootstrap_test_rarely_finds_what_is_not_there() -> None:
    generator = np.random.default_rng(4)
    alarms = 0
    for seed in range(400):
        base, tuned = generator.beta(1, 3, size=(2, 60))
        alarms += paired_bootstrap_test((tuned - base).tolist(), resamples=300, seed=seed).p_value <= 0.05
    assert 0.02 <= alarms / 400 <= 0.08


def test_the_randomization_test_equals_the_sum_over_all_exchanges() -> None:
    values = np.random.default_rng(2).normal(0.5, 1.0, 10)
    seen = abs(values.sum())
    exact = np.mean([abs((values * signs).sum()) >= seen - 1e-12 for signs in itertools.product([1, -1], repeat=10)])
    found = randomization_test(
        lambda marked: float(np.where(marked, -values, values).sum()), 10, resamples=4000, seed=3)
    assert found == pytest.approx(exact, abs=0.03)
    assert 0.05 < exact < 0.5


def test_contenders_that_answer_alike_are_not_told_apart_by_exchanging() -> None:
    assert randomization_test(lambda marked: 0.0, 20, resamples=100) == 1.0


def test_holm_on_an_example_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.6, 0.7]) == [1.0, 1.0]


@given(P_VALUES)
def test_holm_is_the_worst_bonferroni_over_all_sets_that_hold_a_test(p_values: list[float]) -> None:
    indices = range(len(p_values))
    expected = [
        max(min(1.0, size * min(p_values[i] for i in chosen))
            for size in range(1, len(p_values) + 1) for chosen in itertools.combinations(indices, size) if one in chosen)
        for one in indices
    ]
    assert holm(p_values) == pytest.approx(expected, abs=1e-12)


@given(P_VALUES)
def test_benjamini_hochberg_equals_scipy(p_values: list[float]) -> None:
    from scipy.stats import false_discovery_control

    expected = false_discovery_control(p_values).tolist() if p_values else []
    assert benjamini_hochberg(p_values) == pytest.approx(expected, abs=1e-12)
