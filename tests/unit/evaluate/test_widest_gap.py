"""The gap between the best and the worst of groups that the same rows name, against simulations with known truth."""

from __future__ import annotations

import numpy as np
import pytest

from ft_notebook.evaluate.stats.unpaired import unpaired_interval
from ft_notebook.evaluate.stats.widest_gap import widest_gap


def hits(index: int, shares: tuple[float, ...], rows: int) -> list[np.ndarray]:
    generator = np.random.default_rng(index)
    return [(generator.random(rows) < share).astype(np.float64) for share in shares]


@pytest.mark.parametrize("shares", [(0.75,) * 4, (0.9, 0.8, 0.7, 0.6), (0.95, 0.95, 0.95, 0.6)])
def test_the_interval_holds_the_true_gap_of_the_groups_that_came_out_best_and_worst(shares: tuple[float, ...]) -> None:
    held = 0
    for index in range(200):
        groups = hits(index, shares, 60)
        means = [group.mean() for group in groups]
        found = widest_gap(groups, resamples=300, seed=index)
        held += found.low <= shares[int(np.argmax(means))] - shares[int(np.argmin(means))] <= found.high
    assert 0.91 <= held / 200 <= 0.985


def test_groups_far_apart_leave_no_room_for_luck_in_the_choice() -> None:
    groups = [np.repeat([1.0, 0.0], [right, 200 - right]) for right in (190, 140, 120, 60)]
    found, named = widest_gap(groups), unpaired_interval(groups[0].tolist(), groups[3].tolist())
    assert named is not None and found.is_decided
    assert found.high - found.low == pytest.approx(named[1] - named[0], rel=0.15)


def test_equal_groups_leave_much_room_and_zero_is_inside_unless_the_gap_is_decided() -> None:
    for index in range(60):
        groups = hits(index, (0.7,) * 4, 40)
        found = widest_gap(groups, resamples=300)
        assert (found.low > 0) == found.is_decided and found.low <= found.difference <= found.high
    for shares in ((0.8, 0.6), (0.9, 0.8, 0.7)):
        for index in range(40):
            found = widest_gap(hits(index, shares, 40), resamples=300)
            assert (found.low > 0) == found.is_decided


def test_groups_without_any_spread_have_an_interval() -> None:
    right, wrong = np.ones(20), np.zeros(20)
    apart = widest_gap([right, wrong])
    assert apart.is_decided and 0.6 < apart.low < 0.95 and apart.difference == 1
    alike = widest_gap([right, right])
    assert not alike.is_decided and alike.difference == 0


def test_a_stricter_level_widens_the_interval() -> None:
    groups = hits(3, (0.9, 0.7, 0.6), 50)
    usual, strict = widest_gap(groups), widest_gap(groups, level=0.005)
    assert strict.low < usual.low and strict.high > usual.high


def test_near_groups_may_lie_much_closer_than_seen_and_not_much_further() -> None:
    groups = [np.repeat([1.0, 0.0], [right, 60 - right]) for right in (46, 43, 43, 40)]
    found = widest_gap(groups)
    assert found.high - found.difference < 0.5 * (found.difference - found.low)
