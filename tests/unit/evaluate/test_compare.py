"""Intervals keep what they promise, also where a plain bootstrap would not."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from ft_notebook.errors import PluginError
from ft_notebook.evaluate.compare import MetricComparison, compare, compare_losses
from ft_notebook.evaluate.metrics.exact_match import ExactMatch
from ft_notebook.evaluate.metrics.macro_f1 import MacroF1
from ft_notebook.evaluate.metrics.rouge_l import RougeL
from ft_notebook.evaluate.stats import intervals

UNSEEN_12 = 1.959964**2 / (12 + 1.959964**2)  # Wilson's upper limit for 0 of 12


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class Number:
    """The answer is the figure."""

    name = "number"
    is_default = True

    def suits(self, references: Sequence[str]) -> bool:
        return True

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        return sum(self.per_example(answers, references)) / len(answers)

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        return [float(answer) for answer in answers]


class Corpus(Number):
    """The same, without figures an example."""

    def per_example(self, answers: Sequence[str], references: Sequence[str]) -> None:  # type: ignore[override]
        return None

    def score(self, answers: Sequence[str], references: Sequence[str]) -> float:
        return sum(map(float, answers)) / len(answers)


def hits(base: Sequence[int], tuned: Sequence[int], *, resamples: int = 1000) -> MetricComparison:
    texts = ["no", "yes"]
    return compare(ExactMatch(), ["yes"] * len(base), [texts[b] for b in base], [texts[t] for t in tuned],
                   resamples=resamples, seed=0)


def numbers(base: Sequence[float], tuned: Sequence[float], metric: Number | None = None, *, seed: int = 0
            ) -> MetricComparison:
    return compare(metric or Number(), [""] * len(base), [repr(float(b)) for b in base],
                   [repr(float(t)) for t in tuned], resamples=1000, seed=seed)


def test_a_plain_gain_is_found_and_framed() -> None:
    result = hits([1] * 2 + [0] * 58, [1] * 27 + [0] * 33)
    assert (result.base, result.tuned, result.n, result.changed) == (pytest.approx(2 / 60), pytest.approx(0.45), 60, 25)
    assert result.difference == pytest.approx(25 / 60)
    assert result.low is not None and result.high is not None
    assert 0.25 < result.low < 0.35 and 0.50 < result.high < 0.58
    assert not result.is_noise


def test_equal_inputs_give_equal_results_and_another_seed_others() -> None:
    base, tuned = [0.1 * i**0.5 for i in range(20)], [0.3 * i**0.3 for i in range(20)]
    assert numbers(base, tuned) == numbers(base, tuned)
    assert numbers(base, tuned).low != numbers(base, tuned, seed=1).low


@pytest.mark.parametrize("level", [0, 1])
def test_a_share_of_none_or_all_has_wilsons_interval_not_an_empty_one(level: int) -> None:
    result = hits([level] * 60, [level] * 60)
    width = 1.959964**2 / (60 + 1.959964**2)
    expected = (0, width) if level == 0 else (1 - width, 1)
    assert (result.base_low, result.base_high) == pytest.approx(expected, abs=1e-6)
    assert result.low is not None and result.high is not None
    assert result.low < -0.01 and result.high > 0.01
    assert result.is_noise


def test_wilson_interval_equals_scipy() -> None:
    from scipy.stats import binomtest

    for count, examples in [(0, 1), (1, 1), (3, 10), (59, 60), (250, 500)]:
        expected = binomtest(count, examples).proportion_ci(method="wilson")
        assert intervals.wilson_interval(count, examples) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("gained", "is_noise"), [(0, True), (3, True), (4, True), (5, True), (6, False), (20, False)])
def test_a_handful_of_changes_is_noise_as_in_a_sign_test(gained: int, is_noise: bool) -> None:
    assert hits([0] * 60, [1] * gained + [0] * (60 - gained)).is_noise is is_noise
    assert hits([1] * gained + [0] * (60 - gained), [0] * 60).is_noise is is_noise


def test_a_handful_of_changed_figures_is_noise_and_their_interval_says_so() -> None:
    base = [i / 100 for i in range(60)]
    for changed, is_noise in ((5, True), (12, False)):
        result = numbers(base, [b + 0.4 if i < changed else b for i, b in enumerate(base)])
        assert result.low is not None and (result.low > 0) is not is_noise
        assert (result.changed, result.is_noise) == (changed, is_noise)


@pytest.mark.parametrize("examples", [1, 2, 5])
def test_very_few_examples_are_noise_whatever_they_show(examples: int) -> None:
    result = hits([0] * examples, [1] * examples)
    assert result.is_noise and result.low is not None and result.low < 0.5
    other = numbers([0.2 + i / 100 for i in range(examples)], [0.8] * examples)
    assert other.is_noise
    assert (other.low, other.high, other.base_low, other.tuned_high) == (None, None, None, None)


def test_every_interval_holds_its_figure() -> None:
    generator = random.Random(3)
    for examples in (6, 9, 40):
        base = [generator.random() for _ in range(examples)]
        result = numbers(base, [min(1.0, b + generator.random() / 3) for b in base])
        assert result.low is not None and result.high is not None
        assert result.base_low is not None and result.base_high is not None
        assert result.low <= result.difference <= result.high
        assert result.base_low <= result.base <= result.base_high


def test_pairing_makes_a_steady_gain_visible_among_varied_examples() -> None:
    generator = random.Random(0)
    base = [generator.uniform(0, 0.9) for _ in range(40)]
    tuned = [b + generator.uniform(0.02, 0.08) for b in base]
    paired = numbers(base, tuned)
    unpaired = numbers(base, generator.sample(tuned, 40))
    assert not paired.is_noise and unpaired.is_noise
    assert paired.low is not None and paired.high is not None and unpaired.low is not None and unpaired.high is not None
    assert unpaired.high - unpaired.low > 5 * (paired.high - paired.low)


@pytest.mark.parametrize("kind", ["hits", "figures"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(kind: str) -> None:
    generator = np.random.default_rng(1)
    covered = found = 0
    runs, examples = 300, 25
    for _ in range(runs):
        if kind == "hits":
            base = (generator.random(examples) < 0.3).astype(int).tolist()
            result, truth = hits(base, (generator.random(examples) < 0.5).astype(int).tolist(), resamples=300), 0.2
        else:
            noise = generator.beta(1, 3, size=(2, examples))
            result, truth = numbers(noise[0], noise[1]), 0.0
        assert result.low is not None and result.high is not None
        covered += result.low <= truth <= result.high
        found += not result.is_noise
    assert 0.91 <= covered / runs <= 0.99
    if kind == "figures":
        assert found / runs <= 0.09  # there is nothing to find


def test_shuffled_answers_are_noise_nearly_always() -> None:
    generator = random.Random(5)
    scores = [1] * 20 + [0] * 40
    found = sum(
        not hits(generator.sample(scores, 60), generator.sample(scores, 60), resamples=200).is_noise
        for _ in range(100))
    assert found <= 10


def test_figures_that_never_vary_get_a_wide_interval_within_their_bounds() -> None:
    result = numbers([0.5] * 20, [0.5] * 20)
    assert (result.base_low, result.base_high) == (pytest.approx(0.419, abs=0.001), pytest.approx(0.581, abs=0.001))
    assert (result.low, result.high) == (pytest.approx(-0.161, abs=0.001), pytest.approx(0.161, abs=0.001))
    assert result.is_noise


def test_figures_beyond_one_are_no_share_and_have_no_bounds() -> None:
    result = numbers([3.0] * 10, [5.0 + i for i in range(10)])
    assert not result.is_share
    assert (result.base_low, result.base_high) == (None, None)
    assert result.difference == pytest.approx(6.5) and not result.is_noise


def test_a_corpus_metric_gets_the_interval_of_its_own_resamples() -> None:
    generator = random.Random(2)
    base, tuned = [generator.random() for _ in range(30)], [generator.random() for _ in range(30)]
    by_example, by_corpus = numbers(base, tuned), numbers(base, tuned, Corpus())
    for name in ("base", "tuned", "difference"):
        assert getattr(by_corpus, name) == pytest.approx(getattr(by_example, name), abs=1e-12)
    for name in ("low", "high", "base_low", "tuned_high"):     # another method: the bootstrap's standard error
        assert getattr(by_corpus, name) == pytest.approx(getattr(by_example, name), abs=0.03)
        assert getattr(by_corpus, name) != getattr(by_example, name)
    assert by_corpus.base_figures is None


def test_macro_f1_is_compared_with_an_interval() -> None:
    references = ["a", "b", "c"] * 20
    result = compare(MacroF1(), references, ["a"] * 60, references, resamples=200, seed=0)
    assert result.base == pytest.approx(1 / 6) and result.tuned == 1.0
    assert result.tuned_low is not None and 0.9 < result.tuned_low < 1
    assert result.low is not None and result.low > 0.7 and not result.is_noise


def test_chunks_bound_memory_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def mean(indices: np.ndarray) -> np.ndarray:
        sizes.append(indices.size)
        return np.asarray(indices.mean(axis=1))

    whole = intervals.resample(mean, 50, resamples=400, seed=7)
    monkeypatch.setattr(intervals, "CHUNK_CELLS", 1000)
    sizes.clear()
    pieces = intervals.resample(mean, 50, resamples=400, seed=7)
    assert max(sizes) <= 1000 and len(pieces) == 400
    assert np.array_equal(whole, pieces)


def test_losses_are_weighted_by_tokens() -> None:
    base = [((2.0 + 0.1 * (tokens % 5)) * tokens, tokens) for tokens in range(1, 21)] + [(200.0, 40)] * 5
    tuned = [(loss - 1.0 * tokens, tokens) for loss, tokens in base[:20]] + [(140.0 + i, 40) for i in range(5)]
    loss, perplexity = compare_losses(base, tuned, resamples=500, seed=0)
    short = sum(loss for loss, _ in base[:20])
    assert loss.base == pytest.approx((short + 1000) / 410)
    assert loss.tuned == pytest.approx((short - 210 + 710) / 410)
    assert perplexity.base == pytest.approx(np.exp(loss.base))
    assert loss.base_low is not None and perplexity.base_low is not None
    assert perplexity.base_low == pytest.approx(np.exp(loss.base_low))
    assert perplexity.difference == pytest.approx(perplexity.tuned - perplexity.base)
    assert perplexity.low is not None and perplexity.high is not None
    assert perplexity.low < perplexity.difference < perplexity.high
    assert not loss.is_higher_better and not loss.is_share
    assert loss.high is not None and loss.high < 0 and not loss.is_noise


def test_one_example_that_differs_from_all_others_gives_no_interval_of_a_loss() -> None:
    base = [(2.0 * tokens, tokens) for tokens in range(1, 21)] + [(1000.0, 200)]
    loss, _ = compare_losses(base, [(value / 2, tokens) for value, tokens in base], resamples=500, seed=0)
    assert (loss.base_low, loss.low) == (None, None) and loss.is_noise


def test_losses_that_did_not_change_are_noise_without_an_interval() -> None:
    same = [(3.0 + i, 2 + i) for i in range(12)]
    for result in compare_losses(same, same, resamples=200, seed=0):
        assert result.is_noise and result.changed == 0 and (result.low, result.high) == (None, None)


def test_a_hopeless_loss_has_a_finite_perplexity() -> None:
    _, perplexity = compare_losses([(5000.0, 1)] * 8, [(2.0 + i, 1) for i in range(8)], resamples=200, seed=0)
    assert np.isfinite(perplexity.base)


@pytest.mark.parametrize("figures", [[1.0], [float("nan")] * 8, ["one"] * 8, 5])
def test_a_metric_that_returns_junk_is_named(figures: object) -> None:
    class Junk(Number):
        name = "my_junk"

        def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
            return figures  # type: ignore[return-value]

    with pytest.raises(PluginError, match="my_junk"):
        compare(Junk(), ["a"] * 8, ["a"] * 8, ["a"] * 8, resamples=100, seed=0)


def test_a_metric_that_raises_is_named() -> None:
    class Raising(Number):
        name = "my_raising"

        def per_example(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
            raise ZeroDivisionError("oops")

    with pytest.raises(PluginError, match="my_raising"):
        compare(Raising(), ["a"], ["a"], ["a"], resamples=100, seed=0)


def test_rouge_l_is_compared_by_its_figures() -> None:
    references = [f"the answer to number {i}" for i in range(12)]
    result = compare(RougeL(), references, ["the answer"] * 12, references, resamples=200, seed=0)
    assert result.base_figures == pytest.approx((4 / 7,) * 12) and result.tuned_figures == (1.0,) * 12
    assert result.low is not None and result.low == pytest.approx(3 / 7 - (1 + 3 / 7) * UNSEEN_12)
