"""Whether confidence means what it says: estimates against simulations with known truth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_notebook.evaluate.calibration import LEAST_KEPT, calibrate
from ft_notebook.evaluate.evaluation import Calibration


def sample(n: int, index: int, *, too_sure: float = 0.0) -> tuple[list[float], list[bool]]:
    """Confidences, and answers that are right less often by so much."""
    generator = np.random.default_rng([n, index])
    confidences = generator.beta(6, 1.5, n)
    return confidences.tolist(), (generator.random(n) < confidences - too_sure).tolist()


def made(confidences: list[float], is_right: list[bool], **options: float) -> Calibration:
    found = calibrate(confidences, is_right, resamples=200, **options)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_fewer_than_twenty_rows_say_nothing() -> None:
    assert calibrate([0.5] * 19, [True] * 19) is None
    assert calibrate([0.5] * 20, [True] * 20) is not None


@pytest.mark.parametrize("confidences", [[1.2] * 30, [-0.1] * 30, [float("nan")] * 30, [0.5] * 29])
def test_confidences_that_are_no_probabilities_are_refused(confidences: list[float]) -> None:
    with pytest.raises(ValueError, match="one confidence from 0 to 1"):
        calibrate(confidences, [True] * 30)


def test_a_calibrated_model_has_an_error_near_zero_where_the_plain_figure_has_not() -> None:
    found = [made(*sample(100, index)) for index in range(40)]
    plain = [sum(each.rows * abs(each.accuracy - each.confidence) for each in one.bins) / 100 for one in found]
    assert np.median([one.ece for one in found]) <= 0.025 and np.mean(plain) > 0.05
    assert sum(one.ece_low == 0 for one in found) >= 35


def test_an_overconfident_model_is_found_out() -> None:
    found = made(*sample(300, 0, too_sure=0.25))
    assert found.is_decided and found.confidence > found.accuracy + 0.15
    assert found.ece_low is not None and found.ece_high is not None
    assert 0.15 < found.ece_low < found.ece < found.ece_high < 0.4 and found.ece == pytest.approx(0.25, abs=0.06)


def test_an_error_that_cancels_out_on_average_is_found_though_the_means_agree() -> None:
    # Half of the answers are said to be sure and half doubtful; in truth it is the same for all.
    found = made([0.95] * 200 + [0.55] * 200, ([True] * 3 + [False]) * 100)
    assert not found.is_decided and found.ece == pytest.approx(0.2, abs=0.02) and found.ece_low is not None
    assert found.ece_low > 0.1


def test_the_interval_holds_an_error_that_few_bins_have_alone() -> None:
    held, estimates = 0, []
    for index in range(60):
        generator = np.random.default_rng(index)
        confidences = np.sort(generator.uniform(0.3, 0.95, 120))
        chances = confidences - np.where(np.arange(120) >= 96, 0.5, 0.0)        # the surest fifth errs
        found = made(confidences.tolist(), (generator.random(120) < chances).tolist())
        assert found.ece_low is not None and found.ece_high is not None
        held += found.ece_low <= 0.1 <= found.ece_high
        estimates.append(found.ece)
    assert held >= 55 and 0.08 < np.median(estimates) < 0.15


@pytest.mark.parametrize("too_sure", [0.0, 0.15])
def test_the_interval_of_the_error_holds_the_truth_in_about_95_per_cent_of_samples(too_sure: float) -> None:
    held = 0
    for index in range(150):
        found = made(*sample(80, index, too_sure=too_sure))
        assert found.ece_low is not None and found.ece_high is not None
        held += found.ece_low <= too_sure <= found.ece_high
    assert 0.91 <= held / 150 <= 0.987


def test_the_interval_is_not_wider_than_one_that_knew_the_bias_by_much() -> None:
    width = np.mean([one.ece_high - one.ece_low for one in (made(*sample(300, index, too_sure=0.25))
                                                            for index in range(20))])
    assert width < 1.35 * 2 * 1.96 * (0.25 / 300) ** 0.5


def test_perfect_calibration_is_ruled_out_in_about_one_of_twenty_samples_of_a_calibrated_model() -> None:
    outside = sum((made(*sample(100, 1000 + index)).ece_low or 0) > 0 for index in range(200))
    assert 0.01 <= outside / 200 <= 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5


@pytest.mark.parametrize("n", [40, 120])
def test_a_calibrated_model_is_called_off_in_at_most_five_per_cent_of_samples(n: int) -> None:
    alarms = sum(made(*sample(n, index)).is_decided for index in range(150))
    assert alarms / 150 <= 0.05 + 2 * (0.05 * 0.95 / 150) ** 0.5


def test_all_right_is_what_a_model_that_is_nearly_sure_expects_and_some_wrong_is_not() -> None:
    sure = np.linspace(0.995, 0.9999, 100).tolist()
    assert not made(sure, [True] * 100).is_decided
    assert made(sure, [True] * 95 + [False] * 5).is_decided
    perfect = made(sure, [True] * 100)
    assert perfect.ece_high is not None and 0.02 < perfect.ece_high < 0.05    # what a hundred rows cannot rule out


def test_bins_hold_all_rows_about_evenly_and_equal_confidences_together() -> None:
    confidences, is_right = sample(300, 1)
    bins = made(confidences, is_right).bins
    assert sum(each.rows for each in bins) == 300 and len(bins) == 10 and all(25 <= each.rows <= 35 for each in bins)
    assert all(one.high < other.low for one, other in pairwise(bins))
    rounded = [round(confidence, 1) for confidence in confidences]
    tied = made(rounded, is_right).bins
    assert sum(each.rows for each in tied) == 300
    assert not any(one.high >= other.low for one, other in pairwise(tied))
    assert len(made([0.8] * 60, [True] * 60).bins) == 1


def test_the_curve_runs_from_all_rows_to_the_surest_and_keeps_equal_ones_together() -> None:
    found = made([0.9] * 20 + [0.6] * 20 + [0.3] * 20, [True] * 20 + [True, False] * 10 + [False] * 20)
    assert [(point.threshold, point.coverage, point.accuracy) for point in found.coverage] == [
        (0.3, 1.0, 0.5), (0.6, pytest.approx(2 / 3), 0.75), (0.9, pytest.approx(1 / 3), 1.0)]
    many = made(*sample(400, 0))
    assert len(many.coverage) <= 100 and many.coverage[0].coverage == 1
    assert many.coverage[0].accuracy == many.accuracy
    assert all(one.coverage > other.coverage for one, other in pairwise(many.coverage))
    assert round(many.coverage[-1].coverage * 400) == LEAST_KEPT


def test_the_unsure_are_handed_over_where_the_sure_are_right() -> None:
    # The 100 surest are right, of the others half.
    found = made([0.9] * 100 + [0.5] * 100, [True] * 100 + [True, False] * 50, wanted=0.95)
    assert found.threshold == 0.9 and found.handed_over == 0.5 and found.wanted == 0.95


def test_what_is_kept_must_be_right_beyond_luck() -> None:
    # 19 of 20 are 95 %, and may well come from 85 %.
    lucky = made([0.9] * 20 + [0.5] * 100, [True] * 19 + [False] + [True, False] * 50, wanted=0.95)
    assert lucky.threshold is None and lucky.handed_over is None
    # 45 of 45 may still come from 95 %: 0.95**45 is 10 %.
    assert made([0.9] * 44 + [0.5] * 100, [True] * 44 + [False] * 100, wanted=0.95).threshold is None
    assert made([0.9] * 45 + [0.5] * 100, [True] * 45 + [False] * 100, wanted=0.95).threshold == 0.9


def test_nothing_is_handed_over_where_all_is_good_enough_and_no_threshold_found_where_confidence_says_nothing() -> None:
    good = made(*sample(200, 3)[:1], [True] * 195 + [False] * 5, wanted=0.9)
    assert good.handed_over == 0.0 and good.threshold == min(sample(200, 3)[0])
    generator = np.random.default_rng(0)
    useless = made(generator.random(300).tolist(), (generator.random(300) < 0.6).tolist())
    assert useless.threshold is None and useless.wanted == pytest.approx((1 + useless.accuracy) / 2, abs=0.006)
    assert made([0.9] * 100, [True] * 98 + [False] * 2).wanted == 0.95


def test_what_is_kept_rarely_falls_short_of_what_is_wanted() -> None:
    """Against the true accuracy of a model whose confidences all mean what they say."""
    population = np.sort(np.random.default_rng(1).beta(6, 1.5, 200_000))
    short = found = 0
    for index in range(120):
        one = made(*sample(200, index))
        if one.threshold is not None:
            found += 1
            short += population[population >= one.threshold].mean() < one.wanted
    assert found >= 60 and short / 120 <= 0.15


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.7, 0.9, 0.99, 1.0]), st.booleans()), min_size=20, max_size=60))
@settings(max_examples=30, deadline=None)
def test_any_confidences_give_figures_in_order_whatever_the_order_of_the_rows(rows: list[tuple[float, bool]]) -> None:
    found = made([sure for sure, _ in rows], [right for _, right in rows])
    assert found.ece_low is not None and found.ece_high is not None
    assert 0 <= found.ece_low <= found.ece <= found.ece_high <= 1
    assert sum(each.rows for each in found.bins) == len(rows)
    if found.threshold is not None:
        assert found.handed_over == sum(sure < found.threshold for sure, _ in rows) / len(rows)
        kept = [right for sure, right in rows if sure >= found.threshold]
        assert sum(kept) / len(kept) >= found.wanted
    by_confidence = made([sure for sure, _ in sorted(rows)], [right for _, right in sorted(rows)])
    assert (by_confidence.threshold, by_confidence.bins) == (found.threshold, found.bins)
