"""Intervals of losses over tokens: what is told of skewed losses, and of hardly anything."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from ft_notebook.evaluate.stats.token_means import MAX_LOSS, TokenMeans


def skewed(index: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(index)
    tokens = np.ceil(generator.lognormal(3.0, 1.0, n))
    before = generator.gamma(1.5, 1.0, n) * tokens
    return np.stack([before, before * generator.uniform(0.4, 1.0, n)]), np.stack([tokens, tokens])


def test_long_hard_examples_make_the_interval_of_a_difference_wider_than_student_s() -> None:
    wider = []
    for index in range(40):
        sums, tokens = skewed(index)
        found = TokenMeans.of(sums, tokens, resamples=400, seed=index).of_difference()
        change, counts = sums[1] - sums[0], tokens[0]
        ratio = change.sum() / counts.sum()
        error = ((change - ratio * counts).var(ddof=1) * 60) ** 0.5 / counts.sum()
        assert found is not None and (found[0] + found[1]) / 2 == pytest.approx(ratio)
        wider.append((found[1] - found[0]) / 2 / (error * t.ppf(0.975, 59)))
    assert 1.03 < np.mean(wider) < 1.5


def test_the_interval_of_one_loss_leans_away_from_zero() -> None:
    sums, tokens = skewed(1)
    found = TokenMeans.of(sums, tokens, resamples=400, seed=0).of_side(1)
    loss = sums[1].sum() / tokens[1].sum()
    assert found is not None and 0 < found[0] < loss < found[1]
    assert found[1] / loss == pytest.approx(loss / found[0]) and found[1] - loss > loss - found[0]


def test_losses_of_zero_and_beyond_meaning_are_told_apart() -> None:
    sums, tokens = skewed(2)
    zeros = np.stack([np.where(np.arange(60) < 40, 0.0, sums[0]), np.zeros(60)])
    found = TokenMeans.of(zeros, tokens, resamples=200, seed=0)
    assert found.of_side(1) is None and found.of_side(0) is not None and found.of_side(0)[0] >= 0  # type: ignore[index]
    huge = TokenMeans.of(sums + MAX_LOSS * tokens, tokens, resamples=200, seed=0)
    assert huge.of_perplexities() is None and huge.of_difference() is not None


def test_the_interval_of_a_difference_of_perplexities_reaches_further_to_the_side_of_the_larger_one() -> None:
    leaning = []
    for index in range(20):
        sums, tokens = skewed(index)
        found = TokenMeans.of(sums, tokens, resamples=400, seed=index).of_perplexities()
        before, after = np.exp(sums.sum(axis=1) / tokens.sum(axis=1))
        assert found is not None and found[0] < after - before < found[1]
        leaning.append((after - before - found[0]) / (found[1] - (after - before)))
    assert np.mean(leaning) > 1.2
