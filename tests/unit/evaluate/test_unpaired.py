"""Means of different rows against scipy, and how often something is found that is not there."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.evaluate.stats.intervals import wilson_interval
from ft_notebook.evaluate.stats.mean_intervals import score_interval
from ft_notebook.evaluate.stats.unpaired import part_tests, unpaired_interval, unpaired_test


def hits(right: int, rows: int) -> list[float]:
    return [1.0] * right + [0.0] * (rows - right)


def test_hits_are_tested_by_fishers_exact_test() -> None:
    from scipy.stats import fisher_exact

    for right, other in itertools.product([0, 3, 11, 20], [0, 6, 25]):
        expected = fisher_exact([[right, 20 - right], [other, 25 - other]]).pvalue
        assert unpaired_test(hits(right, 20), hits(other, 25)) == pytest.approx(min(1.0, expected), abs=1e-9)


def test_other_figures_agree_with_welchs_test_where_that_is_right() -> None:
    from scipy.stats import ttest_ind

    generator = np.random.default_rng(0)
    for shift in (0.0, 0.3, 0.6):
        ours, theirs = generator.normal(shift, 0.5, 40), generator.normal(0.0, 1.5, 60)
        expected = ttest_ind(ours, theirs, equal_var=False).pvalue
        found = unpaired_test(ours.tolist(), theirs.tolist(), resamples=6000, seed=2)
        assert found == pytest.approx(expected, abs=0.025)


def test_the_permutation_test_equals_the_sum_over_all_ways_to_deal() -> None:
    figures = np.array([0.1, 0.9, 0.45, 0.3, 0.7, 0.2, 0.95, 0.6, 0.05])

    def distance(part: tuple[int, ...]) -> float:
        mask = np.isin(np.arange(9), part)
        ours, theirs = figures[mask], figures[~mask]
        return abs(ours.mean() - theirs.mean()) / np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))

    seen = distance((1, 4, 6, 7))
    exact = np.mean([distance(part) >= seen - 1e-12 for part in itertools.combinations(range(9), 4)])
    found = part_tests(figures, [np.isin(np.arange(9), [1, 4, 6, 7])], resamples=6000, seed=1)[0]
    assert found == pytest.approx(exact, abs=0.01) and exact < 0.05


def test_parts_tested_together_are_as_those_tested_alone() -> None:
    generator = np.random.default_rng(3)
    figures = generator.beta(1.2, 3, 60)
    masks = [generator.random(60) < share for share in (0.2, 0.5, 0.8)]
    together = part_tests(figures, masks, resamples=500, seed=4)
    assert together == [part_tests(figures, [mask], resamples=500, seed=4)[0] for mask in masks]
    assert len(set(together)) == 3


def test_a_side_of_one_row_and_figures_that_are_all_equal_tell_nothing() -> None:
    assert unpaired_test([0.2], [0.9, 0.8, 0.95, 0.85]) == 1.0
    assert unpaired_test([1.0], [0.0] * 9) == 1.0
    assert unpaired_test([0.5] * 9, [0.5] * 12) == 1.0
    assert unpaired_test([0.5] * 9, [0.7] * 12) < 0.01


@pytest.mark.parametrize("draw", [
    lambda g, n: g.beta(1.2, 3.0, n),
    lambda g, n: np.where(g.random(n) < 0.8, 1.0, g.random(n)),
])
def test_a_test_of_figures_has_at_most_five_per_cent_false_alarms(draw) -> None:  # type: ignore[no-untyped-def]
    alarms = 0
    for index in range(500):
        generator = np.random.default_rng(index)
        alarms += unpaired_test(draw(generator, 20).tolist(), draw(generator, 60).tolist(), resamples=200) <= 0.05
    assert 0.02 <= alarms / 500 <= 0.07    # 5 % give or take two errors


def test_groups_of_other_spread_and_size_with_the_same_mean_are_rarely_told_apart() -> None:
    alarms = 0
    for index in range(400):
        generator = np.random.default_rng(index)
        small = generator.normal(0.0, 3.0, 20)      # the plain difference of means would be an alarm in 20 % of cases
        alarms += unpaired_test(small.tolist(), generator.normal(0.0, 1.0, 80).tolist(), resamples=200) <= 0.05
    assert alarms / 400 <= 0.08


def test_the_interval_of_two_shares_is_miettinen_and_nurminens() -> None:
    # As printed in Newcombe (1998), doi 10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, table II.
    assert unpaired_interval(hits(56, 70), hits(48, 80)) == pytest.approx((0.0528, 0.3382), abs=1e-4)
    assert unpaired_interval(hits(9, 10), hits(3, 10)) == pytest.approx((0.1700, 0.8406), abs=1e-4)


@pytest.mark.parametrize(("right", "rows", "other", "others"), [(95, 100, 60, 100), (3, 10, 20, 25), (30, 60, 30, 90), (60, 60, 50, 60)])
def test_the_ends_of_the_interval_are_just_not_rejected_by_the_score_test(right: int, rows: int, other: int, others: int) -> None:
    from scipy.optimize import minimize_scalar

    def score(difference: float) -> float:
        """With the likeliest shares found by search rather than by formula."""
        def unlikelihood(share: float) -> float:
            terms = ((right, share), (rows - right, 1 - share), (other, share - difference), (others - other, 1 - share + difference))
            return -sum(count * np.log(max(1e-300, part)) for count, part in terms if count)

        least, most = max(0.0, difference), min(1.0, 1 + difference)
        share = minimize_scalar(unlikelihood, bounds=(least, most), method="bounded", options={"xatol": 1e-12}).x
        variance = share * (1 - share) / rows + (share - difference) * (1 - share + difference) / others
        return abs(right / rows - other / others - difference) / np.sqrt(variance * (rows + others) / (rows + others - 1))

    found = unpaired_interval(hits(right, rows), hits(other, others))
    assert found is not None
    assert [score(end) for end in found] == pytest.approx([1.959963984540054] * 2, abs=1e-3)


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_the_difference_stays_in_bounds_and_turns_with_the_sides(
    ours: int, theirs: int, first: float, second: float
) -> None:
    left, right = hits(round(first * ours), ours), hits(round(second * theirs), theirs)
    found = unpaired_interval(left, right)
    assert found is not None
    low, high = found
    assert -1 <= low <= np.mean(left) - np.mean(right) <= high <= 1
    turned = unpaired_interval(right, left)
    assert turned is not None and (-turned[1], -turned[0]) == pytest.approx((low, high), abs=1e-12)


def test_a_perfect_and_a_hopeless_side_still_leave_room_for_doubt() -> None:
    found = unpaired_interval(hits(20, 20), hits(0, 30))
    assert found is not None and found[1] == 1.0
    assert 1 - wilson_interval(0, 20)[1] - wilson_interval(0, 30)[1] < found[0] < 1 - wilson_interval(0, 20)[1]


def test_shares_that_are_no_hits_have_both_means_intervals_put_together() -> None:
    generator = np.random.default_rng(0)
    ours, theirs = generator.beta(4, 1.5, 60).tolist(), generator.beta(1.2, 3, 80).tolist()
    (low, _), (_, other_high) = score_interval(ours), score_interval(theirs)
    apart = float(np.mean(ours) - np.mean(theirs))
    found = unpaired_interval(ours, theirs)
    assert found is not None
    assert found[0] == pytest.approx(apart - np.hypot(np.mean(ours) - low, other_high - np.mean(theirs)))


def test_figures_beyond_one_have_welchs_interval_and_few_or_equal_ones_none() -> None:
    from scipy.stats import ttest_ind

    generator = np.random.default_rng(0)
    ours, theirs = generator.normal(3, 1, 30), generator.normal(2, 2, 50)
    expected = ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert unpaired_interval(ours.tolist(), theirs.tolist()) == pytest.approx((expected.low, expected.high))
    assert unpaired_interval([5.0, 6.0, 4.0], theirs.tolist()) is None
    assert unpaired_interval([5.0] * 9, [4.0] * 9) is None
