"""The number of examples that is named has the power that is promised."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ft_notebook.evaluate.stats.power import mcnemar_power, needed_for_hits, needed_for_mean
from ft_notebook.evaluate.stats.significance import mcnemar_exact


@pytest.mark.parametrize(("gained", "lost", "level"), [(0.3, 0.1, 0.05), (0.4, 0.0, 0.05), (0.5, 0.5, 0.05), (0.6, 0.1, 0.01)])
def test_the_power_of_mcnemar_s_test_is_the_sum_over_all_outcomes(gained: float, lost: float, level: float) -> None:
    examples, expected = 23, 0.0
    for ours in range(examples + 1):
        for theirs in range(examples + 1 - ours):
            rest = examples - ours - theirs
            ways = math.factorial(examples) // math.factorial(ours) // math.factorial(theirs) // math.factorial(rest)
            if mcnemar_exact(ours, theirs) <= level:
                expected += ways * gained**ours * lost**theirs * max(0.0, 1 - gained - lost) ** rest
    assert mcnemar_power(gained, lost, examples, level=level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("gained", "lost"), [(0.25, 0.1), (0.05, 0.01), (0.12, 0.1), (0.0, 0.3), (0.5, 0.45)])
def test_as_many_hits_as_needed_have_a_power_of_four_fifths_and_fewer_have_less(gained: float, lost: float) -> None:
    needed = needed_for_hits(gained, lost)
    assert needed is not None
    assert 0.8 <= mcnemar_power(gained, lost, needed) <= 0.83 or needed < 40
    assert mcnemar_power(gained, lost, math.floor(needed * 0.93)) < 0.8
    assert needed == needed_for_hits(lost, gained)
    stricter = needed_for_hits(gained, lost, level=0.0125)
    assert stricter is not None and stricter > needed


def test_a_simulation_finds_the_difference_in_four_fifths_of_the_cases() -> None:
    needed = needed_for_hits(0.2, 0.08)
    assert needed is not None
    drawn = np.random.default_rng(0).multinomial(needed, [0.2, 0.08, 0.72], size=2000)
    found = sum(mcnemar_exact(int(ours), int(theirs)) <= 0.05 for ours, theirs, _ in drawn)
    assert found / 2000 == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize("effect", [0.15, 0.4, 0.9])
def test_as_many_figures_as_needed_give_the_t_test_its_power(effect: float) -> None:
    from scipy.stats import nct, t

    needed = needed_for_mean(effect * 3, 3.0)
    assert needed is not None
    limit, shift = t.ppf(0.975, needed - 1), effect * math.sqrt(needed)
    power = nct.sf(limit, needed - 1, shift) + nct.cdf(-limit, needed - 1, shift)
    assert power == pytest.approx(0.8, abs=0.02)
    assert needed_for_mean(-effect * 3, 3.0) == needed


def test_no_difference_and_a_hopeless_one_have_no_number() -> None:
    assert needed_for_hits(0.2, 0.2) is None and needed_for_hits(0.0, 0.0) is None
    assert needed_for_hits(0.2, 0.2001) is None
    assert needed_for_mean(0.0, 1.0) is None and needed_for_mean(1e-5, 1.0) is None


def test_even_a_plain_difference_takes_as_many_examples_as_a_sign_test() -> None:
    assert needed_for_hits(1.0, 0.0) == 6
    assert needed_for_mean(1.0, 0.0) == 6


def test_shares_whose_sum_exceeds_one_by_rounding_have_a_power() -> None:
    assert mcnemar_power(0.7, 0.30000000000000004 + 2e-16, 30) == pytest.approx(mcnemar_power(0.7, 0.3, 30), abs=1e-9)
